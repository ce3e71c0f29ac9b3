"""What follows from a redirect: the fetch standard's "HTTP-redirect fetch", as a pure function.

Rule 1: a body that was read from a stream is gone; only a redirect that drops the body can be followed.
Rule 2: credentials stay with their origin. The standard drops `Authorization`; `Cookie` goes as well here,
because a guest sets it by hand where a browser would ask its jar.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from pyworkerd.messages import Headers

    from .destination import Destination

Mode = Literal["follow", "manual", "error"]
MODES: tuple[str, ...] = get_args(Mode)

FOLLOW_LIMIT = 20
"""Fetch standard, "HTTP-redirect fetch", step 6."""

_STATUSES = frozenset({301, 302, 303, 307, 308})
_ABOUT_THE_BODY = frozenset({"content-encoding", "content-language", "content-location", "content-type"})
_CREDENTIALS = frozenset({"authorization", "cookie"})


@dataclass(frozen=True, slots=True)
class Hop:
    """One request on the way to an answer."""

    method: str
    destination: Destination
    headers: Headers
    has_body: bool
    can_replay: bool
    """The body is in hand and can be sent again."""
    number: int = 0
    """How many redirects led here."""
    socket_key: str = ""
    """Of the handshake, if it asks for a WebSocket."""


def _becomes_get(status: int, method: str) -> bool:
    return (status in (301, 302) and method == "POST") or (status == 303 and method not in ("GET", "HEAD"))


def _without(headers: Headers, names: frozenset[str]) -> Headers:
    return tuple(field for field in headers if field[0] not in names)


def after(hop: Hop, status: int, location: str | None, mode: str) -> Hop | None:
    """The next request, or None if this answer is the one to deliver. Raises ValueError where fetch fails."""
    if status not in _STATUSES or mode == "manual":
        return None
    if mode == "error":
        raise ValueError("was answered with a redirect, which this request does not allow")
    if location is None:
        return None
    try:
        destination = hop.destination.join(location)
    except ValueError as error:
        raise ValueError(f"redirects to a URL that cannot be fetched: {error}") from None
    if hop.number >= FOLLOW_LIMIT:
        raise ValueError(f"redirects more than {FOLLOW_LIMIT} times")
    following = replace(hop, destination=destination, number=hop.number + 1)
    if _becomes_get(status, hop.method):
        headers = _without(hop.headers, _ABOUT_THE_BODY)
        following = replace(following, method="GET", has_body=False, headers=headers)
    if following.has_body and not hop.can_replay:
        raise ValueError("redirects a request whose body was streamed and cannot be sent again")
    if destination.origin != hop.destination.origin:
        following = replace(following, headers=_without(following.headers, _CREDENTIALS))
    return following
