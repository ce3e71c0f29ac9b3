"""Threads for steps that may run long, shared out fairly.

A worker never has more threads than the machine has cores: more would make none of its steps faster, and everybody
else's slower. Workers whose steps wait take turns.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    Done = Callable[[asyncio.Future[Any]], None]

CORES: Final = os.cpu_count() or 1
THREADS: Final = max(32, 4 * CORES)
"""Steps of all workers that run at once: as many as CPython's own default executor, which is made for waiting,
because the operating system shares the cores among them better than a queue would.
"""
SHARE: Final = max(2, CORES)
"""Steps of one worker that run at once."""


class Threads:
    """Used from one event loop. Steps of one owner begin in the order in which they were submitted."""

    def __init__(self, count: int | None = None, share: int = SHARE) -> None:
        self._free = count or THREADS
        self._share = share
        self._executor = ThreadPoolExecutor(self._free, thread_name_prefix="pyworkerd-step")
        self._waiting: OrderedDict[Hashable, deque[tuple[Callable[[], object], Done]]] = OrderedDict()
        self._running: dict[Hashable, int] = {}

    def submit(self, owner: Hashable, function: Callable[[], object], done: Done) -> None:
        """Run `function` on a thread when it is the owner's turn, then `done` on the event loop."""
        self._waiting.setdefault(owner, deque()).append((function, done))
        self._fill()

    def _fill(self) -> None:
        while self._free and (owner := self._next()) is not None:
            queue = self._waiting.pop(owner)
            function, done = queue.popleft()
            if queue:
                self._waiting[owner] = queue  # at the end: the others' turn
            self._free -= 1
            self._running[owner] = self._running.get(owner, 0) + 1
            future = asyncio.get_running_loop().run_in_executor(self._executor, function)
            future.add_done_callback(partial(self._finished, owner, done))

    def _next(self) -> Hashable | None:
        return next((owner for owner in self._waiting if self._running.get(owner, 0) < self._share), None)

    def _finished(self, owner: Hashable, done: Done, future: asyncio.Future[Any]) -> None:
        self._free += 1
        self._running[owner] -= 1
        if not self._running[owner]:
            del self._running[owner]
        self._fill()
        done(future)

    def close(self) -> None:
        """Wait for what runs and end the threads; may block."""
        self._executor.shutdown(wait=True)
