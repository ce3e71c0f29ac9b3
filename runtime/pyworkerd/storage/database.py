"""One database: a file, one writer at a time, readers beside it.

Rule 1: all SQL runs on threads of the storage (`threads`), never on an event loop's.
Rule 2: writes that wait are written together, in one transaction: they are acknowledged when it is on disk. One that
fails does not touch the others.
Rule 3: what waits is bounded; beyond it, the asker hears `StorageBusy` at once.
Rule 4: a file that is damaged, or cannot be opened, is an error of each piece of work, and tried again by the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pyworkerd.errors import PyworkerdError, StorageBusy, StorageCorrupt, StorageError

from .connection import bound, open_reader, open_writer, translate
from .layout import make_private
from .takeover import take_over, tell_of_others
from .work import Job, delivery, delivery_of, together

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .connection import Design
    from .layout import Location
    from .threads import Piece, Tell, Threads
    from .watch import Watch

QUEUE: Final = 1_000
"""Pieces of work that wait, as many as calls of an isolate may (`pyworkerd_isolates.limits`)."""
GROUP: Final = 64
"""Writes of one transaction at most: whoever waits behind them waits for one sync of the disk."""
READERS: Final = 3

T = TypeVar("T")


class Database:
    """Open it by `Stores.use`. The files are opened by the first piece of work."""

    def __init__(
        self, location: Location, design: Design, threads: Threads, opened: Callable[[Database], None]
    ) -> None:
        self.location, self.size_mb = location, design.default_mb
        self.owner = location.owner
        """See `threads.Lane`."""
        self._design, self._threads = design, threads
        self._opened = opened
        """Told on a thread when files have been opened."""
        self._writes: deque[Job] = deque()
        self._reads: deque[Job] = deque()
        self._writer: sqlite3.Connection | None = None
        self._bound = 0
        self._readers: list[sqlite3.Connection] = []
        self._opening = threading.Lock()
        self._writing = False
        self._reading = 0
        self._rest = False
        self._told = False
        self._resting = partial(self._rest_now)
        self.running = 0
        self.listed = False
        self.users = 0
        """How many hold it. Counted by `Stores`."""
        self._closing = False
        self._drained: Callable[[], object] | None = None

    def __repr__(self) -> str:
        return f"<Database {self.location.label}>"

    # asking for work, on an event loop ---------------------------------------------------------------

    def read(
        self, work: Callable[[sqlite3.Connection], T], watch: Watch | None = None
    ) -> Coroutine[Any, Any, T]:
        """Run `work` on a thread, with a connection that cannot write. Cancelled, it interrupts what it watches.

        Raises what the work raises; sqlite3.Error becomes `StorageError`.
        """
        return self._ask(self._reads, Job(work, watch))

    def write(
        self,
        work: Callable[[sqlite3.Connection], T],
        watch: Watch | None = None,
        *,
        alone: bool = False,
        relaxed: bool = False,
    ) -> Coroutine[Any, Any, T]:
        """Run `work` in a transaction; when this returns, what it wrote is on disk.

        It may be run more than once before it counts. `alone` means in a transaction of its own. `relaxed` leaves the
        syncing to the next write that is not: for what nobody relies on yet. Raises as `read` does.
        """
        return self._ask(self._writes, Job(work, watch, alone=alone, relaxed=relaxed))

    def leave(self, work: Callable[[sqlite3.Connection], Any]) -> None:
        """Write something that nobody waits for, if there is room for it: cleaning up after somebody who has gone."""
        job = Job(work, None, relaxed=True)
        with self._threads.lock:
            if not self._closing and len(self._writes) < QUEUE:
                self._writes.append(job)
                self._threads.ready(self)

    async def _ask(self, queue: deque[Job], job: Job) -> Any:
        answer = job.begin(asyncio.get_running_loop())
        with self._threads.lock:
            if self._closing:
                raise StorageError(f"the {self.location.label} was closed")
            if len(queue) >= QUEUE:
                raise StorageBusy(f"{QUEUE} calls wait for the {self.location.label} already")
            queue.append(job)
            self._threads.ready(self)
        try:
            return await answer
        except asyncio.CancelledError:
            job.cancel()
            raise

    # whose turn it is, under the lock ----------------------------------------------------------------

    def take(self) -> Piece | None:
        """See `threads.Lane`."""
        if self._writes and not self._writing:
            self._writing = True
            return partial(self._write, self._group())
        if self._reads and self._reading < READERS:
            self._reading += 1
            return partial(self._read, self._reads.popleft())
        if self._rest and not self.running:
            self._writing = True  # nothing else begins meanwhile that would need the files
            return self._resting
        return None

    def more(self) -> bool:
        """See `threads.Lane`."""
        writes, reads = self._writes and not self._writing, self._reads and self._reading < READERS
        return bool(writes or reads or (self._rest and not self.running))

    def rest(self) -> None:
        """Close the files once nothing runs. The lock is held by the caller."""
        self._rest = True
        self._threads.ready(self)

    def rest_if_idle(self) -> bool:
        """The same, unless there is something to do. On any thread, without the lock."""
        with self._threads.lock:
            idle = self.idle
            if idle:
                self.rest()
            return idle

    def _group(self) -> list[Job]:
        jobs = [self._writes.popleft()]
        while self._writes and len(jobs) < GROUP and jobs[0].joins(self._writes[0]):
            jobs.append(self._writes.popleft())
        return jobs

    def ended(self, piece: Piece) -> None:
        """See `threads.Lane`."""
        assert isinstance(piece, partial)
        if piece.func == self._read:
            self._reading -= 1
        else:
            self._writing = False
        if self._writes or self._reads or self._rest:
            self._threads.ready(self)
        elif self._drained is not None and not self.running:
            self._drained()

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing waits. The lock is held by the caller."""
        return not (self.running or self._writes or self._reads)

    # on a thread -------------------------------------------------------------------------------------

    def _write(self, jobs: list[Job]) -> Tell:
        jobs = [job for job in jobs if not job.cancelled]
        outcomes: list[Any] = []
        try:
            with self._opening:
                connection = self._open_writer()
            outcomes = self._run(connection, jobs)
            if self._design.worn(connection):
                with self._opening:
                    self._writer = None
                connection.close()
        except Exception as error:  # noqa: BLE001 - it is the outcome
            outcomes = outcomes or [self._explained(error)] * len(jobs)
        return delivery(jobs, outcomes)

    def _run(self, connection: sqlite3.Connection, jobs: list[Job]) -> list[Any]:
        if not jobs:
            return []
        if self._bound != self.size_mb:
            self._bound = self.size_mb
            bound(connection, self._bound)
        relaxed = jobs[0].relaxed
        if relaxed:
            connection.execute("PRAGMA synchronous = NORMAL")
        try:
            outcomes = together(connection, jobs)
            if outcomes is None:  # one spoiled it for all
                outcomes = [(together(connection, [job]) or [None])[0] for job in jobs]
        finally:
            if relaxed:
                connection.execute("PRAGMA synchronous = FULL")
        return [self._explained(each) if isinstance(each, Exception) else each for each in outcomes]

    def _read(self, job: Job) -> Tell | None:
        if job.cancelled:
            return None
        connection = None
        try:
            with self._opening:
                if self._writer is None:
                    self._open_writer()
                connection = (
                    self._readers.pop() if self._readers else open_reader(self.location, self._design)
                )
            outcome: Any = job.work(connection)
        except Exception as error:  # noqa: BLE001 - it is the outcome
            outcome = self._explained(error)
        if connection is not None:
            with self._opening:
                if not (self._writer is None or connection.in_transaction or self._design.worn(connection)):
                    self._readers.append(connection)
                else:
                    connection.close()
        return delivery_of(job, outcome)

    def _open_writer(self) -> sqlite3.Connection:
        if self._writer is None:
            make_private(self.location)
            self._take_over()
            self._writer = open_writer(self.location, self._design)
            self._bound = 0
            self._opened(self)
        return self._writer

    def _take_over(self) -> None:
        take_over(self.location)
        if not self._told:
            self._told = True
            tell_of_others(self.location)

    def _explained(self, error: Exception) -> Exception:
        if not isinstance(error, sqlite3.Error):
            return error
        known: PyworkerdError | None = self._design.explain(error)
        found = known or translate(error, self.location)
        found.__cause__ = error
        if isinstance(found, StorageCorrupt):  # perhaps the file is another one by the next time
            with self._threads.lock:
                self.rest()
        return found

    def _rest_now(self) -> None:
        self._rest = False
        self.close_files()

    def close_files(self) -> None:
        """The next piece of work opens them again. On a thread, while nothing runs. Blocks."""
        with self._opening:
            connections, self._readers = self._readers, []
            if self._writer is not None:
                connections.append(self._writer)
            self._writer = None
        for each in connections:
            with contextlib.suppress(sqlite3.Error):  # it has been told about before
                each.close()

    # the end -----------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Finish what was asked for, then close the files. Once."""
        loop = asyncio.get_running_loop()
        drained: asyncio.Future[None] = loop.create_future()
        with self._threads.lock:
            self._closing = True
            if self.idle:
                drained.set_result(None)
            else:
                self._drained = partial(loop.call_soon_threadsafe, _set, drained)
        await asyncio.shield(drained)
        await asyncio.to_thread(self.close_files)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
