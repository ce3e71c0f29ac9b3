"""The switch interval: short while somebody may keep the interpreter, and nobody's but the embedding program's else."""

from __future__ import annotations

import sys

from pyworkerd import interpreter
from pyworkerd.interpreter import SHORT_S, USUAL_S, Interval


def test_it_is_short_until_the_last_one_has_ended() -> None:
    seen: list[float] = []
    interval = Interval(seen.append)
    interval.manage()
    assert interval.during(lambda: interval.during(seen.copy)) == [USUAL_S, SHORT_S, SHORT_S]
    assert seen == [USUAL_S, SHORT_S, SHORT_S, SHORT_S, USUAL_S]


def test_who_is_at_work_when_it_becomes_ours_counts() -> None:
    seen: list[float] = []
    interval = Interval(seen.append)
    interval.hold()
    interval.manage()
    interval.release()
    assert seen == [SHORT_S, USUAL_S]


def test_a_program_that_embeds_the_runtime_keeps_its_own() -> None:
    before = sys.getswitchinterval()
    assert interpreter.interval.during(sys.getswitchinterval) == before
    assert sys.getswitchinterval() == before
