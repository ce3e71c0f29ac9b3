"""Callers: none takes the places that others need, whatever it tries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.dispatch.callers import OUTSIDE, Callers

CALLERS = ["a", "b", "c", OUTSIDE]


def filled(places: Callers, caller: str, most: int) -> int:
    """How many places a caller takes that takes whatever it may."""
    taken = 0
    while taken < most and places.open_to(caller):
        places.take(caller)
        taken += 1
    return taken


def test_who_calls_alone_takes_half() -> None:
    assert filled(Callers(100), "a", 1000) == 50


def test_of_two_that_take_turns_each_takes_a_third() -> None:
    places = Callers(99)
    taken = {"a": 0, "b": 0}
    for _ in range(1000):
        for caller in taken:
            taken[caller] += filled(places, caller, 1)
    assert taken == {"a": 33, "b": 33}


def test_the_smallest_worker_can_be_called() -> None:
    for number in (0, 1, 2):
        assert filled(Callers(number), "a", 10) == 1


def test_what_others_hold_leaves_less() -> None:
    places = Callers(100)
    for _ in range(90):
        places.take(OUTSIDE)
    assert filled(places, "a", 100) == 5
    assert places.open_to("b")
    assert places.open_to(OUTSIDE)


@given(
    number=st.integers(0, 50),
    moves=st.lists(st.tuples(st.sampled_from(CALLERS), st.booleans()), max_size=200),
)
def test_a_caller_never_takes_more_than_it_leaves_and_what_comes_back_is_free(
    number: int, moves: list[tuple[str, bool]]
) -> None:
    places = Callers(number)
    held = dict.fromkeys(CALLERS, 0)
    for caller, takes in moves:
        trial = places.copy()
        if takes and places.open_to(caller):
            free = number - sum(held.values())
            assert caller == OUTSIDE or held[caller] < max(free, 1)
            places.take(caller)
            held[caller] += 1
        elif not takes and held[caller]:
            places.give_back(caller)
            held[caller] -= 1
        assert trial.open_to(caller) or not takes or caller != OUTSIDE
    for caller, count in held.items():
        for _ in range(count):
            places.give_back(caller)
    assert filled(places, "d", 100) == filled(Callers(number), "d", 100)
    assert places._held.keys() <= {"d"}, "nothing is kept of callers that hold nothing"


@given(callers=st.integers(1, 20), number=st.integers(30, 200))
def test_however_many_there_are_some_places_are_left(callers: int, number: int) -> None:
    places = Callers(number)
    names = [f"worker-{index}" for index in range(callers)]
    for _ in range(number):
        for name in names:
            filled(places, name, 1)
    assert sum(places._held.values()) < number
    assert filled(places, "another", 1) == 1
