"""Memory runs short: idle isolates go first, then the heaviest are refused, then all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.dispatch.pressure import MOST_EVICTIONS, REACHED, ROOM, Level, User, relieve
from pyworkerd_isolates.pool import Idle

LIMIT = 1000
levels = st.sampled_from(Level)
used = st.integers(0, 1200)
idle = st.lists(st.integers(0, 400)).map(
    lambda costs: [Idle(number, float(number), cost) for number, cost in enumerate(costs)]
)
users = st.lists(st.integers(0, 10**6)).map(
    lambda sizes: [User(number, size) for number, size in enumerate(sizes)]
)


@pytest.mark.parametrize(
    ("part", "level", "evicted", "refused"),
    [
        (0.74, Level.ENOUGH, (), set()),
        (0.75, Level.TIGHT, (1,), set()),
        (0.84, Level.TIGHT, (1, 2), set()),
        (0.85, Level.SHORT, (1, 2), {7}),
        (0.93, Level.GONE, (1, 2, 3), {7, 8, 9}),
    ],
)
def test_measures_in_their_order(
    part: float, level: Level, evicted: tuple[int, ...], refused: set[int]
) -> None:
    lying = [Idle(number, 0.0, 100) for number in (1, 2, 3, 4)]
    workers = [User(8, 100), User(7, 300), User(9, 200)]
    assert relieve(Level.ENOUGH, int(part * LIMIT), LIMIT, lying, workers) == (level, evicted, refused)


def test_a_level_is_left_when_there_is_room_below_it() -> None:
    assert relieve(Level.SHORT, 801, LIMIT).level is Level.SHORT
    assert relieve(Level.SHORT, 799, LIMIT).level is Level.TIGHT
    assert relieve(Level.TIGHT, 701, LIMIT).level is Level.TIGHT
    assert relieve(Level.TIGHT, 699, LIMIT).level is Level.ENOUGH


@given(before=levels, used=used, idle=idle, users=users)
def test_nothing_is_given_up_while_memory_is_enough(
    before: Level, used: int, idle: list[Idle], users: list[User]
) -> None:
    relief = relieve(before, used, LIMIT, idle, users)
    if used < (REACHED[Level.TIGHT] - ROOM) * LIMIT:
        assert relief == (Level.ENOUGH, (), frozenset())
    if relief.level < Level.SHORT:
        assert not relief.refuse
    if relief.level is Level.GONE:
        assert relief.refuse == {user.id for user in users}


@given(before=levels, used=used, users=users)
def test_no_worker_is_refused_while_a_heavier_one_is_not(before: Level, used: int, users: list[User]) -> None:
    relief = relieve(before, used, LIMIT, (), users)
    refused = [user.memory for user in users if user.id in relief.refuse]
    spared = [user.memory for user in users if user.id not in relief.refuse]
    if refused and spared:
        assert min(refused) >= max(spared)
    if relief.level is Level.SHORT:
        assert sum(spared) <= sum(refused), "those who are refused have most of it"
        if refused:
            assert sum(refused) - min(refused) < sum(user.memory for user in users) / 2, "and no more of them"


@given(before=levels, used=used, idle=idle)
def test_idle_isolates_end_in_their_order_and_no_more_than_are_needed(
    before: Level, used: int, idle: list[Idle]
) -> None:
    evicted = relieve(before, used, LIMIT, idle).evict
    assert list(evicted) == [each.id for each in idle][: len(evicted)]
    assert len(evicted) <= MOST_EVICTIONS
    if evicted:
        freed = sum(each.cost for each in idle[: len(evicted) - 1])
        assert used - freed > (REACHED[Level.TIGHT] - ROOM) * LIMIT


@given(before=levels, used=used, more=st.integers(0, 500))
def test_more_use_never_means_less_pressure(before: Level, used: int, more: int) -> None:
    assert relieve(before, used + more, LIMIT).level >= relieve(before, used, LIMIT).level


@given(level=levels, used=used)
def test_a_steady_reading_settles(level: Level, used: int) -> None:
    once = relieve(level, used, LIMIT).level
    assert relieve(once, used, LIMIT).level is once
