"""The clock that runs `scheduled` handlers: it sleeps until something is due, claims it, and runs it.

A tick of a job whose run before is not over yet is left out, with a line in the worker's log: two runs of one job never
overlap in one process. A run that fails is logged and not repeated; the next tick is.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from pyworkerd.errors import PyworkerdError

from .handler import run_scheduled
from .plan import LATE_S, PUT_BACK, Job, Tick, due, next_moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pyworkerd.dispatch.worker import Worker

    from .claims import Claims

logger = logging.getLogger("pyworkerd.cron")

LOOK_S: Final = 30.0
"""Longest sleep: the wall clock may be put forward while it lasts."""


class Workers(Protocol):
    """What the clock needs of a runtime."""

    def jobs(self) -> Iterable[Job]:
        """Every expression of every worker that new requests go to."""

    async def worker(self, name: str) -> Worker:
        """A worker, deployed if it is not. Raises `PyworkerdError`."""


def wall_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


class Clock:
    """One per process. `start` it inside the event loop; `aclose` ends it, not the runs that it has begun."""

    def __init__(self, workers: Workers, claims: Claims, now: Callable[[], datetime] = wall_clock) -> None:
        self._workers = workers
        self._claims = claims
        self._now = now
        self._changed = asyncio.Event()
        self._running: dict[Job, asyncio.Task[None]] = {}
        self._ticking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Tick from now on."""
        self._ticking = asyncio.create_task(self._tick(), name="cron", context=Context())

    def changed(self) -> None:
        """There are other workers now."""
        self._changed.set()

    async def quiet(self) -> None:
        """Wait until nothing that it has begun runs any more."""
        while self._running:
            await asyncio.wait(tuple(self._running.values()))

    async def aclose(self) -> None:
        """Begin nothing any more. Harmless when called again."""
        ticking, self._ticking = self._ticking, None
        if ticking is not None:
            ticking.cancel()
            await asyncio.wait((ticking,))

    async def end(self) -> None:
        """`aclose`, cancel the runs that it has begun, and let go of the claims."""
        await self.aclose()
        for task in self._running.values():
            task.cancel()
        await self.quiet()
        await self._claims.aclose()

    async def _tick(self) -> None:
        # What was due while the server restarted is this process's, if nobody has claimed it.
        since = self._now() - timedelta(seconds=LATE_S)
        jobs: tuple[Job, ...] = ()
        while True:
            self._changed.clear()
            before, jobs = jobs, tuple(self._workers.jobs())
            now = self._now()
            if since - now > PUT_BACK:
                since, before = now, ()
            try:
                if jobs != before:
                    await self._claims.begin(jobs, now)
                for tick in due(jobs, since, now):
                    await self._begin(tick)
            except PyworkerdError as error:
                logger.error("cron expressions wait: %s", error)  # noqa: TRY400 - a store's state, not a fault here
                jobs = ()
            else:
                # A clock that was put back does not make the past come again.
                since = max(since, now)
            await self._sleep(next_moment(jobs, since))

    async def _sleep(self, until: datetime | None) -> None:
        seconds = LOOK_S if until is None else min((until - self._now()).total_seconds(), LOOK_S)
        if seconds > 0:
            try:
                async with asyncio.timeout(
                    seconds
                ):  # before 3.12, `wait_for` may forget that it was cancelled
                    await self._changed.wait()
            except TimeoutError:
                return

    async def _begin(self, tick: Tick) -> None:
        job = tick.job
        if not await self._claims.claim(tick):
            return
        if job in self._running:
            await self._leave_out(tick)
            return
        task = asyncio.create_task(self._run(tick), name=f"cron {job.worker} {job.cron.expression}")
        self._running[job] = task
        task.add_done_callback(lambda _: self._running.pop(job, None))

    async def _worker(self, job: Job) -> Worker | None:
        try:
            return await self._workers.worker(job.worker)
        except PyworkerdError as error:
            logger.error("worker %r, cron %r: %s", job.worker, job.cron.expression, error)  # noqa: TRY400 - told
            return None

    async def _leave_out(self, tick: Tick) -> None:
        if (worker := await self._worker(tick.job)) is None:
            return
        moment = tick.moment.isoformat(timespec="minutes")
        message = (
            f"the cron {tick.job.cron.expression!r} due at {moment} is left out: the run before is not over"
        )
        worker.log(0, "warning", "pyworkerd", message)

    async def _run(self, tick: Tick) -> None:
        job = tick.job
        if (worker := await self._worker(job)) is None:
            return
        try:
            await run_scheduled(worker, job.cron.expression, tick.moment)
        except PyworkerdError as error:
            worker.log(0, "error", "pyworkerd", f"the cron {job.cron.expression!r} failed: {error}")
        except Exception as error:  # noqa: BLE001 - a fault of the runtime must not end the clock's other runs
            worker.report(error)
