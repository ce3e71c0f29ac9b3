"""A slow or absent reader stops nobody."""

from __future__ import annotations

import threading

from pyworkerd.observe.background import ENTRY_CHARACTERS, Background
from pyworkerd.observe.logs import LogEntry

PATIENCE_S = 60.0


def entry(message: str) -> LogEntry:
    return LogEntry(0.0, "w", 1, "info", "print", message)


class Slow:
    """A sink whose reader reads when it is told to."""

    def __init__(self) -> None:
        self.reached, self.may_go = threading.Event(), threading.Event()
        self.seen: list[str] = []

    def __call__(self, each: LogEntry) -> None:
        self.reached.set()
        assert self.may_go.wait(PATIENCE_S)
        self.seen.append(each.message)


def test_all_is_written_in_order_before_it_is_closed() -> None:
    seen: list[str] = []
    background = Background(lambda each: seen.append(each.message))
    for number in range(1000):
        background(entry(str(number)))
    background.close(PATIENCE_S)
    assert seen == [str(number) for number in range(1000)]
    background(entry("too late"))
    background.close()
    assert len(seen) == 1000


def test_what_finds_no_room_is_counted_and_told() -> None:
    slow = Slow()
    background = Background(slow, limit=3 * (ENTRY_CHARACTERS + 1))
    background(entry("a"))
    assert slow.reached.wait(PATIENCE_S)  # it is being written and takes no room any more
    for message in "bcdefg":
        background(entry(message))
    slow.may_go.set()
    background.close(PATIENCE_S)
    assert slow.seen[:4] == ["a", "b", "c", "d"]
    assert slow.seen[4:] == ["3 log entries were dropped: they came faster than they could be written"]


def test_a_reader_that_never_reads_does_not_hold_the_end_up() -> None:
    slow = Slow()
    background = Background(slow)
    background(entry("a"))
    assert slow.reached.wait(PATIENCE_S)
    background.close(0.01)
    assert slow.seen == []
    slow.may_go.set()
    background.close(PATIENCE_S)
    assert slow.seen == ["a"]


def test_a_reader_that_has_gone_is_not_written_to_again() -> None:
    tried: list[str] = []

    def broken(each: LogEntry) -> None:
        tried.append(each.message)
        raise BrokenPipeError

    background = Background(broken)
    background(entry("a"))
    background.close(PATIENCE_S)
    assert background.broken
    background(entry("b"))
    assert tried == ["a"]


def test_nothing_was_logged() -> None:
    Background(lambda _: None).close()
