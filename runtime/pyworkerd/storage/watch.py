"""What ends a statement that runs for too long, or for nobody. SQLite asks it now and then, on the statement's own
thread.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final, TypeAlias

from .priority import give_way_once

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

INSTRUCTIONS: Final = 4_000
"""Instructions of SQLite's machine between two questions: some tenths of a millisecond, against the microsecond that
one takes."""
LOOK_EVERY: Final = 0.05
"""Seconds of CPU time between two looks at the disk."""
LONG_MS: Final = 10.0
"""CPU time after which a statement gives way to other threads, the event loop's before all: some slices of a step that
runs elsewhere (`dispatch.threads.SLICE_MS`)."""
RESERVE: Final = 64 << 20
"""Bytes that are left to others where statements put what does not fit into memory."""
MAX_WALL: Final = 30.0
"""Seconds that a statement may take by the clock (D1: a query, 30 s)."""

CPU, WALL, DISK, GONE = "cpu", "wall", "disk", "gone"

Spent: TypeAlias = "Callable[[int, str | None], object]"
"""Is told on the statement's thread how many nanoseconds of CPU time it took, and why it was interrupted, if it was."""


class Watch:
    """The bounds of one piece of work, however many times it is watched. `cancel` may be called on any thread."""

    __slots__ = ("_cancelled", "_cpu_end", "_cpu_left", "_folder", "_look", "_spent", "_wall_end", "verdict")

    def __init__(self, cpu_ms: float, folder: Path | None = None, spent: Spent | None = None) -> None:
        self._cpu_left = cpu_ms / 1000
        self._spent = spent
        self._folder = folder
        self._cancelled = False
        self._cpu_end = self._wall_end = self._look = 0.0
        self.verdict: str | None = None
        """Why it was interrupted: `CPU`, `WALL`, `DISK` or `GONE`; None if it was not."""

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        self._cancelled = True

    def over(self, connection: sqlite3.Connection) -> _Over:
        """Watch what a connection does within it. Interrupted statements raise sqlite3.OperationalError
        (SQLITE_INTERRUPT).
        """
        now = time.thread_time()
        self._cpu_end, self._look = now + self._cpu_left, now + LONG_MS / 1000
        self._wall_end = time.monotonic() + MAX_WALL
        return _Over(connection, self, now)

    def ended(self, began: float) -> None:
        """What it watched since `began` (CPU time of this thread) is over."""
        now = time.thread_time()
        self._cpu_left = self._cpu_end - now
        if self._spent is not None:
            self._spent(int((now - began) * 1e9), self.verdict)

    def ask(self) -> int:
        """SQLite's question: whether to go no further. It asks of no statement that is short: who runs many of them
        asks between two."""
        self.verdict = GONE if self._cancelled else self._judge(time.thread_time())
        return self.verdict is not None

    def _judge(self, now: float) -> str | None:
        if now > self._cpu_end:
            return CPU
        if now < self._look:
            return None
        self._look = now + LOOK_EVERY
        give_way_once()
        if time.monotonic() > self._wall_end:
            return WALL
        return DISK if self._folder is not None and disk_free(self._folder) < RESERVE else None


class _Over:
    """A class, not a generator: most statements take less time than one."""

    __slots__ = ("_began", "_connection", "_watch")

    def __init__(self, connection: sqlite3.Connection, watch: Watch, began: float) -> None:
        self._connection, self._watch, self._began = connection, watch, began

    def __enter__(self) -> None:
        self._connection.set_progress_handler(self._watch.ask, INSTRUCTIONS)

    def __exit__(self, *exc: object) -> None:
        self._connection.set_progress_handler(None, 0)
        self._watch.ended(self._began)


def disk_free(folder: Path | int, statvfs: Callable[[Path | int], os.statvfs_result] = os.statvfs) -> int:
    """Bytes that this user may still write where the folder is; as many as it likes where that is not known."""
    try:
        found = statvfs(folder)
    except OSError:
        return 1 << 62
    return found.f_bavail * found.f_frsize
