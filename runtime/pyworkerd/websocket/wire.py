"""One end of a WebSocket on a transport: what takes a connection over after the upgrade, on either side of it.

Rule 1. Both buffers are bounded: reading pauses while `receive_buffer` waits to be pulled, `push` waits while
        `send_buffer` waits for the peer. Neither waits for the other.
Rule 2. A peer is given up when it answers no ping, no close, or takes nothing of what waits for it. Whoever pulls then
        hears 1006.
Rule 3. A peer that sends much, or much that is small, is read in turns with everybody else.
Rule 4. Of pings that came while the peer was not reading, only the last is answered (RFC 6455 section 5.5.3).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from .base import LOST, Close, Piece, WebSocket, WebSocketClosed
from .deflate import Deflate
from .protocol import Ended, Ping
from .protocol import Protocol as Frames

if TYPE_CHECKING:
    from .handshake import Accepted
    from .options import WireOptions

CHUNK: Final = 65_536
"""Bytes (or characters) of one frame at most: a larger message leaves in fragments."""
OVERHEAD: Final = 64
"""Bytes that a piece counts for besides its data, so that a flood of empty ones is bounded as well."""
_FRAME: Final = 1024
"""Bytes that take as long to be read as a frame."""
_TURN: Final = 256 * 1024
"""Bytes, or what counts as such, that are read in one turn of the loop: some milliseconds."""
_LOST: Final = Close(LOST, "", clean=False)


class Traffic(Protocol):
    """Where bytes are counted."""

    received: int
    sent: int


class Wire(asyncio.Protocol, WebSocket):
    """An end whose other end is a peer on the network. Make it with `take_over`."""

    __slots__ = (
        "_at",
        "_close",
        "_closing",
        "_frames",
        "_heard",
        "_held",
        "_loop",
        "_lost",
        "_options",
        "_paused",
        "_pieces",
        "_pinged",
        "_pong",
        "_protocol",
        "_raw",
        "_reader",
        "_reading",
        "_stalled",
        "_tick",
        "_traffic",
        "_transport",
        "_turn",
        "_unsent",
        "_writable",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        frames: Frames,
        options: WireOptions,
        protocol: str = "",
        traffic: Traffic | None = None,
    ) -> None:
        self._transport, self._frames, self._options = transport, frames, options
        self._protocol, self._traffic = protocol, traffic
        self._loop = asyncio.get_running_loop()
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self._raw = b""
        """Bytes that have not been read as frames yet, from position `_at`: there is no room for what they hold."""
        self._at = 0
        self._reading = False
        """They will be, in the loop's next turn."""
        self._pieces: deque[Piece] = deque()
        self._held = 0
        self._paused = False
        """Reading is."""
        self._reader: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        """Done when the transport has room again; None while it has."""
        self._turn = asyncio.Lock()
        """Whoever sends a message that takes more than one frame."""
        self._pong: bytes | None = None
        self._close: Close | None = None
        """How it ended."""
        self._closing = False
        """This end has sent its close frame."""
        self._heard = True
        self._pinged = False
        self._unsent = 0
        """Bytes that waited for the peer at the last look, 0 if it has caught up since."""
        self._stalled = 0.0
        self._tick: asyncio.TimerHandle | None = None
        self._set_tick(options.ping_interval)

    @property
    def protocol(self) -> str:
        """See `WebSocket`."""
        return self._protocol

    # the transport's calls -------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes from the peer."""
        if self._traffic is not None:
            self._traffic.received += len(data)
        self.take(data)

    def take(self, data: bytes) -> None:
        """Bytes of the peer, by whomever they were received."""
        self._heard = True
        if self._close is None:
            self._raw = self._raw[self._at :] + data if self._raw else data
            self._at = 0
            if not self._reading:
                self._read()

    def pause_writing(self) -> None:
        """The peer is slower than we are."""
        if self._writable is None:
            self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._unsent = 0
        waiting, self._writable = self._writable, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
        if self._pong is not None:
            payload, self._pong = self._pong, None
            self._write(self._frames.pong(payload))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason changes nothing
        """The connection is gone, by whoever's hand."""
        self._finish(_LOST)
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        self.resume_writing()
        if not self._lost.done():
            self._lost.set_result(None)

    # in --------------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """Read frames as long as there is room for what they hold; then, or when others wait for their turn, stop."""
        self._reading = False
        size, full, left = self._frames.slice, self._options.receive_buffer, _TURN
        while self._at < len(self._raw) and self._close is None and self._held < full and left > 0:
            data = self._raw[self._at : self._at + size]
            self._at += len(data)
            events = self._frames.receive(data)
            left -= len(events) * _FRAME + len(data)
            for event in events:
                if isinstance(event, Piece):
                    left -= len(event.data)
                    self._take(event)
                elif isinstance(event, Ping):
                    self._answer(event.payload)
                elif isinstance(event, Ended):
                    self._ended(event)
        self._pause_or_go_on()

    def _pause_or_go_on(self) -> None:
        if self._at >= len(self._raw) or self._close is not None:
            self._raw, self._at = b"", 0
        elif self._held < self._options.receive_buffer and not self._reading:
            self._reading = True
            self._loop.call_soon(self._read)
        pause = bool(self._raw)
        if pause != self._paused and not self._transport.is_closing():
            self._paused = pause
            (self._transport.pause_reading if pause else self._transport.resume_reading)()

    def _take(self, piece: Piece) -> None:
        if self._closing:
            return
        self._held += len(piece.data) + OVERHEAD
        last = self._pieces[-1] if self._pieces else None
        if last is not None and not last.end and len(last.data) < CHUNK:
            piece = Piece(last.data + piece.data, piece.end)  # type: ignore[operator]  # of one message
            self._held -= OVERHEAD
            self._pieces.pop()
        self._pieces.append(piece)
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _answer(self, payload: bytes) -> None:
        if self._writable is not None:
            self._pong = payload
        else:
            self._write(self._frames.pong(payload))

    def _ended(self, event: Ended) -> None:
        """The close handshake is over, or the peer does not follow the protocol."""
        self._finish(event.close)
        self._write(event.answer)
        if event.close.clean:
            self._transport.close()
            self._set_tick(self._options.close_timeout)
        else:
            self._linger()

    def _finish(self, close: Close) -> None:
        if self._close is None:
            self._close = close
            self._wake()
            self._free_senders()

    def _linger(self) -> None:
        """Let the peer read why: section 7.1.1, and no byte of it is looked at any more (section 7.1.7). Closing at
        once would reset the connection if anything of it is under way.
        """
        self._pause_or_go_on()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()
        self._set_tick(self._options.close_timeout)

    # out -------------------------------------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        if data:
            if self._traffic is not None:
                self._traffic.sent += len(data)
            self._transport.write(data)

    def _check_open(self) -> None:
        if self._close is not None or self._closing:
            raise WebSocketClosed(self._close or _LOST)

    async def _room(self) -> None:
        while self._writable is not None and self._close is None and not self._closing:
            await asyncio.shield(self._writable)
        self._check_open()

    def _free_senders(self) -> None:
        """Whoever waits to send need not any more."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    # WebSocket -------------------------------------------------------------------------------------------------------

    async def pull(self) -> Piece:
        """See `WebSocket`."""
        while not self._pieces:
            if self._close is not None:
                raise WebSocketClosed(self._close)
            if self._reader is not None:
                raise RuntimeError("two tasks receive from the same WebSocket")
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        piece = self._pieces.popleft()
        self._held -= len(piece.data) + OVERHEAD
        if self._raw:
            self._pause_or_go_on()
        return piece

    async def push(self, piece: Piece) -> None:
        """See `WebSocket`."""
        async with self._turn:
            data, end = piece
            for start in range(0, len(data) or 1, CHUNK):
                await self._room()
                part = data[start : start + CHUNK]
                self._write(self._frames.send(Piece(part, end and start + CHUNK >= len(data))))

    def end(self, close: Close) -> None:
        """See `WebSocket`. A close that is not clean waits for no answer."""
        if self._closing or self._close is not None:
            return
        self._closing = True
        self._pieces.clear()
        self._held = 0
        self._write(self._frames.close(close))
        self._free_senders()
        if close.clean:
            self._set_tick(self._options.close_timeout)
            self._pause_or_go_on()
        else:
            self._finish(close)
            self._linger()

    def abort(self) -> None:
        """Reset the connection."""
        self._transport.abort()

    async def lost(self) -> None:
        """Wait until the connection is gone."""
        await asyncio.shield(self._lost)

    # time ------------------------------------------------------------------------------------------------------------

    def _set_tick(self, seconds: float) -> None:
        if self._tick is not None:
            self._tick.cancel()
        self._tick = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """Is the peer still there? Twice in the time that a silent one has."""
        self._tick = None
        if self._closing or self._close is not None or self._is_stuck():
            self.abort()
            return
        if self._heard:
            self._heard = self._pinged = False
        elif not self._pinged:
            self._pinged = True
            self._write(self._frames.ping())
        elif self._writable is None:
            self.abort()
            return
        self._set_tick(self._options.ping_interval)

    def _is_stuck(self) -> bool:
        """Whether the peer has taken nothing for too long of what waits for it."""
        before, self._unsent = self._unsent, self._transport.get_write_buffer_size()
        if self._writable is None or self._unsent < before or not before:
            self._stalled = 0.0
        else:
            self._stalled += self._options.ping_interval
        return self._stalled >= self._options.write_timeout


def take_over(
    transport: asyncio.Transport,
    options: WireOptions,
    agreement: Accepted,
    *,
    client: bool = False,
    rest: bytes = b"",
    traffic: Traffic | None = None,
) -> Wire:
    """Make a connection that has been upgraded a WebSocket. `rest` is what the peer has sent since.

    Reading must not be paused. `traffic` counts the bytes from now on.
    """
    terms = agreement.terms
    deflate = None if terms is None else Deflate(terms.send_bits, terms.receive_bits)
    wire = Wire(transport, Frames(client=client, deflate=deflate), options, agreement.protocol, traffic)
    transport.set_write_buffer_limits(high=options.send_buffer)
    transport.set_protocol(wire)
    if rest:
        wire.take(rest)
    return wire
