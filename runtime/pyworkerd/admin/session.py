"""Sessions of the dashboard: a token is given once, and the page has a cookie in place of it. See `auth`."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from pyworkerd.messages import Body, Response
from pyworkerd.server import connection_info

from .api import JSON, ApiError, Route
from .auth import SESSION_S, cookie_of

if TYPE_CHECKING:
    from .api import Call
    from .auth import Session


class LogIn(msgspec.Struct, forbid_unknown_fields=True):
    """A token."""

    token: Annotated[str, msgspec.Meta(max_length=512)]


class About(msgspec.Struct):
    """Who the API takes the caller for."""

    name: str
    """Of the token; `unix` by a Unix socket."""
    csrf: str | None = None
    """What a session's requests have to send as `x-csrf-token`."""
    until: float | None = None
    """When the session ends, in seconds since 1970."""


async def _about(call: Call) -> About:
    assert call.caller is not None
    return _of(call.caller.name, call.caller.session)


async def _log_in(call: Call) -> Response:
    if call.client is None:
        raise ApiError(400, "a Unix socket needs no session: whoever can open it may use the API")
    now = time()
    value, session = call.gate.log_in(call.body.token, call.client, now)
    body = Body(msgspec.json.encode(_of(session.token.name, session)))
    cookie = cookie_of(value, min(SESSION_S, session.until - now), secure=_secure())
    return Response(200, (("content-type", JSON), ("set-cookie", cookie)), body)


async def _log_out(call: Call) -> Response:
    call.gate.log_out(call.request)
    return Response(204, (("set-cookie", cookie_of("", 0, secure=_secure())),))


def _of(name: str, session: Session | None) -> About:
    return About(name) if session is None else About(name, session.csrf, session.until)


def _secure() -> bool:
    info = connection_info.get()
    return info is not None and info.scheme == "https"


ROUTES: Final = (
    Route("GET", "/session", _about, "Who the API takes you for", About),
    Route(
        "POST",
        "/session",
        _log_in,
        "Begin a session: a cookie in place of the token",
        About,
        body=LogIn,
        open=True,
        headers={"set-cookie": "the session"},
    ),
    Route("DELETE", "/session", _log_out, "End the session", headers={"set-cookie": "takes the cookie away"}),
)
