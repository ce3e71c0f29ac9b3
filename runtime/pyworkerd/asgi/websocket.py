"""A WebSocket of an ASGI server, joined to a worker's.

ASGI knows whole messages only, so here they are put together. What the server says of its own (pings, compression,
limits of size) is its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from pyworkerd.errors import BadEffect
from pyworkerd.messages import Request, Response, header
from pyworkerd.observe.scope import begin
from pyworkerd.observe.scope import scope as current_scope
from pyworkerd.server.failures import answer, log_failure
from pyworkerd.server.info import connection_info
from pyworkerd.websocket import Close, Piece, WebSocket, WebSocketClosed, splice
from pyworkerd.websocket.base import LOST, MAX_MESSAGE, NO_CODE, TOO_BIG, may_be_sent
from pyworkerd.websocket.handshake import PROTOCOL

from .scope import answered, headers_of, info_of, url_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pyworkerd.server import ErrorPage

    from .scope import Message, Receive, Scope, Send

_DENIAL: Final = "websocket.http.response"
"""The extension by which a handshake can be answered with an ordinary response."""


async def serve_websocket(
    handle: Callable[[Request], Awaitable[Response]],
    scope: Scope,
    receive: Receive,
    send: Send,
    page: ErrorPage | None,
) -> None:
    """One connection of the scope "websocket"."""
    current, headers = begin(headers_of(scope))
    current_scope.set(current)
    connection_info.set(info_of(scope))
    offered = list(scope.get("subprotocols") or ())
    fields = (*(pair for pair in headers if pair[0] != "upgrade"), ("upgrade", "websocket"))
    request = None
    await receive()  # "websocket.connect"
    try:
        request = Request("GET", url_of(scope, headers), fields)
        response = await handle(request)
        chosen = header(response.headers, PROTOCOL)
        if response.web_socket is not None and chosen is not None and chosen not in offered:
            await response.aclose()
            raise BadEffect("the worker chose a WebSocket sub-protocol that the client did not offer")  # noqa: TRY301
    except Exception as error:  # noqa: BLE001 - the border: whatever was raised becomes an answer
        log_failure(error, request)
        response = answer(error, request, page)
    own = [pair for pair in answered(response.headers, current.request_id) if pair[0] != PROTOCOL.encode()]
    if response.web_socket is None:
        await _deny(scope, response, own, send)
        return
    await send(
        {"type": "websocket.accept", "subprotocol": header(response.headers, PROTOCOL), "headers": own}
    )
    await splice(response.web_socket, Client(receive, send, response.web_socket.protocol))


async def _deny(scope: Scope, response: Response, headers: list[tuple[bytes, bytes]], send: Send) -> None:
    """Answer without a WebSocket; a server without the extension answers 403 by itself."""
    try:
        if _DENIAL not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": 1000})
            return
        await send({"type": f"{_DENIAL}.start", "status": response.status, "headers": headers})
        async for chunk in response.body:
            await send({"type": f"{_DENIAL}.body", "body": chunk, "more_body": True})
        await send({"type": f"{_DENIAL}.body", "body": b"", "more_body": False})
    finally:
        await response.aclose()


class Client(WebSocket):
    """The client of an ASGI server, after the handshake."""

    __slots__ = ("_closing", "_over", "_parts", "_protocol", "_receive", "_receiving", "_send", "_size")

    def __init__(self, receive: Receive, send: Send, protocol: str = "") -> None:
        self._receive, self._send, self._protocol = receive, send, protocol
        self._over: asyncio.Future[Close] = asyncio.get_running_loop().create_future()
        self._closing: asyncio.Task[None] | None = None
        self._receiving: asyncio.Task[Message] | None = None
        self._parts: list[str | bytes] = []
        self._size = 0

    @property
    def protocol(self) -> str:
        """See `WebSocket`."""
        return self._protocol

    async def pull(self) -> Piece:
        """See `WebSocket`."""
        if not self._over.done():
            receiving = self._receiving or asyncio.ensure_future(self._receive())
            self._receiving = receiving
            waits: set[asyncio.Future[Any]] = {receiving, self._over}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if receiving.done():
                self._receiving = None
                message = receiving.result()
                if message["type"] == "websocket.receive":
                    text, data = message.get("text"), message.get("bytes")
                    return Piece(text if text is not None else bytes(data or b""))
                code = message.get("code") or NO_CODE
                self._end(Close(code, message.get("reason") or "", clean=code != LOST))
        raise WebSocketClosed(await self._close())

    async def _close(self) -> Close:
        """How it ended, once the server has been told."""
        close = await asyncio.shield(self._over)
        if self._closing is not None:
            await asyncio.wait([self._closing])
        if self._receiving is not None:
            self._receiving.cancel()
            await asyncio.wait([self._receiving])
        return close

    async def push(self, piece: Piece) -> None:
        """See `WebSocket`. A message of more than 32 MiB in pieces closes with 1009: it cannot be put together."""
        data, end = piece
        self._parts.append(data)
        self._size += len(data)
        if self._over.done() or self._size > MAX_MESSAGE:
            self.end(Close(TOO_BIG, "", clean=False))
            raise WebSocketClosed(self._over.result())
        if not end:
            return
        whole: Any = data if len(self._parts) == 1 else type(data)().join(self._parts)  # type: ignore[arg-type]
        self._parts.clear()
        self._size = 0
        try:
            await self._send({"type": "websocket.send", "text" if isinstance(whole, str) else "bytes": whole})
        except Exception:  # noqa: BLE001 - servers say in their own ways that the client has gone
            self._end(Close(LOST, "", clean=False))
            raise WebSocketClosed(self._over.result()) from None

    def end(self, close: Close) -> None:
        """See `WebSocket`."""
        if not self._over.done():
            self._closing = asyncio.ensure_future(self._say(close))
            self._end(close)

    def _end(self, close: Close) -> None:
        if not self._over.done():
            self._over.set_result(close)

    async def _say(self, close: Close) -> None:
        code = close.code if may_be_sent(close.code) else (1000 if close.clean else 1011)
        with contextlib.suppress(Exception):  # the client has gone already
            await self._send({"type": "websocket.close", "code": code, "reason": close.reason})
