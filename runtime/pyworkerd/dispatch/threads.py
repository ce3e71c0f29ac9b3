"""Threads for steps that run long: each gets slices of them in turns, and no turn is longer than another.

There are as many threads as cores: more would make no step faster, and each that runs delays those that hold the
interpreter's lock. Whose slice is next is decided by `fairness`, on the thread that has just ended one: the event loop
hears of a step only when it is over.

Where it can be done (Linux) these threads give way to the event loop's own: it serves everybody, they serve one worker
each.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final, Protocol

from pyworkerd_isolates.cpu_clock import charged_s

from pyworkerd.interpreter import interval
from pyworkerd.machine import cores

from .fairness import Account, FairQueue

if TYPE_CHECKING:
    from collections.abc import Callable

logger: Final = logging.getLogger("pyworkerd.dispatch")

CORES: Final = cores()
"""Cores that this process may use."""
SLICE_MS: Final = 4.0
"""How long one step runs before others have their turn; on the wall, as epochs count it."""
NICE: Final = 10
"""How far these threads stand behind the loop's own: where both want one core, they get a tenth of it."""


class Slices(Protocol):
    """A step that can be run in slices."""

    def go_on(self, slice_ms: float) -> bool:
        """Run for about so long, on this thread. Returns whether it is over. Raises nothing."""

    def over(self) -> None:
        """It is over; called on the event loop."""


class Steps(Protocol):
    """Where steps go on that are not over at once."""

    def submit(self, account: Account[Slices], step: Slices) -> None:
        """Run a step in its turns, then `over` on the event loop."""


class Threads:
    """Used from one event loop. Implements `Steps`."""

    def __init__(self, count: int | None = None, clock: Callable[[], float] = charged_s) -> None:
        self._count = count or CORES
        self._clock = clock
        self._queue: FairQueue[Slices] = FairQueue()
        self._lock = threading.Lock()
        self._tickets: SimpleQueue[bool] = SimpleQueue()
        """One for each step that was submitted: whoever has a ticket works until some step is over."""
        self._threads: list[threading.Thread] = []
        self._unfinished = 0

    def submit(self, account: Account[Slices], step: Slices) -> None:
        """See `Steps`."""
        self._loop = asyncio.get_running_loop()
        with self._lock:
            self._queue.put(account, step)
            self._unfinished += 1
            if self._unfinished == 1:
                interval.hold()
            wanted = min(self._unfinished, self._count)
        self._tickets.put(True)
        if len(self._threads) < wanted:
            thread = threading.Thread(target=self._work, name="pyworkerd-step", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system gives this process no more: the next step tries again
                logger.warning("steps go on with %d threads: no other could be started", len(self._threads))
            else:
                self._threads.append(thread)

    def _work(self) -> None:
        give_way()
        while self._tickets.get():
            while not self._slice():
                pass

    def _slice(self) -> bool:
        """The next slice of whoever's turn it is. Returns whether its step is over."""
        with self._lock:
            turn = self._queue.take()
        assert turn is not None, "there is a ticket for every step"
        began = self._clock()
        over = turn.job.go_on(SLICE_MS)
        with self._lock:
            self._queue.charge(turn.account, (self._clock() - began) * 1e3)
            if over:
                self._unfinished -= 1
                if not self._unfinished:
                    interval.release()
            else:
                self._queue.put(turn.account, turn.job)
        if over:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to hear of it
                self._loop.call_soon_threadsafe(turn.job.over)
        return over

    def close(self) -> None:
        """Wait for what runs and end the threads; may block."""
        for _ in self._threads:
            self._tickets.put(False)
        for thread in self._threads:
            thread.join()
        self._threads.clear()


def give_way() -> None:
    """Let other threads go before the calling one."""
    if (
        sys.platform == "linux"
    ):  # there a thread has a priority of its own (setpriority(2), "C library/kernel differences")
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICE)
