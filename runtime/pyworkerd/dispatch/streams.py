"""Bodies across the boundary: credit on both sides, so that a slow reader holds only its own window."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from pyworkerd_isolates.protocol import CHUNK, WINDOW

from pyworkerd.errors import BadEffect, PyworkerdError, UpstreamError
from pyworkerd.messages import Body


class Door(Protocol):
    """Where stream events for the guest go: the isolate's next step."""

    def send_data(self, stream: int, data: bytes, end: bool) -> None:
        """A piece of an inbound body."""

    def send_error(self, stream: int, message: str) -> None:
        """An inbound body broke off."""

    def send_pull(self, stream: int, credit: int) -> None:
        """The host has read so much of an outbound body."""

    def send_stop(self, stream: int) -> None:
        """The host reads no more of an outbound body."""


class Feed:
    """A body on its way into the guest: not read before the guest asks, and then only as fast as it gives credit."""

    __slots__ = ("_body", "_credit", "_door", "_number", "_on_end", "_room", "_task")

    def __init__(self, door: Door, number: int, body: Body, on_end: Callable[[int], None]) -> None:
        self._door, self._number, self._body, self._on_end = door, number, body, on_end
        self._credit = 0
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def _run(self) -> None:
        try:
            async for chunk in self._body:
                view = memoryview(chunk)
                while view:
                    await self._room.wait()
                    size = min(CHUNK, self._credit, len(view))
                    self._take_credit(size)
                    self._door.send_data(self._number, bytes(view[:size]), False)
                    view = view[size:]
            self._door.send_data(self._number, b"", True)
        except PyworkerdError as error:
            self._door.send_error(self._number, str(error))
        except (OSError, EOFError):
            self._door.send_error(self._number, "the sender of this body broke off")
        finally:
            self._on_end(self._number)
            await self._body.aclose()

    def _take_credit(self, size: int) -> None:
        self._credit -= size
        if self._credit <= 0:
            self._room.clear()

    def pull(self, credit: int) -> None:
        """The guest has room for so much more. Raises `BadEffect` beyond the window."""
        self._credit += credit
        if self._credit > WINDOW:
            raise BadEffect("the worker asked for more of a body than the window allows")
        if self._credit > 0:
            self._room.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def take(self) -> Body:
        """The body itself, for whoever the guest hands it on to. Raises `BadEffect` if the guest has begun to read."""
        if self._task is not None:
            raise BadEffect("the worker handed on a body that it had begun to read")
        self._on_end(self._number)
        return self._body

    def stop(self) -> None:
        """Nobody reads this body any more."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._close())
        else:
            self._task.cancel()

    async def _close(self) -> None:
        self._on_end(self._number)
        await self._body.aclose()


class Outflow:
    """A body on its way out of the guest, at most a window ahead of its reader."""

    __slots__ = ("_buffered", "_chunks", "_door", "_ended", "_error", "_number", "_owed", "_waiter", "length")

    def __init__(self, door: Door, number: int, length: int | None) -> None:
        self._door, self._number, self.length = door, number, length
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._owed = 0
        self._ended = False
        self._error: PyworkerdError | None = None
        self._waiter: asyncio.Future[None] | None = None

    def body(self) -> Body:
        """The body, for whoever reads it. Closing it tells the guest to stop."""
        return Body(chunks=_Reader(self), length=self.length)

    def feed(self, data: bytes, end: bool) -> None:
        """A piece came out of the guest. Raises `BadEffect` if it is more than there was credit for."""
        if self._ended:
            return
        self._buffered += len(data)
        if self._buffered + self._owed > WINDOW + CHUNK:
            raise BadEffect("the worker sent more of a body than was asked for")
        if data:
            self._chunks.append(data)
        self._ended = end
        self._wake()

    def fail(self, error: PyworkerdError) -> None:
        """The rest will not come."""
        if not self._ended:
            self._error = error
            self._ended = True
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def next(self) -> bytes:
        """The next piece; StopAsyncIteration at the end, the error if it broke off."""
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        chunk = self._chunks.popleft()
        self._buffered -= len(chunk)
        self._owed += len(chunk)
        if self._owed >= WINDOW // 2 and not self._ended:
            self._door.send_pull(self._number, self._owed)
            self._owed = 0
        return chunk

    def stop(self) -> None:
        """The reader has gone."""
        if not self._ended:
            self._ended = True
            self._error = UpstreamError("this body was closed")
            self._door.send_stop(self._number)
        self._chunks.clear()
        self._buffered = 0


class _Reader(AsyncIterator[bytes]):
    """The reading end of an `Outflow`. Not a generator: it can be closed before it was begun."""

    __slots__ = ("_outflow",)

    def __init__(self, outflow: Outflow) -> None:
        self._outflow = outflow

    async def __anext__(self) -> bytes:
        return await self._outflow.next()

    async def aclose(self) -> None:
        """Stop the guest from sending more."""
        self._outflow.stop()
