"""Whose a tick is."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from pyworkerd.cron.claims import OwnClaims
from pyworkerd.cron.plan import Job, Tick
from pyworkerd_config.cron import Cron

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
JOB, OTHER = Job("w", Cron("* * * * *")), Job("v", Cron("* * * * *"))


def at(minutes: int, job: Job = JOB) -> Tick:
    return Tick(job, NOON + timedelta(minutes=minutes))


def test_each_tick_is_claimed_once_and_none_before_one_that_was() -> None:
    async def main() -> None:
        claims = OwnClaims()
        await claims.begin((JOB, OTHER), NOON)
        assert not await claims.claim(at(0)), "it was due before anybody asked for it"
        assert await claims.claim(at(2))
        assert not await claims.claim(at(2))
        assert not await claims.claim(at(1))
        assert await claims.claim(at(2, OTHER))
        assert await claims.claim(at(3))
        await claims.aclose()

    asyncio.run(main())


def test_who_goes_and_comes_again_begins_anew_and_who_stays_goes_on() -> None:
    async def main() -> None:
        claims = OwnClaims()
        await claims.begin((JOB, OTHER), NOON)
        assert await claims.claim(at(5))
        await claims.begin((JOB,), NOON)
        assert not await claims.claim(at(4))
        assert not await claims.claim(at(1, OTHER)), "it is not there any more"
        await claims.begin((JOB, OTHER), NOON + timedelta(minutes=9))
        assert not await claims.claim(at(9, OTHER))
        assert await claims.claim(at(10, OTHER))

    asyncio.run(main())
