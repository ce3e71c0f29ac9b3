"""How a server behaves. Every default names whose number it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyworkerd.http import HttpLimits, ParserName
from pyworkerd.messages import Request, Response
from pyworkerd.websocket.options import WireOptions

if TYPE_CHECKING:
    from pyworkerd.observe.access import AccessSink

ErrorPage = Callable[[Request, Exception], Response | None]
"""May answer a failure with a page of its own, body in hand; None keeps the plain answer. Must not block."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Times are in seconds, sizes in bytes."""

    limits: HttpLimits = field(default_factory=HttpLimits)
    parser: ParserName = "httptools"
    arrival_timeout: float = 10.0
    """For the PROXY header of a connection, and again for its TLS handshake. As `header_timeout`: both are steps to
    the first request. Then: close."""
    certificate_check: float = 10.0
    """Between two looks at whether certificate files have changed. Our own figure: a stat per file."""
    header_timeout: float = 10.0
    """For a whole head, from its first byte, or from the start of the connection. The `timeout http-request
    10s` of the haproxy.cfg that Red Hat ships. Then: 408, or a silent close where nothing at all was sent."""
    idle_timeout: float = 75.0
    """Between two requests. nginx, keepalive_timeout: 75 s."""
    body_timeout: float = 60.0
    """Between two pieces of a request body, while the server is willing to read. nginx, client_body_timeout:
    60 s."""
    write_timeout: float = 60.0
    """Without a byte taken by a client that has data waiting. nginx, send_timeout: 60 s."""
    linger_timeout: float = 5.0
    """For the rest of a request that has been answered early or refused. nginx, lingering_timeout: 5 s."""
    discard_bytes: int = 256 * 1024
    """Of a body that nobody reads, taken so that the connection can go on. Go, maxPostHandlerReadBytes: 256
    KiB."""
    request_buffer: int = 64 * 1024
    """Body bytes held before reading pauses (one network read may go past it), and the largest body that is
    handed over in hand. asyncio, default StreamReader limit: 64 KiB."""
    response_buffer: int = 64 * 1024
    """Response bytes waiting in the transport before a streaming body pauses. asyncio, default high water: 64
    KiB."""
    http2_streams: int = 100
    """Requests of one HTTP/2 connection at once; one more is refused, to be tried again. The least that RFC 9113
    section 6.5.2 recommends."""
    http2_requests: int = 1000
    """Of one HTTP/2 connection, which then ends in good order. nginx, keepalive_requests: 1000."""
    max_connections: int = 10_000
    """Open at once; one more is answered 503 and closed. The figure of Kegel's C10K problem."""
    max_connections_each: int | None = None
    """Of them from one address (of IPv6: one network of 64 bits) without TLS; one more is answered in the same way.
    None: no such limit, since a proxy is one address."""
    backlog: int = 511
    """Connections that the kernel holds before they are accepted. nginx and Node: 511."""
    drain_idle: float = 0.5
    """How long `drain` leaves idle connections open: a request that is on its way is answered with `Connection:
    close`, where closing at once would lose it (RFC 9112 section 9.5). Our own figure: longer than most ways are."""
    cancel_grace: float = 1.0
    """How long cancelled handlers may clean up at the end of `drain` before their connections are reset."""
    web_socket: WireOptions = field(default_factory=WireOptions)
    """How connections behave that have been upgraded to WebSockets."""
    server_name: str = "pyworkerd"
    """Value of the `server` header where a response has none."""
    error_page: ErrorPage | None = None
    access_log: AccessSink | None = None
    """Hears of each request when it is over. Must not block."""
