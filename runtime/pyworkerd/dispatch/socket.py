"""One WebSocket between a guest and whoever has its other end: credit both ways, so that neither can flood the other.

Rule 1: the guest is sent no more than it has given credit for, and no message beyond its limit: that closes with 1009.
Rule 2: what the guest sends waits here, a window of it at most, until it is pulled. It is accounted, and bounded for
        all sockets of an isolate together: where there is no room for more, the socket closes with 1013.
Rule 3: a socket ends once. Whoever ends it, the other side hears after what was sent before.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from pyworkerd_isolates.protocol import CHUNK, PIECE, SOCKET_WINDOW, Events

from pyworkerd.errors import BadEffect
from pyworkerd.websocket import Close, Piece, WebSocket, WebSocketClosed
from pyworkerd.websocket.base import TOO_BIG, UNWANTED

if TYPE_CHECKING:
    from pyworkerd_isolates.protocol import SocketSend

    from .invocation import Invocation
    from .sockets import SocketDoor, Sockets


class Socket:
    """The host's record of one. `outer()` is the end for others; it may be asked for once."""

    __slots__ = (
        "_close",
        "_credit",
        "_decoder",
        "_door",
        "_ended",
        "_held",
        "_owed",
        "_pieces",
        "_reader",
        "_size",
        "_table",
        "_text",
        "_turn",
        "_waiter",
        "inside",
        "number",
        "owner",
    )

    def __init__(self, door: SocketDoor, table: Sockets, number: int, owner: Invocation) -> None:
        self._door, self._table, self.number, self.owner = door, table, number, owner
        self.inside = False
        """Its other end is a guest's as well."""
        self._close: Close | None = None
        """How the guest's side ended; pieces that it sent before are still to be pulled."""
        self._ended = False
        """It is in no table any more, and the guest is told nothing."""
        # From the guest.
        self._pieces: deque[tuple[Piece, int]] = deque()
        """With what each counts for."""
        self._held = 0
        self._owed = 0
        self._text: bool | None = None
        """The kind of the message that the guest is sending."""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._reader: asyncio.Future[None] | None = None
        # To the guest.
        self._credit = 0
        self._size = 0
        """Bytes of the message that is being sent to the guest."""
        self._waiter: asyncio.Future[None] | None = None
        self._turn = asyncio.Lock()

    def outer(self, protocol: str = "") -> WebSocket:
        """The end for whoever is at the other side."""
        return _Outer(self, protocol)

    # the guest's effects ---------------------------------------------------------------------------------------------

    def sent(self, effect: SocketSend) -> None:
        """A piece of a message. Raises `BadEffect` for more than there was credit for, and for what is no message."""
        if self._close is not None:
            raise BadEffect("the worker sent on a WebSocket that it had closed")
        cost = len(effect.data) + PIECE
        if self._held + cost + self._owed > SOCKET_WINDOW:
            raise BadEffect("the worker sent more on a WebSocket than it had credit for")
        if self._text is not None and self._text is not effect.text:
            raise BadEffect("the worker mixed text and bytes in one message")
        if not self._door.room.has(cost):
            self._table.overflows(self)
            return
        data = self._decoded(effect) if effect.text else effect.data
        self._text = None if effect.end else effect.text
        self._pieces.append((Piece(data, effect.end), cost))
        self._hold(cost)
        _wake(self._reader)

    def _hold(self, cost: int) -> None:
        self._held += cost
        self._door.room.promised += cost
        self._door.room.hold(cost)

    def _decoded(self, effect: SocketSend) -> str:
        try:
            if effect.end and self._decoder is None:
                return effect.data.decode()
            if self._decoder is None:
                self._decoder = codecs.getincrementaldecoder("utf-8")()
            text = self._decoder.decode(effect.data, effect.end)
        except UnicodeDecodeError:
            raise BadEffect("the worker sent text on a WebSocket that is not UTF-8") from None
        if effect.end:
            self._decoder = None
        return text

    def close(self, close: Close) -> None:
        """The guest closes: after what it has sent, and once."""
        if self._close is not None:
            raise BadEffect("the worker closed a WebSocket twice")
        self._close = close
        _wake(self._reader)
        _wake(self._waiter)

    def credit(self, credit: int) -> None:
        """The guest has room for more. Raises `BadEffect` beyond the window."""
        self._credit += credit
        if self._credit > SOCKET_WINDOW:
            raise BadEffect("the worker asked for more of a WebSocket than the window allows")
        _wake(self._waiter)

    # the end ---------------------------------------------------------------------------------------------------------

    def give_up(self, close: Close, *, tell: bool = False) -> None:
        """The guest's side is over. What it has sent may still be pulled; `tell` the guest, if it still runs."""
        if not self._ended:
            self._over(close)
            if tell:
                self._tell(close)

    def _over(self, close: Close) -> None:
        self._ended = True
        self._close = self._close or close
        self._table.ended(self)
        _wake(self._reader)
        _wake(self._waiter)

    def _tell(self, close: Close) -> None:
        code, reason, clean = close
        self._door.send(
            self.owner.id,
            partial(Events.ws_closed, socket=self.number, code=code, reason=reason, clean=clean),
        )

    # the other end's -------------------------------------------------------------------------------------------------

    async def pull(self) -> Piece:
        """See `WebSocket.pull`."""
        while not self._pieces:
            if self._close is not None:
                raise WebSocketClosed(self._close)
            if self._reader is not None:
                raise RuntimeError("two tasks receive from the same WebSocket")
            self._reader = self._door.loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        piece, cost = self._pieces.popleft()
        self._hold(-cost)
        self._owed += cost
        if self._owed >= SOCKET_WINDOW // 2 and self._close is None:
            self._door.send(self.owner.id, partial(Events.ws_credit, socket=self.number, credit=self._owed))
            self._owed = 0
        return piece

    async def push(self, piece: Piece) -> None:
        """See `WebSocket.push`."""
        text = isinstance(piece.data, str)
        data = piece.data.encode() if isinstance(piece.data, str) else piece.data
        async with self._turn:
            self._size += len(data)
            if self._size > self._table.message_bytes:
                self.end(Close(TOO_BIG, "a message is too big", clean=False))
            view = memoryview(data)
            while True:
                await self._room()
                size = min(CHUNK, self._credit - PIECE, len(view))
                self._credit -= size + PIECE
                part, view = bytes(view[:size]), view[size:]
                self._send(part, text, piece.end and not view)
                if not view:
                    break
            if piece.end:
                self._size = 0

    async def _room(self) -> None:
        while self._close is None:
            if self._credit <= PIECE:
                self._waiter = self._door.loop.create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
            elif (crowd := self._table.crowd()) is not None:
                await asyncio.shield(crowd)
            else:
                return
        raise WebSocketClosed(self._close)

    def _send(self, data: bytes, text: bool, end: bool) -> None:
        self._table.sends(self, len(data) + PIECE)
        self._door.send(
            self.owner.id, partial(Events.ws_message, socket=self.number, data=data, text=text, end=end)
        )

    def end(self, close: Close) -> None:
        """See `WebSocket.end`."""
        self._pieces.clear()
        self._hold(-self._held)
        if not self._ended:
            self._over(close)
            self._tell(close)

    def forsake(self) -> None:
        """The other end has gone without a word; called by the garbage collector, on whatever thread."""
        if not self._ended or self._held:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and with it everything else
                self._door.loop.call_soon_threadsafe(self.end, UNWANTED)


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)


class _Outer(WebSocket):
    """The end that others hold. When nobody holds it any more, it has closed."""

    __slots__ = ("_protocol", "_socket")

    def __init__(self, socket: Socket, protocol: str) -> None:
        self._socket, self._protocol = socket, protocol

    @property
    def protocol(self) -> str:
        """See `WebSocket`."""
        return self._protocol

    async def pull(self) -> Piece:
        """See `WebSocket`."""
        return await self._socket.pull()

    async def push(self, piece: Piece) -> None:
        """See `WebSocket`."""
        await self._socket.push(piece)

    def end(self, close: Close) -> None:
        """See `WebSocket`."""
        self._socket.end(close)

    @property
    def inside(self) -> bool:
        """See `WebSocket`."""
        return True

    def lead_inside(self) -> None:
        """See `WebSocket`."""
        self._socket.inside = self._socket.owner.inside = True

    def __del__(self) -> None:
        self._socket.forsake()
