"""What an ASGI server says about a request or a handshake, in our words; and which of our headers it gets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from pyworkerd.errors import BadRequest
from pyworkerd.http.forwarded import plain_address
from pyworkerd.http.semantics import OF_CONNECTION, is_authority
from pyworkerd.observe.trace import REQUEST_ID
from pyworkerd.server.info import ConnectionInfo, authority

if TYPE_CHECKING:
    from pyworkerd.messages import Headers

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_DROPPED: Final = OF_CONNECTION | {"content-length", REQUEST_ID}
"""Headers that are the server's business, or ours."""
_PATH_SAFE: Final = "/:@!$&'()*+,;=~-._"
_SCHEMES: Final = {"ws": "http", "wss": "https"}


def headers_of(scope: Scope) -> Headers:
    """The headers that the client sent."""
    return tuple(
        (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]
    )


def url_of(scope: Scope, headers: Headers) -> str:
    """The absolute URL that the client asked for, also below a mount; of a WebSocket, the one of its handshake.

    Raises `BadRequest` where host and path would not be those of the URL: not every server looks at what a client says.
    """
    named = [value for name, value in headers if name == "host"]
    if len(named) > 1 or (named and named[0] and not is_authority(named[0])):
        raise BadRequest("the request has no valid Host")
    host = named[0] if named else ""
    if not host:
        name, port = scope.get("server") or ("localhost", None)
        host = name if port is None else f"{name}:{port}"
    raw = scope.get("raw_path")
    path = raw.decode("latin-1").partition("?")[0] if raw else quote(scope["path"], safe=_PATH_SAFE)
    if not path.startswith("/"):
        if path != "*":
            raise BadRequest("the request's target is no path")
        path = "/"
    query = scope.get("query_string", b"").decode("latin-1")
    scheme = scope.get("scheme", "http")
    return f"{_SCHEMES.get(scheme, scheme)}://{host}{path}" + (f"?{query}" if query else "")


def info_of(scope: Scope) -> ConnectionInfo:
    """Who is at the other end, as far as the ASGI server tells: what it believes of proxies is its business."""
    host, port = scope.get("client") or (None, None)
    name, own = scope.get("server") or ("localhost", None)
    client = plain_address(host) if isinstance(host, str) else None
    return ConnectionInfo(
        client, port, name if own is None else authority(name, own), scope.get("scheme", "http")
    )


def answered(headers: Headers, request_id: str) -> list[tuple[bytes, bytes]]:
    """A response's headers for the server, without those that are its business."""
    own = [(name, value) for name, value in headers if name not in _DROPPED]
    return [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in (*own, (REQUEST_ID, request_id))
    ]
