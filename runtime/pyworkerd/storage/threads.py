"""The few threads that stores work on. None of it happens on an event loop's thread.

Rule 1: lanes take turns, one piece of work each.
Rule 2: whose lanes they are gets another thread only while more are free than it has. So stores that keep threads for
long leave some to others, however many they are: each owner about half of what is left, and who has none gets the last.
Rule 3: a thread that has computed for long gives way to others (`priority`), and ends with its piece of work. Another
takes its place at once, so that as many of them as there are threads count as free.
Rule 4: no more threads are called than there is work for: each that takes a piece calls another if there is more.
Rule 5: who waits for a piece is told of it as the last thing before the thread goes on or waits: the event loop, which
wakes then, needs the interpreter at once.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from .calling import CallingLock, new_call
from .priority import before_giving_way, is_low

if TYPE_CHECKING:
    from collections.abc import Callable

    from .calling import Call

logger: Final = logging.getLogger("pyworkerd.storage")

Tell: TypeAlias = "Callable[[], object]"
"""Tells whoever waits for a piece of work what came of it."""
Piece: TypeAlias = "Callable[[], Tell | None]"
"""Raises nothing."""
MOST: Final = 16
"""Threads of one process. They wait for the disk most of the time; SQLite runs without the interpreter's lock."""


def may_take(held: int, free: int, most: int = MOST) -> bool:
    """Whether somebody who has `held` threads may take one of the `free` ones, where there are so many."""
    return held < free and held < max(most // 2, 1)


class Lane(Protocol):
    """Somebody with work to do. All of it is called under the lock of the threads: be quick."""

    running: int
    """Pieces that run. The threads count it."""
    listed: bool
    """Whether it waits for a turn. The threads set it."""

    @property
    def owner(self) -> object:
        """Whose it is: the threads of all lanes of one owner are counted together."""

    def take(self) -> Piece | None:
        """The next piece of work that may begin now; None if there is none."""

    def more(self) -> bool:
        """Whether there is another one."""

    def ended(self, piece: Piece) -> None:
        """A piece that was taken is over."""


class Threads:
    """Threads that begin when they are needed and end with `close`."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self.lock = CallingLock()
        """Guards the lanes as well."""
        self._ready: deque[Lane] = deque()
        self._threads: list[threading.Thread] = []
        self._waiting: list[Call] = []
        """Threads that wait, each on its own."""
        self._coming = 0
        """Threads that are about to look for work."""
        self._busy = self._low = 0
        self._held: dict[object, int] = {}
        """Pieces that run, by the owner of their lanes."""
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
        if self._coming:
            return
        if self._waiting:
            self._coming += 1
            self.lock.call(self._waiting.pop())
        elif len(self._threads) - self._low < self._most and not self.closed:
            self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="pyworkerd-storage", daemon=True)
        self._coming += 1
        self._threads.append(thread)
        try:
            thread.start()
        except RuntimeError:  # the system gives this process no more: the next piece of work tries again
            self._coming -= 1
            self._threads.remove(thread)
            logger.warning(
                "the storage goes on with %d threads: no other could be started", len(self._threads)
            )

    def _replace(self) -> None:
        with self.lock:
            self._low += 1
            self._start()

    def _next(self) -> tuple[Lane, Piece] | None:
        held = self._held
        free = self._most - self._busy + min(self._low, self._most)
        for _ in range(len(self._ready)):
            lane = self._ready.popleft()
            owner = lane.owner
            if not may_take(held.get(owner, 0), free, self._most):
                self._ready.append(lane)
                continue
            piece = lane.take()
            if piece is None:
                lane.listed = False
                continue
            lane.running += 1
            held[owner] = held.get(owner, 0) + 1
            self._busy += 1
            lane.listed = lane.more()
            if lane.listed:
                self._ready.append(lane)
            return lane, piece
        return None

    def _run(self) -> None:
        before_giving_way(self._replace)
        call = new_call()
        try:
            self._serve(call)
        finally:
            call.close()

    def _serve(self, call: Call) -> None:
        taken: tuple[Lane, Piece] | None = None
        tell: Tell | None = None
        while True:
            with self.lock:
                if taken is not None:
                    self._ended(*taken)
                self._coming -= 1
                over = is_low()
                taken = None if over else self._next()
                if self._ready and (over or taken is not None):
                    self._call_one()
                if over:
                    self._leave()
                elif taken is None and self.closed:
                    over = True
                elif taken is None:
                    self._waiting.append(call)
            if tell is not None:
                tell()
            if over:
                return
            if taken is None:
                tell = None
                self._wait(call)
            else:
                tell = self._work(*taken)

    def _wait(self, call: Call) -> None:
        while True:
            call.wait()
            with self.lock:
                if (
                    call not in self._waiting
                ):  # else it was a process that was forked off this one, and has the same call
                    return

    def _work(self, lane: Lane, piece: Piece) -> Tell | None:
        try:
            return piece()
        except BaseException:
            with self.lock:
                self._ended(lane, piece)
                self._coming -= 1
                self._call_one()
            raise

    def _ended(self, lane: Lane, piece: Piece) -> None:
        self._busy -= 1
        lane.running -= 1
        if (left := self._held[lane.owner] - 1) > 0:
            self._held[lane.owner] = left
        else:
            del self._held[lane.owner]
        self._coming += 1
        lane.ended(piece)

    def _leave(self) -> None:
        """The calling thread has given way, and ends: another has taken its place."""
        self._threads.remove(threading.current_thread())
        self._low -= 1

    def close(self) -> None:
        """End the threads when nothing is left to do. Blocks."""
        with self.lock:
            self.closed = True
            self._coming += len(self._waiting)
            while self._waiting:
                self.lock.call(self._waiting.pop())
        threads = tuple(self._threads)
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join()
            threads = tuple(self._threads)  # those that have begun in place of others
