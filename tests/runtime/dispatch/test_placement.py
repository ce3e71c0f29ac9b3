"""Where steps run: the place on the loop's thread is earned, and lost for longer each time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.dispatch.placement import (
    LONG_MS,
    MAX_INLINE_MS,
    MAX_PROOFS,
    PROOF_MS,
    PROOFS,
    SHORT_MS,
    Placement,
)

milliseconds = st.floats(0, 1000)


def record(placement: Placement, count: int, length: float = 0.1) -> None:
    for _ in range(count):
        placement.record(length, 1)


def test_short_steps_earn_the_place() -> None:
    placement = Placement()
    record(placement, PROOFS - 1)
    assert not placement.inline(50)
    record(placement, 1)
    assert placement.inline(50)


def test_a_long_step_loses_it_for_longer_each_time() -> None:
    placement = Placement()
    needed = PROOFS
    for _ in range(3):
        record(placement, needed)
        assert placement.inline(50)
        placement.record(LONG_MS, 1)
        record(placement, needed)
        assert not placement.inline(50)
        needed *= 4
        record(placement, needed - needed // 4)


def test_a_step_of_middling_length_begins_the_proof_anew() -> None:
    placement = Placement()
    record(placement, PROOFS - 1)
    placement.record(PROOF_MS, 1)
    record(placement, PROOFS - 1)
    assert not placement.inline(50)


def test_no_record_is_good_enough_for_a_large_budget() -> None:
    placement = Placement()
    record(placement, MAX_PROOFS)
    assert placement.inline(MAX_INLINE_MS)
    assert not placement.inline(MAX_INLINE_MS + 0.1)


@given(steps=st.lists(st.tuples(milliseconds, st.integers(0, 100))), limit=st.integers(1, 64))
def test_a_share_lies_between_one_and_the_limit(steps: list[tuple[float, int]], limit: int) -> None:
    placement = Placement()
    for length, shares in steps:
        placement.record(length, shares)
    assert 1 <= placement.share(limit) <= limit
    if steps and steps[-1][0] >= LONG_MS:
        assert not placement.inline(1)


@given(length=milliseconds)
def test_as_many_share_a_step_as_stay_short_together(length: float) -> None:
    placement = Placement()
    record(placement, 200, length)
    share = placement.share(16)
    assert share == 1 or share * length <= 2 * SHORT_MS + 0.1
