"""A WebSocket between two processes, over the connection that its request came on.

A frame is a byte that says what it is, and the piece. Waiting for the connection is the back-pressure.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from pyworkerd.websocket.base import LOST, Close, Piece, WebSocket, WebSocketClosed

from .framing import receive, send

if TYPE_CHECKING:
    import asyncio

TEXT, BINARY, LAST, CLOSE, INSIDE = 0, 2, 1, 8, 9
"""The first byte: `LAST` is added to the last piece of a message. `INSIDE` is `WebSocket.lead_inside`."""
CHARACTERS: Final = 16_384
"""Of a text in one frame; as many bytes of anything else."""


class FramedSocket(WebSocket):
    """The other end is in another process. `inside` is whether that is a guest's; in the process of the one that has
    made the socket, `made` is its end there."""

    __slots__ = ("_closed", "_ended", "_inside", "_made", "_protocol", "_reader", "_writer")

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        protocol: str = "",
        *,
        inside: bool = False,
        made: WebSocket | None = None,
    ) -> None:
        self._reader, self._writer, self._protocol = reader, writer, protocol
        self._inside, self._made = inside, made
        self._closed: Close | None = None
        """How the other end closed."""
        self._ended: Close | None = None
        """How this one did."""

    @property
    def protocol(self) -> str:
        """See `WebSocket`."""
        return self._protocol

    @property
    def inside(self) -> bool:
        """See `WebSocket`."""
        return self._inside

    def lead_inside(self) -> None:
        """See `WebSocket`."""
        self._write(bytes((INSIDE,)))

    async def pull(self) -> Piece:
        """See `WebSocket`."""
        while self._closed is None:
            try:
                frame = await receive(self._reader)
            except (EOFError, OSError, ValueError):
                frame = None
            if not frame:
                self._over(Close(LOST, "", clean=False))
            elif frame[0] == CLOSE:
                self._over(
                    Close(
                        int.from_bytes(frame[1:3], "big"), frame[4:].decode("utf-8", "replace"), frame[3] == 1
                    )
                )
            elif frame[0] == INSIDE:
                if self._made is not None:
                    self._made.lead_inside()
            elif self._ended is None:
                data = frame[1:]
                text = frame[0] & BINARY == 0
                return Piece(data.decode("utf-8", "replace") if text else data, bool(frame[0] & LAST))
        raise WebSocketClosed(self._closed)

    def _over(self, close: Close) -> None:
        self._closed = close
        if self._ended is not None or close.code == LOST:
            self._writer.close()

    async def push(self, piece: Piece) -> None:
        """See `WebSocket`."""
        data, end = piece
        kind = TEXT if isinstance(data, str) else BINARY
        places = range(0, max(len(data), 1), CHARACTERS)
        for start in places:
            if (closed := self._closed or self._ended) is not None:
                raise WebSocketClosed(closed)
            part = data[start : start + CHARACTERS]
            last = LAST if end and start == places[-1] else 0
            encoded = part.encode("utf-8", "replace") if isinstance(part, str) else part
            try:
                await send(self._writer, bytes((kind + last,)) + encoded)
            except OSError:
                raise WebSocketClosed(Close(LOST, "", clean=False)) from None

    def end(self, close: Close) -> None:
        """See `WebSocket`."""
        if self._ended is not None:
            return
        self._ended = close
        frame = (
            bytes((CLOSE,)) + close.code.to_bytes(2, "big") + bytes((close.clean,)) + close.reason.encode()
        )
        self._write(frame)
        if self._closed is not None or not close.clean:
            self._writer.close()

    def _write(self, frame: bytes) -> None:
        with contextlib.suppress(OSError, RuntimeError):  # the connection has gone
            self._writer.write(len(frame).to_bytes(4, "big") + frame)
