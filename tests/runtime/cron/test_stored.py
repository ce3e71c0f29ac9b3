"""Claims that several processes share."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pyworkerd.cron.plan import Job, Tick
from pyworkerd.cron.stored import StoredClaims
from pyworkerd.storage.stores import Stores
from pyworkerd_config.cron import Cron

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
JOB, OTHER = Job("w", Cron("* * * * *")), Job("v", Cron("* * * * *"))


def at(minutes: int, job: Job = JOB) -> Tick:
    return Tick(job, NOON + timedelta(minutes=minutes))


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[StoredClaims]:
    stores = Stores()
    claims = StoredClaims(stores, lambda: folder / "state")
    try:
        yield claims
    finally:
        await claims.aclose()
        await stores.aclose()


def test_a_tick_is_claimed_once_whoever_asks_and_whenever(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as one, opened(tmp_path) as other:
            await one.begin((JOB, OTHER), NOON)
            await other.begin((JOB, OTHER), NOON + timedelta(minutes=5))
            assert not await one.claim(at(0)), "it was due before anybody asked for it"
            assert sorted(await asyncio.gather(one.claim(at(1)), other.claim(at(1)))) == [False, True]
            assert await other.claim(at(3))
            assert not await one.claim(at(2))
            assert await one.claim(at(1, OTHER))
        async with opened(tmp_path) as later:
            await later.begin((JOB,), NOON + timedelta(hours=1))
            assert not await later.claim(at(3))
            assert await later.claim(at(59)), "it has been served before: a restart costs no tick"

    asyncio.run(main())


def test_nothing_is_written_where_there_are_no_expressions(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as claims:
            await claims.begin((), NOON)

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


def test_what_has_had_no_tick_for_years_begins_anew(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as claims:
            await claims.begin((JOB, OTHER), NOON)
            long_after = NOON + timedelta(days=900)
            await claims.begin((OTHER,), long_after)
            assert not await claims.claim(Tick(JOB, long_after))

    asyncio.run(main())


def test_a_tick_of_a_clock_that_was_wrong_is_forgotten(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as claims:
            await claims.begin((JOB, OTHER), NOON)
            assert await claims.claim(Tick(JOB, NOON + timedelta(days=7305)))
            assert await claims.claim(at(2, OTHER))
            await claims.begin((JOB, OTHER), NOON + timedelta(minutes=1))
            assert await claims.claim(at(2))
            assert not await claims.claim(at(2, OTHER)), (
                "that one is not far away: the clock was put back a little"
            )

    asyncio.run(main())


CLAIMANT = """
import asyncio, sys
from pathlib import Path
from tests.runtime.cron.test_stored import JOB, NOON, at, opened
async def main():
    async with opened(Path(sys.argv[1])) as claims:
        await claims.begin((JOB,), NOON)
        print([minute for minute in range(1, 60) if await claims.claim(at(minute))])
asyncio.run(main())
"""


def test_processes_that_race_share_the_ticks_out(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", CLAIMANT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    claimed = [minute for process in processes for minute in eval(process.communicate(timeout=60)[0])]
    assert sorted(claimed) == sorted(set(claimed)), "none twice"
    assert max(claimed) == 59
