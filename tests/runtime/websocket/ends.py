"""Two ends of a WebSocket in memory, joined; and what a peer on a real socket says and hears, byte by byte."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from pyworkerd.websocket import Close, Piece, WebSocket, WebSocketClosed


class End(WebSocket):
    """One of a pair. It agrees at once to what the other end says when it closes."""

    def __init__(self, room: int = 8) -> None:
        self.other: End = self
        self.pieces: deque[Piece] = deque()
        self.room = room
        self.closed: Close | None = None
        """How this end closed, or what it was told."""
        self.told: Close | None = None
        """What `end` was called with, the first time."""
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<end, told {self.told}, closed {self.closed}>"

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def pull(self) -> Piece:
        while not self.pieces:
            if self.closed is not None:
                raise WebSocketClosed(self.closed)
            await self._wait()
        self._changed.set()
        return self.pieces.popleft()

    async def push(self, piece: Piece) -> None:
        while len(self.other.pieces) >= self.other.room and self.closed is None:
            await self.other._wait()
        if self.closed is not None:
            raise WebSocketClosed(self.closed)
        self.other.pieces.append(piece)
        self.other._changed.set()

    def end(self, close: Close) -> None:
        if self.told is None:
            self.told = close
            self.pieces.clear()
            for end in (self, self.other):
                end.closed = end.closed or close
                end._changed.set()


def pair(room: int = 8) -> tuple[End, End]:
    one, other = End(room), End(room)
    one.other, other.other = other, one
    return one, other


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bool = True) -> bytes:
    """A frame as it stands in RFC 6455 section 5.2; with a mask of zeros the payload can be read."""
    size = len(payload)
    head = bytes([(fin << 7) | (rsv << 4) | opcode])
    bit = mask << 7
    if size < 126:
        head += bytes([bit | size])
    elif size < 65_536:
        head += bytes([bit | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([bit | 127]) + size.to_bytes(8, "big")
    return head + (bytes(4) if mask else b"") + payload


async def read_frame(reader: Any) -> tuple[int, bytes]:
    """The next frame that a server sends: its first byte, and its payload."""
    first, size = await reader.readexactly(2)
    if size == 126:
        size = int.from_bytes(await reader.readexactly(2), "big")
    elif size == 127:
        size = int.from_bytes(await reader.readexactly(8), "big")
    return first, await reader.readexactly(size)
