"""WebSockets that workers ask for outside: from the answer to a handshake to an end of a WebSocket.

The request goes the way of every other: the same addresses are checked, the same redirects followed. What is taken out
of aiohttp's hands is the transport, once the server has switched protocols; a connection's place in the pool is given
back when it is gone.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from typing import TYPE_CHECKING, Final

from pyworkerd.errors import UpstreamError
from pyworkerd.messages import Response, header
from pyworkerd.websocket.handshake import read_answer
from pyworkerd.websocket.options import WireOptions
from pyworkerd.websocket.wire import take_over

from . import fields

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp
    from aiohttp.client_proto import ResponseHandler

    from pyworkerd.messages import Headers, Request
    from pyworkerd.websocket.wire import Wire

    from .outbound_plan import OutboundLimits
    from .redirects import Hop

OPTIONS: Final = WireOptions()


def asks(request: Request) -> bool:
    """Whether a request is for a WebSocket, as Workers have it: `Upgrade: websocket`, and the rest is done for it."""
    return request.method == "GET" and (header(request.headers, "upgrade") or "").lower() == "websocket"


def new_key() -> str:
    """A key that nobody can foresee (RFC 6455 section 4.1)."""
    return base64.b64encode(secrets.token_bytes(16)).decode()


class Keep:
    """The WebSockets of one client."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: set[asyncio.Task[None]] = set()

    def take_over(
        self,
        hop: Hop,
        response: aiohttp.ClientResponse,
        limits: OutboundLimits,
        give_back: Callable[[], None],
    ) -> Response:
        """The response of a server that has switched protocols. Raises `UpstreamError` if the handshake is none.

        `give_back` is called when the connection has gone.
        """
        host = hop.destination.authority
        raw = tuple(
            (name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t"))
            for name, value in response.raw_headers
        )
        agreement = read_answer(hop.socket_key, hop.headers, raw)
        try:
            headers = fields.from_response(
                response.raw_headers, max_bytes=limits.header_bytes, max_fields=limits.fields
            )
        except ValueError as error:
            raise UpstreamError(f"{host} sent a malformed answer") from error
        connection = response.connection
        transport = None if connection is None else connection.transport
        parser = None if connection is None else connection.protocol
        if transport is None or parser is None:
            raise UpstreamError(f"the connection to {host} broke")
        wire = take_over(transport, OPTIONS, agreement, client=True, rest=_rest(parser))
        task = asyncio.get_running_loop().create_task(_release(wire, response, parser))
        task.add_done_callback(lambda _: give_back())
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        return Response(101, _without_handshake(headers), url=hop.destination.url, web_socket=wire)

    async def aclose(self) -> None:
        """Wait until every connection is gone. They have been closed."""
        while self._open:
            await asyncio.wait(self._open)


async def _release(wire: Wire, response: aiohttp.ClientResponse, parser: ResponseHandler) -> None:
    """Hold the response, and with it the connection, as long as there is one; then tell aiohttp what it did not see."""
    await wire.lost()
    parser.connection_lost(None)
    response.close()


def _rest(parser: ResponseHandler) -> bytes:
    """What the server has sent right behind its answer: aiohttp gives it to whoever parses what follows an upgrade."""
    rest = _Collector()
    parser.set_parser(rest, None)
    return rest.data


class _Collector:
    """Parses nothing."""

    def __init__(self) -> None:
        self.data = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        """Nothing follows."""


def _without_handshake(headers: Headers) -> Headers:
    return tuple(
        pair for pair in headers if pair[0] not in ("sec-websocket-accept", "sec-websocket-extensions")
    )
