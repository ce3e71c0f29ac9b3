"""Lanes take turns, and none takes all threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.storage.priority import give_way_once
from pyworkerd.storage.threads import Threads, may_take

if TYPE_CHECKING:
    import pytest
    from pyworkerd.storage.threads import Piece


class Pile:
    """A lane with pieces of work, each of which waits until it may end."""

    def __init__(self, threads: Threads, owner: object = None) -> None:
        self.threads, self.owner = threads, owner or self
        self.running, self.listed = 0, False
        self.pieces: deque[Piece] = deque()
        self.over = 0
        self.most = 0

    def add(self, *pieces: Piece) -> None:
        with self.threads.lock:
            self.pieces.extend(pieces)
            self.threads.ready(self)

    def take(self) -> Piece | None:
        self.most = max(self.most, self.running + 1)
        return self.pieces.popleft() if self.pieces else None

    def more(self) -> bool:
        return bool(self.pieces)

    def ended(self, piece: Piece) -> None:
        self.over += 1
        if self.pieces:
            self.threads.ready(self)


@given(st.integers(1, 32), st.lists(st.integers(0, 9), max_size=200))
def test_whoever_has_no_thread_gets_one_while_there_is_one(most: int, wanting: list[int]) -> None:
    held: dict[int, int] = {}
    for lane in wanting:
        free = most - sum(held.values())
        if may_take(held.get(lane, 0), free):
            held[lane] = held.get(lane, 0) + 1
        assert held.get(lane) or not free
    assert all(count <= most // 2 + 1 for count in held.values())


def test_a_lane_that_keeps_its_threads_leaves_some_to_others() -> None:
    threads = Threads(8)
    hold, began = threading.Event(), threading.Semaphore(0)
    greedy, modest = Pile(threads), Pile(threads)

    def keep() -> None:
        began.release()
        hold.wait()

    greedy.add(*[keep] * 20)
    for _ in range(4):
        began.acquire()
    done = threading.Event()
    modest.add(done.set)
    assert done.wait(20)
    assert greedy.running == 4
    hold.set()
    threads.close()
    assert (greedy.over, modest.over) == (20, 1)
    assert len(threads) <= 8


def test_an_owner_of_many_lanes_leaves_as_much() -> None:
    threads = Threads(8)
    hold, began = threading.Event(), threading.Semaphore(0)
    greedy = [Pile(threads, "greedy") for _ in range(20)]

    def keep() -> None:
        began.release()
        hold.wait()

    for each in greedy:
        each.add(keep)
    for _ in range(4):
        began.acquire()
    modest, done = Pile(threads), threading.Event()
    modest.add(done.set)
    assert done.wait(20)
    assert sum(each.running for each in greedy) == 4
    hold.set()
    threads.close()
    assert sum(each.over for each in greedy) == 20
    assert not threads._held


def test_those_who_have_given_way_are_not_in_the_way() -> None:
    """Many owners, each of whose pieces computes for long: others find a thread none the less."""
    threads = Threads(4)
    hold, began = threading.Event(), threading.Semaphore(0)

    def compute() -> None:
        give_way_once()
        began.release()
        hold.wait()

    greedy = [Pile(threads) for _ in range(4)]
    for each in greedy:
        each.add(compute)
    for _ in greedy:
        began.acquire()
    modest, done = Pile(threads), threading.Event()
    modest.add(done.set)
    assert done.wait(20)
    assert [each.running for each in greedy] == [1, 1, 1, 1]
    hold.set()
    threads.close()


def test_what_fails_ends_no_thread_for_others() -> None:
    threads = Threads(1)
    pile = Pile(threads)
    order: list[int] = []
    pile.add(*(lambda i=i: order.append(i) for i in range(50)))
    threads.close()
    assert order == list(range(50))


def test_no_more_threads_are_called_than_there_is_work_for() -> None:
    threads = Threads(8)
    pile = Pile(threads)
    for number in range(1, 20):
        told: SimpleQueue[int] = SimpleQueue()
        pile.add(lambda told=told: lambda: told.put(pile.over))
        assert told.get() == number  # who hears of a piece finds it accounted for, and the thread free
    assert len(threads) == 1
    threads.close()


def test_what_breaks_a_thread_takes_nothing_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    threads = Threads(2)
    pile = Pile(threads)

    def breaks() -> None:
        raise SystemExit

    done = threading.Event()
    pile.add(breaks, done.set)
    assert done.wait(20)
    threads.close()
    assert (pile.running, pile.over) == (0, 2)


def test_a_thread_that_cannot_be_had_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = Threads(2)
    pile, done = Pile(threads), threading.Semaphore(0)
    with monkeypatch.context() as patch:
        patch.setattr(threading, "_start_new_thread", refuse, raising=False)
        patch.setattr(threading, "_start_joinable_thread", refuse, raising=False)
        pile.add(done.release)
        assert len(threads) == 0
    pile.add(done.release)
    assert done.acquire(timeout=10)
    assert done.acquire(timeout=10)
    threads.close()


def refuse(*_: object, **__: object) -> None:
    """What the interpreter raises where the system has no thread for it."""
    raise RuntimeError("can't start new thread")


def test_who_is_woken_without_being_called_waits_on() -> None:
    """A process that is forked off this one has its descriptors."""
    threads = Threads(1)
    pile, done = Pile(threads), threading.Semaphore(0)
    pile.add(done.release)
    assert done.acquire(timeout=10)
    for _ in range(3):
        while not threads._waiting:
            time.sleep(0)
        threads._waiting[0].make()
        time.sleep(0)
        pile.add(done.release)
        assert done.acquire(timeout=10)
    assert len(threads) == 1
    threads.close()
    assert threads._waiting == []
