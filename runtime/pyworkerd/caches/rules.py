"""What a shared cache keeps of a response, and for how long (RFC 9111). Pure: time is a parameter.

Written out because it is a page: hishel's rules (2.0) are a client's, private, and look at the clock themselves.

What is left out is what a cache that is asked by hand has no use for: nobody can be asked whether something stale is
still right, so what would have to be (`no-cache`, `max-age=0`) is not kept. Directives of requests do not count, as on
Cloudflare's edge: whoever does not want an answer from the cache does not ask it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pyworkerd.bindings.arguments import type_error
from pyworkerd.http.conditional import http_date
from pyworkerd.http.semantics import OF_CONNECTION, OF_PROXY

if TYPE_CHECKING:
    from pyworkerd.messages import Headers

HEURISTIC: Final = {
    **dict.fromkeys((200, 203, 204, 300, 301, 308), 7200),
    **dict.fromkeys((404, 405, 410, 414, 501), 180),
}
"""Statuses that may be kept without a word about it (RFC 9110 section 15.1), and seconds for which (Cloudflare's edge:
two hours, three minutes)."""
FRACTION: Final = 0.1
MOST_S: Final = 86_400
"""Of the time since it was last modified, and at most: RFC 9111 section 4.2.2 names 10 %, and a day is where HTTP/1.1
once wanted a warning."""
FOREVER_S: Final = 1 << 31
"""RFC 9111 section 1.2.2: what a number that is too large becomes."""
MAX_VARY: Final = 32
OWN: Final = frozenset(("age", "cf-cache-status", "content-length"))
"""Fields that every answer gets anew."""
DROPPED: Final = OF_CONNECTION | OF_PROXY | OWN
"""Fields that are not kept (RFC 9111 section 3.1)."""
_DIRECTIVE: Final = re.compile(
    r'[ \t,]*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^ \t,;"]*)))?[ \t]*'
)

Vary = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a response that is kept, besides its body."""

    status: int
    headers: Headers
    vary: Vary
    """Fields of the request that its answer depends on, with the values that they had."""
    kept_at: float
    """Seconds since 1970."""
    age: float
    """How old it was then."""
    expires: float
    size: int = 0
    """Bytes of its body."""

    def is_for(self, headers: Headers) -> bool:
        """Whether a request with these headers may have it (RFC 9111 section 4.1)."""
        return all(combined(headers, name) == value for name, value in self.vary)

    def sized(self, size: int) -> Kept:
        """The same with its body."""
        return replace(self, size=size)


def check_put(method: str, status: int, headers: Headers) -> None:
    """What cannot be put at all. Raises a TypeError of the guest's (workerd: cache.c++)."""
    if method != "GET":
        raise type_error("Cannot cache response to non-GET request.")
    if status == 206:
        raise type_error("Cannot cache response to a range request (206 Partial Content).")
    if "*" in names_in(headers, "vary"):
        raise type_error("Cannot cache response with 'Vary: *' header.")
    if status == 101:
        raise type_error("Cannot cache WebSocket upgrade response.")


def check_url(url: str) -> str:
    """The key of a URL: the URL without its fragment. Raises a TypeError of the guest's."""
    scheme, found, rest = url.partition("://")
    if not found or not rest:
        raise type_error("Invalid URL. Cache API keys must be fully-qualified, valid URLs.")
    if scheme.lower() not in ("http", "https"):
        raise type_error("Invalid URL. Cache API keys must have an HTTP or HTTPS scheme.")
    return url.partition("#")[0]


def keep(asked: Headers, status: int, headers: Headers, now: float) -> Kept | None:
    """What is kept of a response to a request with the headers `asked`; None if it may not be (section 3)."""
    said = directives(headers)
    if not 200 <= status <= 599 or status in (206, 304) or "no-store" in said:
        return None
    if said.get("private", "") is None or said.get("no-cache", "") is None:
        return None
    if "authorization" in dict(asked) and not said.keys() & {"public", "must-revalidate", "s-maxage"}:
        return None  # section 3.5
    dropped = DROPPED | names_in(headers, "connection")
    dropped |= {
        name.strip().lower() for key in ("private", "no-cache") for name in (said.get(key) or "").split(",")
    }
    rest = tuple((name, value) for name, value in headers if name not in dropped)
    if "set-cookie" in dict(rest):
        return None  # it is meant for one client (Cloudflare: never, but with private=Set-Cookie without it)
    varies = names_in(headers, "vary")
    seconds = lifetime(status, headers, now)
    age = initial_age(headers, now)
    if "*" in varies or len(varies) > MAX_VARY or seconds is None or seconds <= age:
        return None
    vary = tuple((name, combined(asked, name)) for name in sorted(varies))
    return Kept(status, rest, vary, now, age, now + seconds - age)


def lifetime(status: int, headers: Headers, now: float) -> float | None:
    """Seconds for which a response is fresh, from when it was made (section 4.2.1); None: it may not be kept."""
    said = directives(headers)
    for name in ("s-maxage", "max-age"):
        if name in said:
            return delta_seconds(said[name])
    fields = dict(reversed(headers))
    made = http_date(fields.get("date", ""))
    if "expires" in fields:
        expires = http_date(fields["expires"])  # what is no date, "0" for one, has passed
        return 0 if expires is None else max(expires - (now if made is None else made), 0)
    if status not in HEURISTIC:
        return None
    modified = http_date(fields.get("last-modified", ""))
    if modified is None:
        return HEURISTIC[status]
    return min(max((now if made is None else made) - modified, 0) * FRACTION, MOST_S)


def initial_age(headers: Headers, now: float) -> float:
    """How old a response is when it comes (section 4.2.3); that it was on its way is not known."""
    fields = dict(reversed(headers))
    made = http_date(fields.get("date", ""))
    apparent = 0.0 if made is None else max(now - made, 0.0)
    said = fields.get("age", "").strip()
    return max(
        apparent, min(int(said), FOREVER_S) if said.isascii() and said.isdecimal() and len(said) < 20 else 0
    )


def delta_seconds(value: str | None) -> int:
    """A number of seconds; what is none makes a response stale (section 4.2.1)."""
    text = (value or "").strip()
    if not (text.isascii() and text.isdecimal()):
        return 0
    return min(int(text), FOREVER_S) if len(text) < 20 else FOREVER_S


def directives(headers: Headers) -> dict[str, str | None]:
    """Of all `cache-control` fields; the first of each counts. What is malformed is left out."""
    found: dict[str, str | None] = {}
    for value in (value for key, value in headers if key == "cache-control"):
        position = 0
        while position < len(value):
            match = _DIRECTIVE.match(value, position)
            if match is None:  # to the next comma
                position = value.find(",", position) + 1 or len(value)
                continue
            quoted = match[2]
            argument = match[3] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found.setdefault(match[1].lower(), argument)
            position = match.end()
    return found


def names_in(headers: Headers, name: str) -> frozenset[str]:
    """The names that a field lists, in lower case."""
    listed = ",".join(value for key, value in headers if key == name)
    return frozenset(each.strip().lower() for each in listed.split(",") if each.strip())


def combined(headers: Headers, name: str) -> str | None:
    """The field's value, of all its lines together; None if it is absent."""
    values = [" ".join(value.split()) for key, value in headers if key == name]
    return ", ".join(values) if values else None
