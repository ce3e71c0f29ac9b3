"""Which ticks are due. Pure: it reads no clock and runs nothing.

A tick is one moment of one expression of one worker. Moments are those of the wall clock, in UTC. What was due while
nobody looked (the server was down, the machine slept, the clock was put forward) is not made up for, except the last
tick of each expression if it is younger than `LATE_S`: a reload or a restart must not cost the tick that falls into it.
"""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd_config.cron import Cron
from pyworkerd_config.model import Worker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from pyworkerd_config.model import Config

LATE_S: Final = 60
"""An expression has a tick each minute at most."""
PUT_BACK: Final = timedelta(hours=1)
"""A clock that was put back by more was wrong before, and what was due then is no measure of what is due now."""
_parsed = lru_cache(4096)(Cron)


class Job(NamedTuple):
    """One expression of one worker."""

    worker: str
    cron: Cron


class Tick(NamedTuple):
    """A moment at which a job is due."""

    job: Job
    moment: datetime


def jobs_of(config: Config) -> Iterator[Job]:
    """Every cron expression of a configuration that was checked."""
    for service in config.services:
        if isinstance(service.kind, Worker):
            for expression in dict.fromkeys(service.kind.crons):
                yield Job(service.name, _parsed(expression))


def due(jobs: Iterable[Job], since: datetime, now: datetime) -> list[Tick]:
    """The last tick of each job in the time from `since` (not included) to `now` that is not too late.

    In the order of their moments.
    """
    since = max(since, now - timedelta(seconds=LATE_S))
    found: list[Tick] = []
    for job in jobs:
        last, moment = None, job.cron.after(since)
        while moment <= now:
            last, moment = moment, job.cron.after(moment)
        if last is not None:
            found.append(Tick(job, last))
    return sorted(found, key=lambda tick: tick.moment)


def next_moment(jobs: Iterable[Job], now: datetime) -> datetime | None:
    """When to look again; None if there is no job."""
    return min((job.cron.after(now) for job in jobs), default=None)
