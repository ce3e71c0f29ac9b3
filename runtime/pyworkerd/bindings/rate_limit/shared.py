"""Counters that several processes have in common: exact together, in memory that all of them were forked with.

Every counter is a slot of one table, found by a keyed hash of what it counts. A use takes a lock, looks at some slots
and writes eight bytes: some ten microseconds, no message to anybody, nothing on disk. The counters live as long as the
server; a serving process that ends takes none with it.

Rule 1: the lock is the kernel's, so whoever is killed in the middle holds it no longer. What it may leave behind is a
        slot with nothing in it: the number is written last, and at once.
Rule 2: within the lock time never goes back. Who asked at the end of a window and came late counts in the next one.
Rule 3: a namespace has so many slots and no more, as in `counters`: nobody's keys take the room of another's limit.
"""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import os
import secrets
import tempfile
import weakref
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from pyworkerd.errors import Overloaded

from .counters import COMMON, MAX_KEYS, RateLimits

if TYPE_CHECKING:
    from .counters import Window

SLOTS: Final = 1 << 20
"""At 24 bytes each 24 MiB, if all are in use: the keys of a hundred namespaces that have as many as they may."""
PROBES: Final = 64
"""Slots that a counter may be in. If all hold others in their windows the use fails: too early, never too late."""
_DIGEST: Final = 16
_MOST: Final = (1 << 32) - 1
BACK_S: Final = 2
"""A clock that goes back by more than this was set; by less, one process has only looked at it before another."""
TRIES: Final = 20
PAUSE_S: Final = 0.0005
PATIENCE_S: Final = 1.0
"""For the lock, which whoever has it keeps for microseconds, unless it was stopped in the middle."""
_ROOM: Final = b"room"
_OWN: Final = b"own"
_COMMON: Final = b"common"


class SharedCounters:
    """The table. Made before the processes are forked that use it; its one descriptor has to be left to them."""

    def __init__(self, slots: int = SLOTS) -> None:
        self._slots = slots
        self._key = secrets.token_bytes(32)
        """Nobody can choose keys that fall into the same slots."""
        self.descriptor = _nameless_file()
        """Of a file with nothing in it and no name, which is locked."""
        weakref.finalize(self, os.close, self.descriptor)
        self._digests = mmap.mmap(-1, slots * _DIGEST)
        self._numbers = memoryview(mmap.mmap(-1, (slots + 1) * 8)).cast("Q")
        """Of each slot: the second at which its window ends, and the uses in it, 32 bits each. Then the latest time."""

    def lock(self) -> bool:
        """Try to have it for this process. Whether that worked."""
        try:
            fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # POSIX lets systems choose
            return False
        return True

    def unlock(self) -> None:
        """Let others have it."""
        fcntl.lockf(self.descriptor, fcntl.LOCK_UN)

    def digest(self, *parts: bytes) -> bytes:
        """Names a counter."""
        state = blake2b(digest_size=_DIGEST, key=self._key)
        for part in parts:
            state.update(len(part).to_bytes(4, "little"))
            state.update(part)
        return state.digest()

    def later(self, now: float) -> float:
        """The latest time that anybody came with, unless the clock was set back. With the lock only."""
        latest = self._numbers[self._slots] / 1e6
        if not 0 <= latest - now <= BACK_S:
            self._numbers[self._slots] = max(int(now * 1e6), 0)
            return now
        return latest

    def read(self, digest: bytes, end: int) -> tuple[int, int]:
        """The slot of a counter, and its uses in the window that ends then; slot -1 if it has none. With the lock."""
        first, last = self._stretch(digest)
        at = first * _DIGEST - 1
        while (at := self._digests.find(digest, at + 1, last * _DIGEST)) >= 0:
            if at % _DIGEST == 0:
                number = self._numbers[at // _DIGEST]
                return at // _DIGEST, number & _MOST if number >> 32 == end else 0
        return -1, 0

    def write(self, slot: int, digest: bytes, end: int, uses: int, now: float) -> bool:
        """Set a counter, in the slot that `read` found or, for -1, in one whose window is over. Whether there was one.
        With the lock.
        """
        if slot < 0:
            first, last = self._stretch(digest)
            slot = next((each for each in range(first, last) if self._numbers[each] >> 32 <= now), -1)
            if slot < 0:
                return False
            self._numbers[slot] = 0
            self._digests[slot * _DIGEST : (slot + 1) * _DIGEST] = digest
        self._numbers[slot] = end << 32 | uses
        return True

    def _stretch(self, digest: bytes) -> tuple[int, int]:
        first = int.from_bytes(digest[:8], "little") % max(self._slots - PROBES, 1)
        return first, min(first + PROBES, self._slots)


def _nameless_file() -> int:
    """A descriptor of a file that nobody else can open. On Linux no disk is needed: there may be none to write to."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("pyworkerd-counters")
    descriptor, name = tempfile.mkstemp(prefix="pyworkerd-")
    os.unlink(name)  # noqa: PTH108 (a name, not a path)
    return descriptor


class SharedRateLimits(RateLimits):
    """Counters of all processes that have the table."""

    def __init__(self, table: SharedCounters, max_keys: int = MAX_KEYS) -> None:
        self._table = table
        self._max_keys = max_keys

    async def take(self, window: Window, key: str, now: float) -> bool:
        """See `RateLimits`. Raises `Overloaded` if a process holds the lock that does not go on."""
        pauses = 0
        while (taken := self.take_nowait(window, key, now)) is None:
            pauses += 1
            if pauses * PAUSE_S > PATIENCE_S:
                raise Overloaded("the counters of rate limits are held by a process that was stopped")
            await asyncio.sleep(PAUSE_S)
        return taken

    def take_nowait(self, window: Window, key: str, now: float) -> bool | None:
        """See `RateLimits`."""
        table = self._table
        if not any(table.lock() for _ in range(TRIES)):
            return None
        try:
            return self._take(window, key, table.later(now))
        finally:
            table.unlock()

    def _take(self, window: Window, key: str, now: float) -> bool:
        table = self._table
        end = min((window.number(now) + 1) * window.period, _MOST)
        space = f"{window.period} {window.namespace}".encode("utf-8", "surrogatepass")
        name = key.encode("utf-8", "surrogatepass")
        digest = table.digest(_OWN, space, name)
        slot, uses = table.read(digest, end)
        if not uses:
            room = table.digest(_ROOM, space)
            place, own = table.read(room, end)
            if own < self._max_keys:
                if not table.write(place, room, end, own + 1, now):
                    return False
                slot, uses = table.read(
                    digest, end
                )  # its slot of an earlier window may have been taken just now
            else:
                number = int.from_bytes(digest[8:], "little") % COMMON
                digest = table.digest(_COMMON, space, str(number).encode())
                slot, uses = table.read(digest, end)
        return uses < min(window.limit, _MOST) and table.write(slot, digest, end, uses + 1, now)

    async def aclose(self) -> None:
        """The table is everybody's."""
