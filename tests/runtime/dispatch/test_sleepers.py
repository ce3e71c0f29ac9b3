"""Which workers go back to sleep: those without an isolate, longest first, and never one that is waited for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.dispatch.sleepers import LOOKS, Sleepers

if TYPE_CHECKING:
    from pyworkerd.dispatch.worker import Worker


@dataclass(eq=False)
class Somebody:
    """As much of a worker as is asked for."""

    number: int
    occupied: bool = False


def made(most: int, workers: int) -> tuple[Sleepers, list[Worker], list[int]]:
    sleepers, asleep = Sleepers(most), []
    all_of_them = cast("list[Worker]", [Somebody(number) for number in range(workers)])
    for number, worker in enumerate(all_of_them):
        sleepers.admit(worker, lambda number=number: asleep.append(number))  # type: ignore[misc]
    return sleepers, all_of_them, asleep


def test_the_one_that_became_empty_first_goes_to_sleep_first() -> None:
    sleepers, workers, asleep = made(2, 3)
    assert asleep == [0]
    sleepers.filled(workers[1])
    sleepers.emptied(workers[1])
    late = cast("Worker", Somebody(9))
    sleepers.admit(late, lambda: asleep.append(9))
    assert asleep == [0, 2]


def test_one_with_an_isolate_or_that_may_not_stays_awake() -> None:
    sleepers, workers, asleep = made(3, 3)
    sleepers.filled(workers[0])
    sleepers.dismiss(workers[1])
    for number in range(3):
        sleepers.admit(cast("Worker", Somebody(number)), lambda: asleep.append(-1))
    assert asleep == [2]
    sleepers.emptied(workers[1])  # it may not
    assert asleep == [2]


def test_many_that_are_occupied_are_passed_over_in_time() -> None:
    sleepers, workers, asleep = made(3 * LOOKS, 3 * LOOKS)
    for worker in workers:
        cast("Any", worker).occupied = True
    for number in range(100, 108):
        sleepers.admit(cast("Worker", Somebody(number)), lambda number=number: asleep.append(number))  # type: ignore[misc]
    assert asleep == list(range(100, 100 + len(asleep)))
    assert len(asleep) > 0


def test_one_that_is_waited_for_is_passed_over() -> None:
    sleepers, workers, asleep = made(2, 2)
    cast("Any", workers[0]).occupied = True
    for number in (7, 8):
        sleepers.admit(cast("Worker", Somebody(number)), lambda number=number: asleep.append(number))  # type: ignore[misc]
    assert asleep == [1, 7]
    cast("Any", workers[0]).occupied = False
    sleepers.admit(cast("Worker", Somebody(9)), lambda: asleep.append(9))
    assert asleep == [1, 7, 0]


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.sampled_from(["filled", "emptied"]), st.integers(0, 9)), max_size=60),
)
def test_never_more_are_awake_than_may_be(most: int, events: list[tuple[str, int]]) -> None:
    sleepers, workers, asleep = made(most, 10)
    for event, number in events:
        if number not in asleep:
            getattr(sleepers, event)(workers[number])
        assert len(sleepers._empty) <= most
        assert len(set(asleep)) == len(asleep)
