"""Who is at the other end of the connection that a request came by.

It is not a header, which a client could forge, and not a field of `Request`, which services hand on to each
other: the server sets a context variable before it calls the handler, and code awaited by the handler sees it
too.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """Both ends of a connection. `client` is None on a Unix socket."""

    client: str | None
    client_port: int | None
    server: str
    """`host:port` or `unix`; the authority in URLs of HTTP/1.0 requests that name no Host."""


connection_info: Final[ContextVar[ConnectionInfo | None]] = ContextVar("connection_info", default=None)
"""Of the request that is being handled; None outside a request of `HttpServer`."""


def describe(peer: Any, local: Any) -> ConnectionInfo:
    """From the two names that a transport gives: tuples for IP, text or nothing for Unix sockets."""
    if not isinstance(peer, tuple) or not isinstance(local, tuple):
        return ConnectionInfo(None, None, "unix")
    host = f"[{local[0]}]" if ":" in local[0] else local[0]
    return ConnectionInfo(peer[0], peer[1], f"{host}:{local[1]}")
