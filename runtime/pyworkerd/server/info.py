"""Who is at the other end of the connection that a request came by.

It is not a header, which a client could forge, and not a field of `Request`, which services hand on to each
other: the server sets a context variable before it calls the handler, and code awaited by the handler sees it
too.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pyworkerd.http.forwarded import plain_address

if TYPE_CHECKING:
    import asyncio

    from .client_certificate import ClientCertificate


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """Both ends of a connection: of this one, or as a trusted proxy tells it."""

    client: str | None
    """Address of the client in its usual form; None on a Unix socket, or if a proxy does not tell."""
    client_port: int | None
    server: str
    """`host:port` or `unix`; the authority in URLs of HTTP/1.0 requests that name no Host."""
    scheme: str = "http"
    peer: str | None = None
    """Address of whoever is connected; other than `client` if that is a proxy. None on a Unix socket."""
    certificate: ClientCertificate | None = None
    """What the client proved to be, where the socket asks for certificates."""


connection_info: Final[ContextVar[ConnectionInfo | None]] = ContextVar("connection_info", default=None)
"""Of the request that is being handled; None outside a request of `HttpServer`."""


def describe(transport: asyncio.BaseTransport) -> ConnectionInfo:
    """From the two names that a transport gives: tuples for IP, text or nothing for Unix sockets."""
    peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    if not isinstance(peer, tuple) or not isinstance(local, tuple):
        return ConnectionInfo(None, None, "unix")
    client = plain_address(peer[0])
    return ConnectionInfo(
        client, peer[1], authority(plain_address(local[0]) or local[0], local[1]), peer=client
    )


def authority(host: str, port: int) -> str:
    """`host:port` as a URL has it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
