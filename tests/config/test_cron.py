"""Cron expressions: what they name, and what is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_config.cron import MAX_LENGTH, Cron, CronError

THURSDAY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "following"),
    [
        ("* * * * *", "2026-01-01 00:01"),
        ("*/5 * * * *", "2026-01-01 00:05"),
        ("0 9 L * *", "2026-01-31 09:00"),
        ("0 9 LW * *", "2026-01-30 09:00"),
        ("0 0 * * 1", "2026-01-04 00:00"),  # Sunday, as in Workers
        ("0 0 * * 7", "2026-01-03 00:00"),
        ("0 0 * * 2-6", "2026-01-02 00:00"),
        ("0 0 * * MON", "2026-01-05 00:00"),
        ("0 0 * * mon-fri", "2026-01-02 00:00"),
        ("0 0 * * 2#2", "2026-01-12 00:00"),
        ("0 0 * * MON#2", "2026-01-12 00:00"),
        ("0 0 * * 6L", "2026-01-30 00:00"),  # the last Friday
        ("0 0 ? * 2", "2026-01-05 00:00"),
        ("0 0 13 * FRI", "2026-01-02 00:00"),  # either will do
        ("0 0 29 2 *", "2028-02-29 00:00"),
        ("30 4 1 JAN *", "2026-01-01 04:30"),
    ],
)
def test_when_it_is_due(expression: str, following: str) -> None:
    assert f"{Cron(expression).after(THURSDAY):%Y-%m-%d %H:%M}" == following


def test_moments_are_utc_wherever_the_question_comes_from() -> None:
    east = THURSDAY.astimezone(timezone(timedelta(hours=9)))
    assert Cron("0 12 * * *").after(east) == datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("* * * *", "is to have five fields (minute, hour, day of month, month, day of week), and has 4"),
        ("* * * * * *", "and has 6"),
        ("", "and has 0"),
        ("@daily", "and has 1"),
        ("61 * * * *", "the minute is wrong: write for example"),
        ("* 24 * * *", "the hour is wrong"),
        ("0 0 30 2 *", "the day of month is wrong"),
        ("0 0 * 13 *", "the month is wrong"),
        ("0 0 * * 0", "0 is no day of the week: write 1 (Sunday) to 7"),
        ("0 0 * * 8", "8 is no day of the week"),
        ("0 0 * * FRI-MON", "the day of week is wrong"),
        ("0 0 15W * *", "the working day nearest to a date (W) is not supported: LW"),
        ("\N{BULLET} * * * *", "the minute is wrong"),
        ("0 " * MAX_LENGTH, f"has {MAX_LENGTH} characters at most"),
    ],
)
def test_what_is_none(expression: str, message: str) -> None:
    with pytest.raises(CronError) as raised:
        Cron(expression)
    assert message in str(raised.value)


@given(st.text(alphabet="0123456789*/-,#LW? SUNMOJAF", max_size=40))
def test_nothing_else_is_raised_and_the_next_moment_is_later(expression: str) -> None:
    try:
        cron = Cron(expression)
    except CronError:
        return
    assert cron.after(THURSDAY) > THURSDAY
