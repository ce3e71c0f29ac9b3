"""The few threads that stores work on. None of it happens on an event loop's thread.

Rule 1: lanes take turns, one piece of work each.
Rule 2: a lane gets another thread only while more are free than it has. So stores that keep threads for long leave some
to the others, each about half of what is left, and who has none gets the last one.
Rule 3: a thread that has computed for long gives way to others (`priority`), and ends with its piece of work. Another
takes its place at once.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from .priority import before_giving_way, is_low

if TYPE_CHECKING:
    from collections.abc import Callable

MOST: Final = 16
"""Threads of one process. They wait for the disk most of the time; SQLite runs without the interpreter's lock."""


def may_take(held: int, free: int) -> bool:
    """Whether a lane that has `held` threads may take one of the `free` ones."""
    return held < free


class Lane(Protocol):
    """Somebody with work to do. All of it is called under the lock of the threads: be quick."""

    running: int
    """Pieces that run. The threads count it."""
    listed: bool
    """Whether it waits for a turn. The threads set it."""

    def take(self) -> Callable[[], None] | None:
        """The next piece of work that may begin now; None if there is none."""

    def ended(self, piece: Callable[[], None]) -> None:
        """A piece that was taken is over."""


class Threads:
    """Threads that begin when they are needed and end with `close`."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self.lock = threading.Condition(threading.Lock())
        """Guards the lanes as well."""
        self._ready: deque[Lane] = deque()
        self._threads: list[threading.Thread] = []
        self._busy = self._waiting = self._low = 0
        self.closed = False
        """Whether no thread takes up new work any more."""

    def __len__(self) -> int:
        return len(self._threads)

    def ready(self, lane: Lane) -> None:
        """A lane has something to do. The lock is held by the caller."""
        if not lane.listed:
            lane.listed = True
            self._ready.append(lane)
        self._call_one()

    def _call_one(self) -> None:
        if self._waiting:
            self.lock.notify()
        elif len(self._threads) - self._low < self._most and not self.closed:
            self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="pyworkerd-storage", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _replace(self) -> None:
        with self.lock:
            self._low += 1
            self._start()

    def _next(self) -> tuple[Lane, Callable[[], None]] | None:
        for _ in range(len(self._ready)):
            lane = self._ready.popleft()
            if not may_take(lane.running, self._most - self._busy):
                self._ready.append(lane)
                continue
            piece = lane.take()
            if piece is None:
                lane.listed = False
                continue
            self._ready.append(lane)
            return lane, piece
        return None

    def _run(self) -> None:
        before_giving_way(self._replace)
        with self.lock:
            while True:
                found = self._next()
                if found is None:
                    if self.closed:
                        return
                    self._waiting += 1
                    self.lock.wait()
                    self._waiting -= 1
                    continue
                lane, piece = found
                lane.running += 1
                self._busy += 1
                if self._ready:
                    self._call_one()
                self.lock.release()
                try:
                    piece()
                finally:
                    self.lock.acquire()
                    self._busy -= 1
                    lane.running -= 1
                    lane.ended(piece)
                del found, lane, piece
                if is_low():
                    self._threads.remove(threading.current_thread())
                    self._low -= 1
                    if self._ready and self._waiting:
                        self.lock.notify()
                    return

    def close(self) -> None:
        """End the threads when nothing is left to do. Blocks."""
        with self.lock:
            self.closed = True
            self.lock.notify_all()
        threads = tuple(self._threads)
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join()
            threads = tuple(self._threads)  # those that have begun in place of others
