"""The process's memory, looked at now and then, and what `pressure` says performed."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import mmap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .pressure import REACHED, Level, User, relieve

if TYPE_CHECKING:
    from collections.abc import Callable

    from .fleet import Fleet

logger = logging.getLogger("pyworkerd.dispatch")

LOOK_S: Final = 0.5
URGENT_S: Final = 0.1
"""The same while memory is short."""
GIVE_BACK_S: Final = 10.0
"""Between two times that the allocator is asked for what it keeps. Our own figure: it takes some 25 ms to give back 700
MB, and does nobody else's work meanwhile."""
_STATM: Final = Path("/proc/self/statm")
_SAID: Final = {
    Level.ENOUGH: "memory is enough again",
    Level.TIGHT: "memory is tight: idle isolates are ended",
    Level.SHORT: "memory is short: the workers that take most of it are refused new work",
    Level.GONE: "memory is almost used up: new work is refused",
}


class Relief:
    """Of one fleet. It stops by itself once the fleet is closed."""

    def __init__(self, fleet: Fleet, limit: int, read: Callable[[], int] | None = None) -> None:
        self._fleet = fleet
        self._limit = limit
        self._read = read or own_memory()
        self._level = Level.ENOUGH
        self._gave_back = -GIVE_BACK_S

    def start(self) -> None:
        """Look from now on."""
        self.look()
        if not self._fleet.closed:
            delay = LOOK_S if self._level is Level.ENOUGH else URGENT_S
            asyncio.get_running_loop().call_later(delay, self.start)

    def look(self) -> None:
        """Look once, and do what is to be done."""
        before, used = self._level, self._read()
        tight = REACHED[Level.TIGHT] * self._limit
        if used >= tight and time.monotonic() - self._gave_back >= GIVE_BACK_S:
            self._gave_back = time.monotonic()
            give_back()
            used = self._read()
        if not before and used < tight:
            return
        workers = {id(worker): worker for worker in self._fleet.workers}
        users = [User(number, worker.memory()) for number, worker in workers.items()]
        relief = relieve(before, used, self._limit, self._fleet.oldest(), users)
        self._level = relief.level
        for number in relief.evict:
            self._fleet.evict(number)
        if before is not relief.level:
            mib = 1 << 20
            level = logging.WARNING if relief.level else logging.INFO
            logger.log(level, "%s (%d of %d MiB)", _SAID[relief.level], used // mib, self._limit // mib)
        for number, worker in workers.items():
            worker.refused = number in relief.refuse


def give_back() -> None:
    """Ask the C library to return to the system what was freed and lies between what is still in use.

    Only glibc has such a call. Without it a burst of small buffers, of a thousand slow readers for example, stays with
    the process for good, and would look as if it were short of memory.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def own_memory() -> Callable[[], int]:
    """Reads the bytes of memory that are this process's own: what is mapped from files can be had back."""
    if _STATM.exists():
        return _by_statm
    import psutil  # noqa: PLC0415 (it has more to import than all of this package's dispatch, and Linux does without)

    process = psutil.Process()
    return lambda: int(process.memory_info().rss)


def _by_statm() -> int:
    """Pages that are resident, and those of them that are shared: proc_pid_statm(5)."""
    _, resident, shared, *_ = _STATM.read_bytes().split()
    return (int(resident) - int(shared)) * mmap.PAGESIZE
