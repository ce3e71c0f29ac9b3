"""Which ticks are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.cron.plan import LATE_S, Job, Tick, due, next_moment
from pyworkerd_config.cron import Cron

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EACH_MINUTE, HOURLY, NIGHTLY = (Job("w", Cron(e)) for e in ("* * * * *", "0 * * * *", "0 3 * * *"))


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def test_a_tick_is_due_from_its_moment_on_and_once() -> None:
    assert due([HOURLY], NOON - seconds(1), NOON - seconds(0.5)) == []
    assert due([HOURLY], NOON - seconds(1), NOON) == [Tick(HOURLY, NOON)]
    assert due([HOURLY], NOON, NOON + seconds(30)) == []


def test_of_several_that_were_missed_the_last_is_run_if_it_is_not_too_late() -> None:
    late = NOON + seconds(90)
    assert due([EACH_MINUTE, HOURLY], NOON - seconds(3600), late) == [Tick(EACH_MINUTE, NOON + seconds(60))]
    assert due([HOURLY], NOON - seconds(1), NOON + seconds(LATE_S - 1)) == [Tick(HOURLY, NOON)]


def test_they_come_in_the_order_of_their_moments() -> None:
    at_one = Job("a", Cron("1 12 * * *"))
    found = due([at_one, HOURLY], NOON - seconds(1), NOON + seconds(59.9))
    assert found == [Tick(HOURLY, NOON)]
    found = due([at_one, HOURLY], NOON - seconds(1), NOON + seconds(60))
    assert [tick.job for tick in found] == [at_one], "the other one is a minute late"


def test_when_to_look_again() -> None:
    assert next_moment([], NOON) is None
    assert next_moment([NIGHTLY, HOURLY], NOON) == NOON + seconds(3600)


@given(
    st.lists(st.sampled_from([EACH_MINUTE, HOURLY, NIGHTLY]), max_size=3, unique=True),
    st.lists(st.integers(1, 50), max_size=40),
)
def test_whoever_looks_often_enough_gets_every_tick_once(jobs: list[Job], pauses: list[int]) -> None:
    now, seen = NOON - seconds(1), []
    for pause in pauses:
        since, now = now, now + seconds(pause)
        seen += due(jobs, since, now)
    expected = []
    for job in jobs:
        moment = job.cron.after(NOON - seconds(1))
        while moment <= now:
            expected.append(Tick(job, moment))
            moment = job.cron.after(moment)
    assert sorted(map(repr, seen)) == sorted(map(repr, expected))
