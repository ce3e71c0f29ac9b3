"""Pieces of work on a database, and several of them in one transaction."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

from .answer import Answer

if TYPE_CHECKING:
    import asyncio
    import sqlite3
    from collections.abc import Callable, Sequence

    from .watch import Watch


class Job:
    """What somebody on an event loop waits for. Its outcome is delivered once, unless it was cancelled."""

    __slots__ = ("alone", "cancelled", "loop", "relaxed", "tell", "watch", "work")

    def __init__(
        self,
        work: Callable[[sqlite3.Connection], Any],
        watch: Watch | None = None,
        *,
        alone: bool = False,
        relaxed: bool = False,
    ) -> None:
        self.work, self.watch, self.alone, self.relaxed = work, watch, alone, relaxed
        self.cancelled = False
        self.loop: asyncio.AbstractEventLoop | None = None
        """Where it is waited for; None if nobody does."""
        self.tell: Callable[[Any], object] = _nobody
        """Takes the outcome, there."""

    def begin(self, loop: asyncio.AbstractEventLoop) -> Answer:
        """What to wait for."""
        answer = Answer(loop)
        self.loop, self.tell = loop, answer.set
        return answer

    def joins(self, other: Job) -> bool:
        """Whether the other may be part of this one's transaction."""
        return not self.alone and not other.alone and self.relaxed == other.relaxed

    def cancel(self) -> None:
        """Nobody waits for it: it does not begin any more, and is interrupted if it has a watch."""
        self.cancelled = True
        if self.watch is not None:
            self.watch.cancel()


def _nobody(outcome: Any) -> None:
    """Nobody waits for it."""


def delivery(jobs: Sequence[Job], outcomes: Sequence[Any]) -> Callable[[], object]:
    """What tells each asker its outcome, from a thread."""
    return partial(_deliver, jobs, outcomes)


def _deliver(jobs: Sequence[Job], outcomes: Sequence[Any]) -> None:
    """One message to each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Job, Any]]] = {}
    for job, outcome in zip(jobs, outcomes, strict=True):
        if job.loop is not None:
            by_loop.setdefault(job.loop, []).append((job, outcome))
    for loop, pairs in by_loop.items():
        _send(loop, _settle, pairs)


def delivery_of(job: Job, outcome: Any) -> Callable[[], object] | None:
    """The same of one."""
    return None if job.loop is None else partial(_send, job.loop, job.tell, outcome)


def _send(loop: asyncio.AbstractEventLoop, tell: Callable[[Any], object], outcome: Any) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed, and with it all who waited
        loop.call_soon_threadsafe(tell, outcome)


def _settle(pairs: list[tuple[Job, Any]]) -> None:
    for number, (job, outcome) in enumerate(pairs, 1):
        try:
            job.tell(outcome)
        except BaseException:  # who waited has a bug: the others hear of theirs nevertheless
            if job.loop is not None and pairs[number:]:
                job.loop.call_soon(_settle, pairs[number:])
            raise


def together(connection: sqlite3.Connection, jobs: Sequence[Job]) -> list[Any] | None:
    """Run several jobs in one transaction: what each returned, or the exception that it raised.

    None if one of them, or the end of it, spoiled the whole transaction: then nothing was done, and each has to be run
    alone. A single job always has its outcome.
    """
    several = len(jobs) > 1
    try:
        connection.execute("BEGIN IMMEDIATE")
    except Exception as error:  # noqa: BLE001 - it is everybody's outcome: none would fare better alone
        return [error] * len(jobs)
    try:
        outcomes = [_within(connection, job) if several else job.work(connection) for job in jobs]
        connection.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - it is the outcome
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return None if several else [error]
    return outcomes


def _within(connection: sqlite3.Connection, job: Job) -> Any:
    connection.execute("SAVEPOINT job")
    try:
        outcome = job.work(connection)
    except Exception as error:
        if not connection.in_transaction:  # SQLite has rolled everything back (SQLITE_FULL, SQLITE_IOERR)
            raise
        connection.execute("ROLLBACK TO job")
        outcome = error
    connection.execute("RELEASE job")
    return outcome
