"""Bytes between a body and files, in bounded pieces: whatever its size, a transfer holds some hundred kilobytes.

While one piece is written on a thread the next one comes in, and while one is sent the next one is read.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from pyworkerd.errors import PyworkerdError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping, Sequence

    from pyworkerd.messages import Body

    from .lane import Lane


PIECE: Final = 256 * 1024
"""Bytes that are written or read at once: below a millisecond on a fast disk, and the hand-over to a thread is a
twentieth of it. As large as a stream's window (`protocol.WINDOW`)."""


class Sink(Protocol):
    """What a body is written to. Blocks; its methods take turns."""

    def write(self, pieces: Sequence[bytes | memoryview]) -> None:
        """Add to it."""

    def finish(self) -> Mapping[str, bytes]:
        """Bring it to disk. Its checksums, by their names."""


class Source(Protocol):
    """Where a body comes from. Blocks; its methods take turns, and what it holds open ends with it at the latest."""

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many; b"" at the end, or when it is closed."""

    def close(self) -> None:
        """Let go of it. May come at any time."""


async def receive(body: Body, sink: Sink, lane: Lane, check: Callable[[int], None]) -> Mapping[str, bytes]:
    """Write a body to a sink and bring it to disk. Its checksums. The body is closed.

    `check` is told how many bytes more are there, and raises where they are too many.
    """
    writing: asyncio.Future[None] | None = None
    pieces: list[bytes | memoryview] = []
    size = 0
    try:
        async for chunk in body:
            view = memoryview(chunk)
            while view:
                piece = view[: PIECE - size]
                view = view[len(piece) :]
                pieces.append(piece)
                size += len(piece)
                if size < PIECE:
                    continue
                check(size)
                if writing is not None:
                    await writing
                writing, pieces, size = lane.begin(partial(sink.write, pieces)), [], 0
        check(size)
        if writing is not None:
            await writing
        if pieces:
            await lane.run(partial(sink.write, pieces))
        return await lane.run(sink.finish)
    finally:
        del writing
        with contextlib.suppress(PyworkerdError):
            await body.aclose()


class FileBody(AsyncIterator[bytes]):
    """The bytes of a reader. Closing it, begun or not, closes the files; so does losing it."""

    def __init__(self, reader: Source, lane: Lane, on_close: Callable[[], None]) -> None:
        self._reader, self._lane, self._on_close = reader, lane, on_close
        self._next: asyncio.Future[bytes] | None = None
        self._closed = False

    def _begin(self) -> asyncio.Future[bytes]:
        return self._lane.begin(partial(self._reader.read, PIECE))

    async def __anext__(self) -> bytes:
        if self._closed:
            raise StopAsyncIteration
        if self._next is None:
            self._next = self._begin()
        try:
            data = await self._next
        except BaseException:
            self._close()
            raise
        if not data:
            self._close()
            raise StopAsyncIteration
        self._next = self._begin()
        return data

    async def aclose(self) -> None:
        """Nobody reads on."""
        self._close()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            if self._next is not None:
                self._next.cancel()
            self._lane.leave(self._reader.close)
            self._on_close()

    def __del__(self) -> None:
        if not self._closed:
            self._closed = True
            self._on_close()  # the reader closes its files by itself
