"""From HTTP/1.1 to a WebSocket: the answer to an opening handshake, and the connection's second life."""

from __future__ import annotations

import asyncio
import logging
from importlib import import_module
from typing import TYPE_CHECKING, Final

from pyworkerd.errors import BadEffect
from pyworkerd.http.writer import encode_switch
from pyworkerd.messages import header
from pyworkerd.websocket import Close, splice
from pyworkerd.websocket.base import GOING_AWAY
from pyworkerd.websocket.handshake import accepted, read_opening

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.messages import Request, Response
    from pyworkerd.websocket import WebSocket
    from pyworkerd.websocket.handshake import Accepted

    from .shared import Shared

logger: Final = logging.getLogger("pyworkerd.server")


async def prepare(
    request: Request, response: Response, shared: Shared, request_id: str
) -> tuple[bytes, Callable[[asyncio.Transport, bytes], None]]:
    """The head to send, and how the transport is then taken over, with what the client has sent after its request.

    Raises a `ClientError` for a handshake that is none (RFC 6455 section 4.2.2), `BadEffect` for an answer that cannot
    be given; the response is closed then.
    """
    web_socket = response.web_socket
    assert web_socket is not None
    try:
        if header(request.headers, "upgrade") is None:
            raise BadEffect("the worker answered with a WebSocket, and was asked for none")  # noqa: TRY301
        options = shared.options
        agreement, own, fields = accepted(
            read_opening(request.headers), response.headers, compress=options.web_socket.compress
        )
        head = encode_switch(
            own, fields, date=shared.date(), server=options.server_name, request_id=request_id
        )
        await asyncio.to_thread(import_module, "pyworkerd.websocket.wire")  # the first one loads wsproto
    except BaseException:
        await response.aclose()
        raise

    def take_over(transport: asyncio.Transport, rest: bytes) -> None:
        Upgraded(shared, web_socket, agreement, transport, rest)

    return head, take_over


class Upgraded:
    """A connection that has become a WebSocket, joined to the one that the handler gave."""

    __slots__ = ("_shared", "_task", "_wire")

    def __init__(
        self,
        shared: Shared,
        web_socket: WebSocket,
        agreement: Accepted,
        transport: asyncio.Transport,
        rest: bytes,
    ) -> None:
        from pyworkerd.websocket.wire import take_over  # noqa: PLC0415 (loaded by now)

        self._shared = shared
        self._wire = take_over(
            transport, shared.options.web_socket, agreement, rest=rest, traffic=shared.counters
        )
        shared.join(self)
        shared.counters.web_sockets += 1
        self._task = shared.loop.create_task(self._run(web_socket))
        if shared.draining:
            self.begin_drain()

    async def _run(self, web_socket: WebSocket) -> None:
        try:
            await splice(web_socket, self._wire)
        except Exception:
            logger.exception("a WebSocket failed")
        finally:
            await self._wire.lost()
            self._shared.counters.web_sockets -= 1
            self._shared.leave(self)

    def begin_drain(self) -> None:
        """See `Member`: the client is told that the server goes away (RFC 6455 section 7.4.1)."""
        self._wire.end(Close(GOING_AWAY))

    def cancel(self) -> None:
        """See `Member`."""
        self.abort()

    def abort(self) -> None:
        """See `Member`."""
        self._wire.abort()
