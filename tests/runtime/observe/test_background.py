"""A slow or absent reader stops nobody, and a flood of one worker costs no other a line."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pyworkerd.observe.background import ENTRY_CHARACTERS, SHARE, Background
from pyworkerd.observe.logs import SHOWN, LogEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd.observe.logs import Entry

PATIENCE_S = 60.0
SIZE = ENTRY_CHARACTERS + 1


def entry(message: str, worker: str = "") -> LogEntry:
    return LogEntry(0.0, worker, 1, "info", "print", message)


def messages(entries: Sequence[Entry]) -> list[str]:
    return [each.message for each in entries if isinstance(each, LogEntry)]


class Slow:
    """A sink whose reader reads when it is told to."""

    def __init__(self) -> None:
        self.reached, self.may_go = threading.Event(), threading.Event()
        self.seen: list[str] = []

    def __call__(self, entries: Sequence[Entry]) -> None:
        self.reached.set()
        assert self.may_go.wait(PATIENCE_S)
        self.seen += messages(entries)


def test_all_is_written_in_order_before_it_is_closed() -> None:
    seen: list[str] = []
    background = Background(lambda entries: seen.extend(messages(entries)))
    for number in range(1000):
        background(entry(str(number)))
    background.close(PATIENCE_S)
    assert seen == [str(number) for number in range(1000)]
    background(entry("too late"))
    background.close()
    assert len(seen) == 1000


def test_entries_of_many_threads_are_all_written() -> None:
    seen: list[str] = []
    background = Background(lambda entries: seen.extend(messages(entries)))
    threads = [
        threading.Thread(target=lambda: [background(entry("x")) for _ in range(500)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    background.close(PATIENCE_S)
    assert len(seen) + background.dropped == 4000
    assert background.dropped == 0


def test_what_comes_while_something_is_written_is_written_together() -> None:
    batches: list[list[str]] = []
    slow = Slow()

    def sink(entries: Sequence[Entry]) -> None:
        batches.append(messages(entries))
        slow(entries)

    background = Background(sink)
    background(entry("a"))
    assert slow.reached.wait(PATIENCE_S)
    for message in "bcd":
        background(entry(message))
    slow.may_go.set()
    background.close(PATIENCE_S)
    assert batches == [["a"], ["b", "c", "d"]]


def test_what_finds_no_room_is_counted_and_told() -> None:
    slow = Slow()
    background = Background(slow, limit=3 * SIZE)
    background(entry("a"))
    assert slow.reached.wait(PATIENCE_S)  # it is being written and takes no room any more
    for message in "bcdefg":
        background(entry(message))
    assert background.dropped == 3
    slow.may_go.set()
    background.close(PATIENCE_S)
    assert slow.seen[:4] == ["a", "b", "c", "d"]
    assert slow.seen[4:] == ["3 log entries were dropped: they came faster than they could be written"]
    assert background.dropped == 3


def test_a_worker_that_floods_the_log_takes_its_own_share_only() -> None:
    slow = Slow()
    background = Background(slow, limit=4 * SHARE * SIZE)
    background(entry("a"))
    assert slow.reached.wait(PATIENCE_S)
    for _ in range(1000):
        background(entry("f", "flood"))
    for worker in ("quiet", ""):
        background(entry("q", worker))
    slow.may_go.set()
    background.close(PATIENCE_S)
    assert slow.seen[:-1] == ["a", *"ffff", "q", "q"]
    assert slow.seen[-1].startswith("996 log entries were dropped")
    assert slow.seen[-1].endswith(" (996 of flood)")


def test_a_long_message_is_cut_before_it_waits() -> None:
    seen: list[str] = []
    background = Background(lambda entries: seen.extend(messages(entries)))
    background(entry("x" * 10_000_000, "w"))
    background.close(PATIENCE_S)
    (message,) = seen
    assert SHOWN < len(message) < SHOWN + 100


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

    def broken(entries: Sequence[Entry]) -> None:
        tried.extend(messages(entries))
        raise BrokenPipeError

    background = Background(broken)
    background(entry("a"))
    background.close(PATIENCE_S)
    assert background.broken
    background(entry("b"))
    assert tried == ["a"]


def test_nothing_was_logged() -> None:
    Background(lambda _: None).close()
