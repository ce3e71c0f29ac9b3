"""Lanes take turns, and none takes all threads."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.storage.threads import Threads, may_take

if TYPE_CHECKING:
    from collections.abc import Callable


class Pile:
    """A lane with pieces of work, each of which waits until it may end."""

    def __init__(self, threads: Threads) -> None:
        self.threads = threads
        self.running, self.listed = 0, False
        self.pieces: deque[Callable[[], None]] = deque()
        self.over = 0
        self.most = 0

    def add(self, *pieces: Callable[[], None]) -> None:
        with self.threads.lock:
            self.pieces.extend(pieces)
            self.threads.ready(self)

    def take(self) -> Callable[[], None] | None:
        self.most = max(self.most, self.running + 1)
        return self.pieces.popleft() if self.pieces else None

    def ended(self, piece: Callable[[], None]) -> None:
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


def test_what_fails_ends_no_thread_for_others() -> None:
    threads = Threads(1)
    pile = Pile(threads)
    order: list[int] = []
    pile.add(*(lambda i=i: order.append(i) for i in range(50)))
    threads.close()
    assert order == list(range(50))
