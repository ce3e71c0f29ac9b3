"""Whose turn it is: whoever has few connections, as far as the others' numbers are known."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.server import Balance, Table
from pyworkerd.server.balance import SLACK, has_turn

COUNTS = st.integers(0, 100_000)


@given(COUNTS, COUNTS)
def test_whoever_has_fewest_has_a_turn_and_nobody_with_many_more(mine: int, least: int) -> None:
    turn = has_turn(mine, least)
    assert turn or mine > least
    assert not turn or mine <= least * 1.125 + SLACK


@given(st.integers(2, 6), st.integers(1, 400))
def test_connections_even_out_whoever_is_asked_first(processes: int, connections: int) -> None:
    have = [0] * processes
    for _ in range(connections):
        taker = next(i for i in range(processes) if has_turn(have[i], min(have)))
        have[taker] += 1
    assert max(have) - min(have) <= SLACK + 1 + min(have) // 8


def test_an_empty_seat_is_nobodys_rival() -> None:
    table = Table()
    first, second, third = table.take(), table.take(), table.take()
    first.tell(9)
    assert first.least() == 9
    second.tell(7)
    third.tell(0)
    assert {each.least() for each in (first, second, third)} == {0}
    third.tell(None)
    assert first.least() == 7
    table.free(second)
    assert first.least() == 9
    assert table.take().number == second.number
    assert first.least() == 9


def test_processes_that_are_forked_see_each_others_numbers() -> None:
    table = Table()
    mine = table.take()
    mine.tell(5)
    theirs = table.take()
    pid = os.fork()
    if not pid:
        theirs.tell(3)
        os._exit(0 if (mine.least(), theirs.least()) == (3, 3) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert mine.least() == 3
    assert mine.number != theirs.number


def test_a_process_is_reckoned_with_from_its_first_server_to_its_last() -> None:
    table = Table()
    watcher, balance = table.take(), Balance(table.take())
    watcher.tell(1_000)
    balance.refresh()
    assert watcher.least() == 1_000
    first: set[int] = {1, 2}
    second: set[int] = {3}
    balance.join(first)
    balance.join(first)
    balance.join(second)
    assert watcher.least() == 3
    first.add(4)
    balance.refresh()
    assert watcher.least() == 4
    assert balance.refresh(coming=5) == 9
    assert watcher.least() == 9
    balance.leave(first)
    assert watcher.least() == 1
    balance.leave(second)
    assert watcher.least() == 1_000
    balance.leave(second)
    balance.refresh()
    assert watcher.least() == 1_000


def test_those_on_their_way_count_when_turns_are_taken() -> None:
    table = Table()
    table.take().tell(2)
    balance = Balance(table.take())
    balance.join({1, 2})
    assert balance.has_turn(0)
    assert balance.has_turn(SLACK)
    assert not balance.has_turn(SLACK + 1)
