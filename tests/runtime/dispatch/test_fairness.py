"""Fair queueing: whatever comes, in whatever order, nobody who waits is passed over for long."""

from __future__ import annotations

from itertools import combinations, count

from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.dispatch.fairness import LEAST_COST, WEIGHT, Account, FairQueue

COSTS = st.floats(0, 10)
WEIGHTS = st.integers(1, 10_000)


class Crowd:
    """Accounts that always wait, on so many processors, each turn of which costs what a function says."""

    def __init__(self, weights: list[int], processors: int) -> None:
        self.queue: FairQueue[int] = FairQueue()
        self.accounts: list[Account[int]] = [Account(weight) for weight in weights]
        self.had = [0.0] * len(weights)
        self.turns = [0] * len(weights)
        self.running: list[int] = []
        self.processors = processors
        for index, account in enumerate(self.accounts):
            for _ in range(processors + 1):
                self.queue.put(account, index)

    def turn(self, cost: float) -> int:
        """The processor that has been busy longest ends its turn; returns whose turn begins."""
        if len(self.running) == self.processors:
            index = self.running.pop(0)
            self.queue.charge(self.accounts[index], cost)
            self.had[index] += max(cost, LEAST_COST)
            self.queue.put(self.accounts[index], index)
        turn = self.queue.take()
        assert turn is not None
        assert turn.account is self.accounts[turn.job]
        self.running.append(turn.job)
        self.turns[turn.job] += 1
        return turn.job


@given(
    weights=st.lists(WEIGHTS, min_size=2, max_size=6),
    processors=st.integers(1, 4),
    costs=st.lists(COSTS, min_size=1, max_size=300),
)
def test_weights_are_honoured_within_a_turn_of_each(
    weights: list[int], processors: int, costs: list[float]
) -> None:
    crowd = Crowd(weights, processors)
    most = max(*costs, LEAST_COST)
    for cost in costs:
        crowd.turn(cost)
        for (mine, my_weight), (other, other_weight) in combinations(zip(crowd.had, weights, strict=True), 2):
            bound = processors * most * (1 / my_weight + 1 / other_weight)
            assert abs(mine / my_weight - other / other_weight) <= bound * 1.0001


@given(
    weights=st.lists(st.integers(1, 100), min_size=2, max_size=5),
    costs=st.lists(st.floats(1, 10), min_size=1, max_size=50),
)
def test_nobody_starves(weights: list[int], costs: list[float]) -> None:
    crowd = Crowd(weights, 1)
    waits = [0.0] * len(weights)
    # While one waits each other has what its weight gives it for that time, and one turn more.
    most = max(costs)
    for cost, _ in zip(costs * 50, range(2000), strict=False):
        begun = crowd.turn(cost)
        waits = [0.0 if index == begun else wait + cost for index, wait in enumerate(waits)]
        for index, wait in enumerate(waits):
            others = [weight for other, weight in enumerate(weights) if other != index]
            assert wait <= 2 * most * (sum(others) / weights[index] + len(others)) + most


@given(
    arrivals=st.lists(st.tuples(st.integers(0, 5), COSTS, st.booleans()), max_size=200),
    weights=st.lists(WEIGHTS, min_size=6, max_size=6),
)
def test_whenever_somebody_waits_a_turn_is_given_and_jobs_of_one_account_keep_their_order(
    arrivals: list[tuple[int, float, bool]], weights: list[int]
) -> None:
    queue: FairQueue[tuple[int, int]] = FairQueue()
    accounts: list[Account[tuple[int, int]]] = [Account(weight) for weight in weights]
    numbers = count()
    waiting: list[list[int]] = [[] for _ in accounts]
    for index, cost, serve in arrivals:
        number = next(numbers)
        queue.put(accounts[index], (index, number))
        waiting[index].append(number)
        if serve:
            turn = queue.take()
            assert turn is not None
            owner, job = turn.job
            assert job == waiting[owner].pop(0)
            queue.charge(turn.account, cost)
        assert bool(queue) == any(waiting)
    while queue:
        turn = queue.take()
        assert turn is not None
        owner, job = turn.job
        assert job == waiting[owner].pop(0)
    assert not any(waiting)
    assert queue.take() is None


@given(before=st.integers(1, 200), after=st.integers(1, 50))
def test_who_comes_after_a_pause_is_among_the_next_and_has_saved_up_nothing(before: int, after: int) -> None:
    crowd = Crowd([WEIGHT] * 3, 1)
    for _ in range(before):
        crowd.turn(1.0)
    crowd.accounts.append(Account())
    crowd.had.append(0.0)
    crowd.turns.append(0)
    for _ in range(2):
        crowd.queue.put(crowd.accounts[3], 3)
    assert 3 in [crowd.turn(1.0) for _ in range(4)]
    for _ in range(4 * after):
        crowd.turn(1.0)
    assert after <= crowd.turns[3] <= after + 2


def test_an_account_that_is_charged_while_it_waits_loses_its_place() -> None:
    queue: FairQueue[str] = FairQueue()
    first, second = Account[str](), Account[str]()
    queue.put(first, "a")
    queue.put(first, "b")
    queue.put(second, "c")
    turn = queue.take()
    assert turn is not None
    assert turn.job == "a"
    queue.charge(first, 5.0)
    assert [queue.take(), queue.take()] == [(second, "c"), (first, "b")]


def test_equals_take_turns() -> None:
    queue: FairQueue[str] = FairQueue()
    accounts = {name: Account[str]() for name in "abc"}
    for job in ("a0", "a1", "a2", "b0", "b1", "c0"):
        queue.put(accounts[job[0]], job)
    order = []
    while (turn := queue.take()) is not None:
        order.append(turn.job)
        queue.charge(turn.account, 1.0)
    assert order == ["a0", "b0", "c0", "a1", "b1", "a2"]
