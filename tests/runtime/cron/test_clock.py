"""The clock, with a wall clock of the test's own and real workers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from pyworkerd.cron.claims import OwnClaims
from pyworkerd.cron.clock import Clock
from pyworkerd.cron.plan import Job
from pyworkerd.errors import ConfigurationError, Overloaded
from pyworkerd_config.cron import Cron

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pyworkerd.cron.plan import Tick
    from pyworkerd.dispatch.worker import Worker
    from pyworkerd.runtime import Runtime

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOURLY = Job("w", Cron("0 * * * *"))
EACH_MINUTE = Job("w", Cron("* * * * *"))
SOURCE = """
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def scheduled(self, controller, env, ctx):
        print("began", controller.cron, controller.scheduledTime)
        await env.GATE()
        if await env.FAILS():
            raise ValueError("no luck")
"""


class Wall:
    """A wall clock that stands still until it is set."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class Some:
    """One worker, and the jobs that it has at the time."""

    def __init__(self, worker: Worker | None, *jobs: Job) -> None:
        self.found, self.each = worker, jobs

    def jobs(self) -> Iterable[Job]:
        return self.each

    async def worker(self, _name: str) -> Worker:
        if self.found is None:
            raise ConfigurationError("there is no such worker")
        return self.found


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def step(clock: Clock, wall: Wall, seconds: float) -> None:
    """Let time pass, and the clock see it."""
    wall.now += timedelta(seconds=seconds)
    clock.changed()
    for _ in range(10):
        await asyncio.sleep(0)


def began(worker: Worker) -> list[str]:
    return [entry.message for entry in worker.logs.entries if entry.message.startswith("began")]


@pytest.mark.parametrize("fails", [False, True])
def test_a_tick_is_run_once_and_one_that_fails_is_not_repeated(
    fails: bool, with_runtime: Callable[..., None]
) -> None:
    async def main(runtime: Runtime) -> None:
        async def gate() -> None:
            pass

        async def failing() -> bool:
            return fails

        loaded = await runtime.load({"w.py": SOURCE}, bindings={"GATE": gate, "FAILS": failing})
        worker, wall = loaded.service, Wall(NOON - timedelta(seconds=10))
        clock = Clock(Some(worker, HOURLY), OwnClaims(), wall)
        clock.start()
        await step(clock, wall, 5)
        assert began(worker) == []
        await step(clock, wall, 6)
        await clock.quiet()
        assert began(worker) == [f"began 0 * * * * {int(NOON.timestamp() * 1000)}"]
        failed = [entry.message for entry in worker.logs.entries if "failed" in entry.message]
        assert [message for message in failed if "no luck" in message] == failed
        assert bool(failed) is fails
        await step(clock, wall, 30)
        await clock.quiet()
        assert len(began(worker)) == 1
        await clock.aclose()

    with_runtime(main)


def test_a_run_that_is_not_over_leaves_the_next_tick_out(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        held = asyncio.Event()

        async def failing() -> bool:
            return False

        loaded = await runtime.load({"w.py": SOURCE}, bindings={"GATE": held.wait, "FAILS": failing})
        worker, wall = loaded.service, Wall(NOON - timedelta(seconds=1))
        clock = Clock(Some(worker, EACH_MINUTE), OwnClaims(), wall)
        clock.start()
        await step(clock, wall, 0)
        await step(clock, wall, 2)
        await until(lambda: len(began(worker)) == 1)
        await step(clock, wall, 60)
        await until(lambda: any("left out" in entry.message for entry in worker.logs.entries))
        held.set()
        await clock.quiet()
        await step(clock, wall, 60)
        await until(lambda: len(began(worker)) == 2)
        await clock.quiet()
        await clock.aclose()

    with_runtime(main)


def test_it_ends_also_when_something_has_just_changed() -> None:
    async def main() -> None:
        clock = Clock(Some(None, HOURLY), OwnClaims(), Wall(NOON))
        for turns in range(4):
            clock.start()
            for _ in range(10):
                await asyncio.sleep(0)
            clock.changed()
            for _ in range(turns):
                await asyncio.sleep(0)
            async with asyncio.timeout(10):
                await clock.aclose()

    asyncio.run(main())


def test_a_job_that_comes_later_is_not_due_for_the_past() -> None:
    async def main() -> None:
        claimed: list[Tick] = []

        class Noting(OwnClaims):
            async def claim(self, tick: Tick) -> bool:
                if mine := await super().claim(tick):
                    claimed.append(tick)
                return mine

        workers, wall = Some(None), Wall(NOON + timedelta(seconds=5))
        clock = Clock(workers, Noting(), wall)
        clock.start()
        await step(clock, wall, 1)
        workers.each = (HOURLY, EACH_MINUTE)
        await step(clock, wall, 1)
        assert claimed == [], "both were due at noon, when nobody had asked for them"
        await step(clock, wall, 60)
        assert [tick.job for tick in claimed] == [EACH_MINUTE]
        await clock.aclose()

    asyncio.run(main())


def test_a_store_that_fails_costs_no_tick_that_is_not_too_late(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        claimed: list[Tick] = []

        class Failing(OwnClaims):
            broken = False

            async def claim(self, tick: Tick) -> bool:
                if self.broken:
                    raise Overloaded("the disk is full")
                claimed.append(tick)
                return await super().claim(tick)

        claims, wall = Failing(), Wall(NOON - timedelta(seconds=1))
        clock = Clock(Some(None, HOURLY), claims, wall)
        clock.start()
        await step(clock, wall, 0)
        claims.broken = True
        await step(clock, wall, 2)
        assert "cron expressions wait: the disk is full" in caplog.text
        claims.broken = False
        await step(clock, wall, 2)
        assert [tick.moment for tick in claimed] == [NOON]
        await clock.aclose()

    asyncio.run(main())


def test_a_wall_clock_that_is_put_back_repeats_nothing() -> None:
    async def main() -> None:
        claimed: list[Tick] = []

        class Noting(OwnClaims):
            async def claim(self, tick: Tick) -> bool:
                claimed.append(tick)
                return True

        wall = Wall(NOON - timedelta(seconds=1))
        clock = Clock(Some(None, HOURLY), Noting(), wall)
        clock.start()
        await step(clock, wall, 0)
        await step(clock, wall, 2)
        await step(clock, wall, -3)
        await step(clock, wall, 2)
        assert len(claimed) == 1
        await clock.aclose()

    asyncio.run(main())


def test_a_wall_clock_that_was_wrong_for_a_moment_stops_nothing_for_good() -> None:
    async def main() -> None:
        claimed: list[datetime] = []

        class Noting(OwnClaims):
            async def claim(self, tick: Tick) -> bool:
                if mine := await super().claim(tick):
                    claimed.append(tick.moment)
                return mine

        wall = Wall(NOON - timedelta(minutes=30))
        clock = Clock(Some(None, HOURLY), Noting(), wall)
        clock.start()
        await step(clock, wall, 0)
        years = timedelta(days=7305)
        await step(clock, wall, (years + timedelta(minutes=30, seconds=1)).total_seconds())
        await step(clock, wall, -(years + timedelta(seconds=10)).total_seconds())
        await step(clock, wall, 10)
        assert claimed == [NOON + years, NOON]
        await clock.aclose()

    asyncio.run(main())
