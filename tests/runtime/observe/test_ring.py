"""What was told lately, in a bounded room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.observe.ring import ENTRY_CHARACTERS, NAMED, SHARE, Ring

ROOM = 64 * ENTRY_CHARACTERS
"""For so many entries without a text, of which one worker may have eight."""


def test_what_comes_after_a_number_in_order() -> None:
    ring: Ring[str] = Ring(ROOM)
    for text in "abc":
        ring.add("w", 0, text)
    assert ring.after(0) == [(1, "a"), (2, "b"), (3, "c")]
    assert ring.after(2) == [(3, "c")]
    assert ring.after(3) == ring.after(9) == []
    assert ring.last == 3


def test_a_flood_takes_room_from_its_own_worker() -> None:
    ring: Ring[str] = Ring(ROOM)
    ring.add("quiet", 0, "hello")
    for number in range(1000):
        ring.add("loud", 0, str(number))
    kept = [text for _, text in ring.after(0)]
    assert kept == ["hello", *map(str, range(1000 - 64 // SHARE, 1000))]


def test_what_went_before_it_was_read_is_counted_by_worker() -> None:
    ring: Ring[int] = Ring(ROOM)
    for number in range(20):
        ring.add("loud", 0, number)
    assert ring.missed() == {"loud": 12}
    for number in range(8):
        ring.add("loud", 0, number)  # in place of eight that were read
    assert ring.missed() == {}
    ring.add("loud", 0, 8)
    ring.add("loud", 0, 9)
    assert ring.missed() == {}
    for number in range(10):
        ring.add("loud", 0, number)
    assert ring.missed() == {"loud": 2}


def test_of_too_many_workers_what_was_missed_is_together() -> None:
    ring: Ring[int] = Ring(ROOM)
    for number in range(NAMED + 200):
        ring.add(f"w{number}", 0, number)
    missed = ring.missed()
    assert len(missed) == NAMED + 1
    assert missed[""] == 200 - 64


def test_one_that_is_larger_than_its_share_is_alone() -> None:
    ring: Ring[str] = Ring(ROOM)
    ring.add("w", 0, "small")
    ring.add("w", ROOM // SHARE, "large")
    assert [text for _, text in ring.after(0)] == ["large"]


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b", "c"]), st.integers(0, 5000)), max_size=200))
def test_the_room_is_kept_and_nothing_is_lost_without_being_counted(told: list[tuple[str, int]]) -> None:
    ring: Ring[tuple[str, int]] = Ring(ROOM)
    for worker, characters in told:
        ring.add(worker, characters, (worker, characters))
    left = ring.after(0)
    assert sum(size + ENTRY_CHARACTERS for _, (_, size) in left) <= ROOM
    assert [told[number - 1] for number, _ in left] == [entry for _, entry in left]
    assert len(left) + sum(ring.missed().values()) == ring.last == len(told)
    for name in "abc":
        mine = [size + ENTRY_CHARACTERS for _, (worker, size) in left if worker == name]
        assert len(mine) <= 1 or sum(mine) <= ROOM // SHARE
