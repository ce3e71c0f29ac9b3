"""Bytes between a body and files, in bounded pieces: whatever its size, a transfer holds some hundred kilobytes.

While one piece is written on a thread the next one comes in, and while one is sent the next one is read.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Final

from pyworkerd.errors import PyworkerdError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from pyworkerd.messages import Body
    from pyworkerd.storage.lane import Lane

    from .files import Draft, Reader

PIECE: Final = 256 * 1024
"""Bytes that are written or read at once: below a millisecond on a fast disk, and the hand-over to a thread is a
twentieth of it. As large as a stream's window (`protocol.WINDOW`)."""


class Meter:
    """Bytes of a bucket that are on their way in, against what it may have."""

    def __init__(self, quota: int) -> None:
        self.quota = quota
        self.used = 0
        """As it was last seen; exact when a write is committed."""
        self.coming = 0

    def has(self, size: int) -> bool:
        """Whether so much more can come."""
        return self.used + self.coming + size <= self.quota


async def receive(body: Body, draft: Draft, lane: Lane, check: Callable[[int], None]) -> dict[str, bytes]:
    """Write a body to a draft and bring it to disk. Its checksums. The body is closed.

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
                writing, pieces, size = lane.begin(partial(draft.write, pieces)), [], 0
        check(size)
        if writing is not None:
            await writing
        if pieces:
            await lane.run(partial(draft.write, pieces))
        return await lane.run(draft.finish)
    finally:
        del writing
        with contextlib.suppress(PyworkerdError):
            await body.aclose()


class FileBody(AsyncIterator[bytes]):
    """The bytes of a reader. Closing it, begun or not, closes the files; so does losing it."""

    def __init__(self, reader: Reader, lane: Lane, on_close: Callable[[], None]) -> None:
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
