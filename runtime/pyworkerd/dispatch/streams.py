"""Bodies across the boundary: credit on both sides, so that a slow reader holds only its own window.

Rule 1: a body belongs to the invocation that it came with, and ends with it at the latest.
Rule 2: whoever stops early says so to the other side: a source is closed, a guest is told to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from pyworkerd_isolates.protocol import CHUNK, WINDOW, Events, StreamRef

from pyworkerd.errors import BadEffect, ClientError, PyworkerdError, UpstreamError
from pyworkerd.messages import Body

if TYPE_CHECKING:
    from contextvars import Context

    from .crowd import Crowd
    from .invocation import Invocation
    from .room import Room


SMALL: Final = 4096
"""Bytes up to which pieces of a body are put together."""


class Door(Protocol):
    """What streams and calls may do with their isolate: put events into its next step."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that all of it runs on."""

    @property
    def room(self) -> Room:
        """What is held for the isolate."""

    @property
    def crowd(self) -> Crowd:
        """What waits for its next steps."""

    def send(self, invocation: int | None, event: Callable[[Events], None]) -> None:
        """Put an event into the next step, on behalf of an invocation. Dropped once the isolate is dead."""

    def spawn(self, work: Coroutine[Any, Any, None], context: Context | None = None) -> asyncio.Task[None]:
        """Run something in a task that is awaited when the worker closes."""

    def clear(self, job: Callable[[], object]) -> None:
        """Let go of something in one of the loop's next turns: see `clearing`."""

    def report(self, error: BaseException) -> None:
        """A bug of the runtime, or of the program that embeds it."""


class Feed:
    """A body on its way into the guest: not read before the guest asks, and then only as fast as it gives credit.

    What comes before the next step is told in few pieces, however many came: the guest pays for each.
    """

    __slots__ = ("_body", "_credit", "_door", "_number", "_on_end", "_room", "_task", "_waiting", "owner")

    def __init__(
        self, door: Door, number: int, body: Body, owner: Invocation, on_end: Callable[[Feed, int], None]
    ) -> None:
        self._door, self._number, self._body, self._on_end = door, number, body, on_end
        self.owner = owner
        self._credit = 0
        self._room = asyncio.Event()
        self._waiting: list[bytes] = []
        """For the next step."""
        self._task: asyncio.Task[None] | None = None

    async def _run(self) -> None:
        chunks = aiter(self._body)
        try:
            async for chunk in chunks:
                await self._pass_on(chunk)
            self._door.send(self.owner.id, self._tell_end)
        except PyworkerdError as error:
            if isinstance(error, ClientError):
                self.owner.client_error = error
            self._send_error(str(error))
        except (OSError, EOFError):
            self._send_error("the sender of this body broke off")
        except Exception as error:  # noqa: BLE001 - a body may be any program's iterator
            self._door.report(error)
            self._send_error("the sender of this body broke off")
        finally:
            self._on_end(self, self._number)
            await self._close(chunks)

    async def _pass_on(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        while view:
            await self._room.wait()
            if (full := self._door.crowd.full()) is not None:
                await asyncio.shield(full)
                continue
            size = min(CHUNK, self._credit, len(view))
            self._credit -= size
            if self._credit <= 0:
                self._room.clear()
            self._put(bytes(view[:size]))
            view = view[size:]

    def _put(self, data: bytes) -> None:
        self._door.crowd.joins(self.owner.id, len(data))
        self._waiting.append(data)
        if len(self._waiting) == 1:
            self._door.send(self.owner.id, self._tell)

    def _tell(self, events: Events) -> None:
        data, self._waiting = b"".join(self._waiting), []
        for start in range(0, len(data), CHUNK):
            events.data(self._number, data[start : start + CHUNK], False)

    def _tell_end(self, events: Events) -> None:
        events.data(self._number, b"", True)

    def _send_error(self, message: str) -> None:
        self._door.send(self.owner.id, partial(Events.error, stream=self._number, message=message))

    def pull(self, credit: int) -> None:
        """The guest has room for so much more. Raises `BadEffect` beyond the window."""
        self._credit += credit
        if self._credit > WINDOW:
            raise BadEffect("the worker asked for more of a body than the window allows")
        if self._credit > 0:
            self._room.set()
        if self._task is None:
            self._task = self._door.spawn(self._run(), self.owner.context)

    def take(self) -> Body:
        """The body itself, for whoever the guest hands it on to. Raises `BadEffect` if the guest has begun to read."""
        if self._task is not None:
            raise BadEffect("the worker handed on a body that it had begun to read")
        self._on_end(self, self._number)
        return self._body

    def stop(self) -> None:
        """Nobody reads this body any more."""
        self._on_end(self, self._number)
        if self._task is not None:
            self._task.cancel()
        if self._body.data is None:
            self._door.spawn(self._close_after(self._task), self.owner.context)

    async def _close_after(self, task: asyncio.Task[None] | None) -> None:
        # A task that is cancelled before it begins closes nothing, so that this cannot be left to `_run`.
        if task is not None:
            await asyncio.wait([task])
        await self._close(None)

    async def _close(self, chunks: AsyncIterator[bytes] | None) -> None:
        for source in (chunks, self._body):
            close = getattr(source, "aclose", None)
            if close is not None:
                try:
                    await close()
                except PyworkerdError:
                    pass
                except Exception as error:  # noqa: BLE001 - as above
                    self._door.report(error)


class Outflow:
    """A body on its way out of the guest, at most a window ahead of its reader."""

    __slots__ = (
        "_buffered",
        "_chunks",
        "_door",
        "_ended",
        "_error",
        "_number",
        "_on_end",
        "_owed",
        "_promised",
        "_room",
        "_waiter",
        "length",
        "owner",
    )

    def __init__(
        self,
        door: Door,
        ref: StreamRef,
        owner: Invocation,
        on_end: Callable[[Outflow, int], None],
        promised: int = 0,
    ) -> None:
        self._door, self._number, self.length, self.owner, self._on_end = (
            door, ref.number, ref.length, owner, on_end
        )  # fmt: skip
        self._room, self._promised = door.room, promised
        self._room.promised += promised
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
        if self._buffered + self._owed + len(data) > WINDOW:
            raise BadEffect("the worker sent more of a body than was asked for")
        self._buffered += len(data)
        self._room.hold(len(data))
        if self._chunks and len(self._chunks[-1]) + len(data) <= SMALL:
            self._chunks[-1] += data  # a byte is not worth an object
        elif data:
            self._chunks.append(data)
        if end:
            self._end(None)
        self._wake()

    def fail(self, error: PyworkerdError) -> None:
        """The rest will not come; the guest has been told, or is dead."""
        if not self._ended:
            self._end(error)
            self._wake()

    def _end(self, error: PyworkerdError | None) -> None:
        self._ended = True
        self._error = error
        self._settle()
        self._on_end(self, self._number)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def next(self) -> bytes:
        """The next piece; StopAsyncIteration at the end, the error if it broke off."""
        while not self._chunks:
            if self._error is not None:
                # Once: with its traceback it holds this body, and must not be held by it.
                error, self._error = self._error, UpstreamError("this body broke off")
                try:
                    raise error
                finally:
                    del error
            if self._ended:
                raise StopAsyncIteration
            self._waiter = self._door.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        chunk = self._chunks.popleft()
        self._release(len(chunk))
        self._owed += len(chunk)
        if self._owed >= WINDOW // 2 and not self._ended:
            self._door.send(self.owner.id, partial(Events.pull, stream=self._number, credit=self._owed))
            self._owed = 0
        return chunk

    def _release(self, size: int) -> None:
        self._buffered -= size
        self._room.hold(-size)
        if self._ended:
            self._settle()

    def _settle(self) -> None:
        """No more will come: what is left is all that it may hold."""
        left = min(self._promised, self._buffered)
        self._room.promised -= self._promised - left
        self._promised = left

    def stop(self) -> None:
        """The reader has gone."""
        self.break_off(UpstreamError("this body was closed"))
        self._chunks.clear()
        self._release(self._buffered)

    def break_off(self, error: PyworkerdError) -> None:
        """Tell the guest to stop, and the reader that there is no more."""
        if not self._ended:
            self._end(error)
            self._door.send(self.owner.id, partial(Events.stop, stream=self._number))
            self._wake()

    def forsake(self) -> None:
        """The reader has gone without a word; called by the garbage collector, on whatever thread."""
        if not self._ended or self._buffered:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and with it everything else
                self._door.loop.call_soon_threadsafe(self.stop)


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

    def __del__(self) -> None:
        self._outflow.forsake()


class Bounded(AsyncIterator[bytes]):
    """A body of unknown length, broken off past its limit. Closing it closes the body, begun or not."""

    __slots__ = ("_body", "_chunks", "_error", "_left")

    def __init__(self, body: Body, limit: int, error: Callable[[], PyworkerdError]) -> None:
        self._body, self._left, self._error = body, limit, error
        self._chunks: AsyncIterator[bytes] | None = None

    async def __anext__(self) -> bytes:
        if self._chunks is None:
            self._chunks = aiter(self._body)
        chunk = await anext(self._chunks)
        self._left -= len(chunk)
        if self._left < 0:
            await self.aclose()
            raise self._error()
        return chunk

    async def aclose(self) -> None:
        """Close the body."""
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()
        await self._body.aclose()
