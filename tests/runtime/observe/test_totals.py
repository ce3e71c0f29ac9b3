"""Sums over processes that end, hang, are replaced, and answer late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.observe import totals
from pyworkerd.observe.totals import Totals, counted

if TYPE_CHECKING:
    import pytest
    from pyworkerd.observe.snapshot import Snapshot


def said(steps: int, isolates: int = 0) -> Snapshot:
    snapshot: Snapshot = {"steps": {("w",): (steps,)}}
    if isolates:
        snapshot["isolates"] = {("w", "idle"): (isolates,)}
    return snapshot


def test_what_only_grows() -> None:
    assert counted(said(1, 2)) == said(1)


def test_processes_come_and_go() -> None:
    sums = Totals()
    assert sums.add({1: said(10, 1), 2: said(5, 1)}, {1, 2}) == said(15, 2)
    assert sums.add({1: said(12, 1)}, {1, 2}) == said(17, 1)  # the second is busy
    assert sums.add({1: said(13, 1)}, {1, 3}) == said(18, 1)  # and gone; a third is starting
    assert sums.add({1: said(13, 1), 3: said(1, 1)}, {1, 3}) == said(19, 2)
    assert sums.add({}, set()) == said(19)
    assert sums.add({4: said(1)}, {4}) == said(20)


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from(["grow", "silent", "end", "start"]), st.integers(0, 3)), max_size=5
        ),
        max_size=8,
    )
)
def test_a_sum_of_counters_never_falls(rounds: list[list[tuple[str, int]]]) -> None:
    sums, steps, begun, before = Totals(), {0: 1}, 1, 0
    for happenings in rounds:
        silent = set()
        for what, which in happenings:
            alive = sorted(steps)
            number = alive[which % len(alive)] if alive else None
            if what == "start":
                steps[begun] = 1
                begun += 1
            elif number is not None and what == "grow":
                steps[number] += which
            elif number is not None and what == "silent":
                silent.add(number)
            elif number is not None:
                del steps[number]
        answers = {number: said(count) for number, count in steps.items() if number not in silent}
        total = sums.add(answers, set(steps)).get("steps", {}).get(("w",), (0,))[0]
        assert total >= before
        assert total >= sum(count for number, count in steps.items() if number in answers)
        before = total


def test_a_past_that_grew_too_large_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "PAST_ROWS", 2)
    sums = Totals()
    sums.add({1: {"steps": {(str(number),): (1,) for number in range(3)}}}, {1})
    assert sums.add({2: said(1)}, {2}) == said(1)
