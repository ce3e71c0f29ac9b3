"""Work on the disk that is no SQL: blocking functions, on the threads of the storage, in turns with everybody else's.

Rule 1: a lane runs a few pieces of work at once; the rest waits in the order in which it came.
Rule 2: what waits is bounded; beyond it, the asker hears `StorageBusy` at once.
Rule 3: a piece whose asker has gone does not begin, or runs to its end and its result is dropped: what holds something
open has to let go of it by itself then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pyworkerd.errors import StorageBusy, StorageError

from .work import Job, delivery_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .threads import Piece, Tell, Threads

QUEUE: Final = 1_000
"""Pieces of work that wait, as in `database`."""
AT_ONCE: Final = 4
"""As many as a disk has use for; each is about a millisecond."""

T = TypeVar("T")


class Lane:
    """The work of one store. Used on event loops; see `threads.Lane` for the threads' side."""

    def __init__(self, threads: Threads, label: str) -> None:
        self._threads, self._label = threads, label
        self._waiting: deque[Job] = deque()
        self.owner = self
        self.running = 0
        self.listed = False
        self._drained: Callable[[], None] | None = None

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` on a thread. Raises what it raises."""
        future = self.begin(work)
        try:
            return await future
        finally:
            del future

    def begin(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """The same, as a future that is waited for later. Raises `StorageBusy`; `StorageError` when all has ended."""
        job = Job(lambda _: work())
        job.loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = job.loop.create_future()
        job.tell = partial(_settle, future)
        future.add_done_callback(partial(_tell, job))
        with self._threads.lock:
            if self._threads.closed:
                raise StorageError(f"the {self._label} was closed")
            if len(self._waiting) >= QUEUE:
                raise StorageBusy(f"{QUEUE} calls wait for the {self._label} already")
            self._waiting.append(job)
            self._threads.ready(self)
        return future

    def leave(self, work: Callable[[], object]) -> None:
        """Run `work` some time, for nobody: letting go of something. May be called on any thread."""
        with self._threads.lock:
            self._waiting.append(Job(lambda _: work()))
            self._threads.ready(self)

    def take(self) -> Piece | None:
        """See `threads.Lane`."""
        return partial(_run, self._waiting.popleft()) if self.more() else None

    def more(self) -> bool:
        """See `threads.Lane`."""
        return bool(self._waiting) and self.running < AT_ONCE

    def ended(self, piece: Piece) -> None:  # noqa: ARG002
        """See `threads.Lane`."""
        if self._waiting:
            self._threads.ready(self)
        elif self._drained is not None and not self.running:
            self._drained()

    async def aclose(self) -> None:
        """Wait until all that was asked for is done. More may follow: bodies that are still being read."""
        loop = asyncio.get_running_loop()
        drained: asyncio.Future[None] = loop.create_future()
        with self._threads.lock:
            if not self.running and not self._waiting:
                return
            self._drained = lambda: _tell_drained(loop, drained)
        await asyncio.shield(drained)


def _run(job: Job) -> Tell | None:
    if job.cancelled:
        return None
    try:
        outcome: Any = job.work(None)  # type: ignore[arg-type]
    except Exception as error:  # noqa: BLE001 - it is the outcome
        outcome = error
    return delivery_of(job, outcome)


def _settle(future: asyncio.Future[Any], outcome: Any) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _tell(job: Job, future: asyncio.Future[Any]) -> None:
    if future.cancelled():
        job.cancel()
    else:
        future.exception()  # somebody who has gone need not hear of it


def _tell_drained(loop: asyncio.AbstractEventLoop, drained: asyncio.Future[None]) -> None:
    loop.call_soon_threadsafe(_set, drained)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
