"""Where steps begin: the place on the loop's thread is lost by a long step, and regained, later each time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.dispatch.placement import LONG_MS, MAX_PROOFS, PROOFS, SHORT_MS, Placement

milliseconds = st.floats(0, 1000)


def record(placement: Placement, count: int, length: float = 0.1) -> None:
    for _ in range(count):
        placement.record(length, 1)


def test_a_worker_has_the_place_until_it_had_a_long_step() -> None:
    placement = Placement()
    assert placement.inline
    placement.record(LONG_MS - 0.1, 1)
    assert placement.inline
    placement.record(LONG_MS, 16)
    assert not placement.inline


def test_it_gets_the_place_back_later_each_time() -> None:
    placement = Placement()
    owed = PROOFS
    while owed < MAX_PROOFS * 4:
        placement.record(LONG_MS, 1)
        record(placement, min(owed, MAX_PROOFS) - 1)
        assert not placement.inline
        record(placement, 1)
        assert placement.inline
        owed *= 4


def test_a_long_step_elsewhere_begins_the_proof_anew_and_makes_it_no_longer() -> None:
    placement = Placement()
    placement.record(LONG_MS, 1)
    for _ in range(3):
        record(placement, PROOFS - 1)
        placement.record(LONG_MS, 1)
    record(placement, PROOFS - 1)
    assert not placement.inline
    record(placement, 1)
    assert placement.inline


@given(steps=st.lists(st.tuples(milliseconds, st.integers(0, 100))), limit=st.integers(1, 64))
def test_a_share_lies_between_one_and_the_limit(steps: list[tuple[float, int]], limit: int) -> None:
    placement = Placement()
    for length, shares in steps:
        placement.record(length, shares)
    assert 1 <= placement.share(limit) <= limit
    if steps and steps[-1][0] >= LONG_MS:
        assert not placement.inline


@given(length=milliseconds)
def test_as_many_share_a_step_as_stay_short_together(length: float) -> None:
    placement = Placement()
    record(placement, 200, length)
    share = placement.share(16)
    assert share == 1 or share * length <= 2 * SHORT_MS + 0.1
