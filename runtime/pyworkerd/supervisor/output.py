"""Standard output and error of the supervisor: written when there is room, so that no reader can stop the supervisor.

There is no thread for it, as in `observe.background`, because the supervisor forks: a process that is forked while
another thread holds a lock has that lock for ever.
"""

from __future__ import annotations

import os
import select
import stat
import time
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

WAITING_BYTES: Final = 8 * 1024 * 1024
"""That may wait for the reader, as in `observe.background`. What comes then is lost, and counted."""
AGAIN_S: Final = 0.01
"""How soon to look for room again. Not every kind of file can wake an event loop."""
ATOMIC: Final = 4096
"""A pipe that can be written to has room for so much (Linux: PIPE_BUF)."""


class Output:
    """Writes whole lines to a descriptor. `attach` it to an event loop; until then it waits for its reader."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._lost = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._on_room: list[Callable[[], None]] = []
        self._plain = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self.broken = False
        """Its reader has gone."""

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on nothing waits."""
        self._loop = loop

    def write(self, text: str) -> int:
        """As of a text file: takes one or more whole lines."""
        self.put(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def put(self, data: bytes) -> None:
        """Take whole lines: all of them, or none if there is no room."""
        if self.broken or not data:
            return
        if self._size > WAITING_BYTES:
            self._lost += 1
            return
        self._waiting.append(data)
        self._size += len(data)
        if self._loop is None:
            self.finish(float("inf"))
        elif self._timer is None:
            self._some()

    def flush(self) -> None:
        """As of a text file; there is nothing to do."""

    @property
    def full(self) -> bool:
        """Whether so much waits that whoever can wait should."""
        return self._size > WAITING_BYTES // 2

    def when_there_is_room(self, then: Callable[[], None]) -> None:
        """Call this once it is not `full` any more."""
        self._on_room.append(then)

    def finish(self, seconds: float) -> None:
        """Write what waits, for so long at most. Blocks: for the time before the event loop runs, and after it."""
        until = time.monotonic() + seconds
        while self._waiting and not self.broken:
            left = until - time.monotonic()
            if left <= 0:
                return
            self._write(min(left, 1.0))

    def _some(self) -> None:
        self._timer = None
        while self._waiting and not self.broken:
            if not self._write(0):
                assert self._loop is not None
                self._timer = self._loop.call_later(AGAIN_S, self._some)
                return
        if self._lost and not self.broken:
            lost, self._lost = self._lost, 0
            self.write(f"{lost} pieces of log were lost: they came faster than they could be written\n")

    def _write(self, seconds: float) -> bool:
        """Write one piece, if there is room for it within this time."""
        if not self._plain and not _has_room(self._descriptor, seconds):
            return False
        data = self._waiting[0]
        try:
            written = os.write(self._descriptor, data if self._plain else data[:ATOMIC])
        except BlockingIOError:
            return False
        except OSError:
            self.broken = True
            self._waiting.clear()
            self._size = 0
        else:
            self._size -= written
            if written < len(data):
                self._waiting[0] = data[written:]
            else:
                self._waiting.popleft()
        if not self.full:
            waiting, self._on_room = self._on_room, []
            for then in waiting:
                then()
        return True


def _has_room(descriptor: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))  # errors count as room: writing tells them
