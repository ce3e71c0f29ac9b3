"""The supervisor's decisions: examples, and what holds for any situation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.supervisor.policy import (
    EARLY_S,
    HOPELESS,
    OUTAGE_S,
    PAUSES_S,
    Failures,
    GiveUp,
    Kill,
    Leave,
    Policy,
    Process,
    Start,
    State,
    plan,
)

POLICY = Policy(wanted=3, hang_s=10, replace_bytes=1000)
NONE = Failures()
STARTING, SERVING, DRAINING = State.STARTING, State.SERVING, State.DRAINING


def process(
    number: int, state: State = SERVING, silent: float = 0, memory: int = 0, overdue: bool = False
) -> Process:
    return Process(number, state, silent, memory, overdue)


def test_the_first_one_starts_alone() -> None:
    assert plan(POLICY, [], NONE, 0) == [Start()]
    assert plan(POLICY, [process(1, STARTING)], NONE, 0) == []
    assert plan(POLICY, [process(1)], NONE, 0) == [Start(), Start()]
    assert plan(POLICY, [process(1), process(2, STARTING)], NONE, 0) == [Start()]
    assert plan(POLICY, [process(n) for n in (1, 2, 3)], NONE, 0) == []


def test_whoever_leaves_or_is_killed_is_replaced() -> None:
    assert plan(POLICY, [process(1), process(2), process(3, DRAINING)], NONE, 0) == [Start()]
    actions = plan(POLICY, [process(1), process(2), process(3, silent=10)], NONE, 0)
    assert actions == [Kill(3, "its event loop has not turned for 10 s"), Start()]
    actions = plan(POLICY, [process(n) for n in (1, 2, 3)] + [process(4, DRAINING, overdue=True)], NONE, 0)
    assert [type(action) for action in actions] == [Kill]


def test_who_has_outgrown_its_budget_is_replaced_before_it_leaves() -> None:
    three = [process(1, memory=1 << 22), process(2, memory=1 << 23), process(3, memory=1 << 21)]
    assert plan(POLICY, three, NONE, 0) == [Start()]
    assert plan(POLICY, [*three, process(4, STARTING)], NONE, 0) == []
    # One at a time, the largest first.
    assert plan(POLICY, [*three, process(4)], NONE, 0) == [Leave(2, "it has 8 MiB of its own")]


def test_there_may_be_fewer_wanted_than_there_are() -> None:
    actions = plan(Policy(1, 10, 1000), [process(n) for n in (1, 2, 3)], NONE, 0)
    assert [action.number for action in actions if isinstance(action, Leave)] == [3, 2]


def test_in_the_end_all_leave() -> None:
    everything = [process(1), process(2, STARTING), process(3, DRAINING), process(4, silent=99)]
    actions = plan(Policy(0, 10, 1000), everything, Failures(9, 9), 0)
    assert [(type(action), action.number) for action in actions if isinstance(action, Leave | Kill)] == [
        (Kill, 4),
        (Leave, 1),
        (Leave, 2),
    ]


def test_early_ends_are_counted_in_a_row() -> None:
    failures = NONE
    for number in range(1, 4):
        failures = failures.ended(10.0 * number, None)
        assert failures == Failures(number, number, 10.0 * number)
    failures = failures.ended(50, EARLY_S / 2)
    assert failures == Failures(4, 0, 50)
    assert failures.ended(60, EARLY_S) == NONE


@pytest.mark.parametrize("early", range(15))
def test_pauses_grow(early: int) -> None:
    pause = PAUSES_S[min(early, len(PAUSES_S) - 1)]
    for failures, processes in ((Failures(early, 0, 100), [process(1)]), (Failures(early, 1, 100), [])):
        assert Start() in plan(POLICY, processes, failures, 100 + pause)
        if pause:
            assert plan(POLICY, processes, failures, 100 + pause - 0.01) == []
    assert list(PAUSES_S) == sorted(PAUSES_S)


@pytest.mark.parametrize("early", range(15))
def test_while_nobody_serves_clients_do_not_wait_for_long_if_processes_do_serve_once_they_start(
    early: int,
) -> None:
    assert plan(POLICY, [], Failures(early, 0, 100), 100 + OUTAGE_S) == [Start()]
    assert plan(POLICY, [process(1, DRAINING)], Failures(early, 0, 100), 100 + OUTAGE_S) == [Start()]


def test_when_it_is_hopeless() -> None:
    hopeless = Failures(HOPELESS, HOPELESS, 0)
    assert plan(POLICY, [], hopeless, 1e6) == [GiveUp()]
    assert plan(POLICY, [process(1, DRAINING)], hopeless, 1e6) == [GiveUp()]
    # Not while somebody serves, or may yet.
    assert GiveUp() not in plan(POLICY, [process(1)], hopeless, 1e6)
    assert GiveUp() not in plan(POLICY, [process(1, STARTING)], hopeless, 1e6)
    assert GiveUp() not in plan(POLICY, [], Failures(HOPELESS, HOPELESS - 1, 0), 1e6)


PROCESSES = st.lists(
    st.builds(
        Process,
        st.integers(1, 1000),
        st.sampled_from(State),
        st.floats(0, 20),
        st.integers(0, 2000),
        st.booleans(),
    ),
    max_size=8,
    unique_by=lambda each: each.number,
)
FAILURES = st.builds(Failures, st.integers(0, 12), st.integers(0, 12), st.floats(0, 100))


@given(
    st.builds(Policy, st.integers(0, 6), st.just(10.0), st.just(1000)), PROCESSES, FAILURES, st.floats(0, 200)
)
def test_whatever_the_situation(
    policy: Policy, processes: list[Process], failures: Failures, now: float
) -> None:
    actions = plan(policy, processes, failures, now)
    by_number = {each.number: each for each in processes}
    kills = [action.number for action in actions if isinstance(action, Kill)]
    leaves = [action.number for action in actions if isinstance(action, Leave)]
    starts = actions.count(Start())
    # Nobody is told twice, and nobody who drains is asked to leave.
    assert len({*kills, *leaves}) == len(kills) + len(leaves)
    assert all(by_number[number].state is not DRAINING for number in leaves)
    # Whoever answers in time is not killed.
    assert all(by_number[number].silent_s >= 10 or by_number[number].overdue for number in kills)
    serving = {each.number for each in processes if each.state is SERVING} - set(kills)
    if policy.wanted:
        assert len(serving - set(leaves)) >= min(policy.wanted, len(serving))
        starting = sum(each.state is STARTING and each.number not in kills for each in processes)
        assert not starts or len(serving) + starting + starts <= policy.wanted + 1
        assert serving or starts + starting <= max(1, starting)
    else:
        assert not starts
    assert not starts or now >= failures.next_at(outage=not serving)


@given(st.integers(1, 5), st.data())
def test_it_settles_with_as_many_as_are_wanted(wanted: int, data: st.DataObject) -> None:
    """From any situation, if everybody does what it is told and nothing more goes wrong."""
    policy = Policy(wanted, 10, 1000)
    processes = {each.number: each for each in data.draw(PROCESSES)}
    newest = max(processes, default=0)
    for _ in range(30):
        actions = plan(policy, list(processes.values()), Failures(), 0)
        if not actions and all(each.state is SERVING for each in processes.values()):
            break
        for action in actions:
            if isinstance(action, Kill):
                del processes[action.number]
            elif isinstance(action, Leave):
                processes[action.number] = processes[action.number]._replace(state=DRAINING)
            elif isinstance(action, Start):
                newest += 1
                processes[newest] = process(newest, STARTING)
        for number, each in list(processes.items()):
            if each.state is DRAINING:
                del processes[number]
            elif each.state is STARTING:
                processes[number] = each._replace(state=SERVING, silent_s=0, memory=0, overdue=False)
    assert len(processes) == wanted
    assert all(each.state is SERVING and each.memory <= 1000 for each in processes.values())
