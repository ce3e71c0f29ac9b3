"""Credit: who reads slowly holds a window, and no more."""

from pyworkerd_isolates.component.account import Account
from pyworkerd_isolates.component.bodies import Inflow, Outflow
from pyworkerd_isolates.protocol import WINDOW


def test_nothing_is_asked_for_before_somebody_reads():
    said = []
    flow = Inflow(Account(), said.append, b"", 7)
    assert (said, flow.ready()) == ([], False)
    flow.want()
    flow.want()
    assert said == [["pull", 7, WINDOW]]
    flow.came(b"abc", True)
    assert (flow.read(2), flow.read(2), flow.read(2), flow.ended) == (b"ab", b"c", b"", True)


def test_what_was_read_is_asked_for_anew():
    account, said = Account(), []
    flow = Inflow(account, said.append, b"", 7)
    flow.want()
    flow.came(bytes(WINDOW), False)
    assert account.held == WINDOW
    flow.read(WINDOW // 2 - 1)
    assert len(said) == 1
    flow.read(1)
    assert said[1:] == [["pull", 7, WINDOW // 2]]
    flow.stop()
    flow.stop()
    assert said[2:] == [["stop", 7]]
    assert account.held == 0


def test_what_breaks_off_says_why():
    flow = Inflow(Account(), [].append, b"", 7)
    flow.broke_off("gone")
    assert (flow.ready(), flow.failed) == (True, "gone")


def test_no_more_is_written_than_there_is_room_for():
    account = Account()
    flow = Outflow(account, None)
    flow.write(bytes(flow.room))
    assert (flow.room, flow.writable()) == (0, False)
    assert len(flow.take()) == WINDOW
    assert (flow.room, account.held) == (0, 0)
    flow.pulled(10)
    assert flow.room == 10
    flow.stop()
    flow.write(b"for nobody")
    assert (flow.writable(), flow.take(), account.held) == (True, b"", 0)


def test_a_body_is_as_long_as_was_said():
    flow = Outflow(Account(), 3)
    flow.write(b"ab")
    assert not flow.complete()
    flow.write(b"c")
    assert flow.complete()


def test_what_is_in_hand_counts_as_well():
    account = Account()
    first, second = (Inflow(account, [].append, b"abc", None) for _ in range(2))
    assert (first.length, account.held) == (3, 6)
    first.read(3)
    second.stop()
    assert account.held == 0


def test_a_body_of_another_length_is_given_up():
    flow = Outflow(Account(), 3)
    flow.write(b"ab")
    assert not flow.complete()
    assert flow.given_up
