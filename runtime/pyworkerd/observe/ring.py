"""What was told lately, in a bounded room: the newest of everybody, and nobody's flood instead of others' words. Pure.

Rule 1: each entry has a number, one more than the one before. There is one reader who follows, by numbers.
Rule 2: one worker holds at most a share of the room. Beyond that its own oldest entries go, then the oldest of all.
Rule 3: what went before it was read is counted, by worker, for the reader.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from typing import Final, Generic, TypeVar

Told = TypeVar("Told")

SHARE: Final = 8
"""One worker may have so much of the room: a part of all, as in `background`."""
ENTRY_CHARACTERS: Final = 256
"""What an entry is reckoned at besides its text, as in `background`."""
NAMED: Final = 1000
"""Workers whose missed entries are counted by name; those of all others are together, under no name."""


class Ring(Generic[Told]):
    """So many characters of entries."""

    def __init__(self, characters: int) -> None:
        self._limit, self._share = characters, characters // SHARE
        self._entries: OrderedDict[int, tuple[str, int, Told]] = OrderedDict()
        self._of: dict[str, deque[int]] = {}
        """Numbers, by worker."""
        self._held: dict[str, int] = {}
        self._size = 0
        self._read = 0
        """Up to there the reader has what it wanted."""
        self._missed: Counter[str] = Counter()
        self.last = 0
        """The number of the newest entry; 0 is none."""

    def add(self, worker: str, characters: int, entry: Told) -> None:
        """Keep it, in place of older ones. An entry without a worker is the runtime's own, which has no share."""
        size = characters + ENTRY_CHARACTERS
        self.last += 1
        while worker and self._of.get(worker) and self._held[worker] + size > self._share:
            self._drop(self._of[worker][0])
        while self._entries and self._size + size > self._limit:
            self._drop(next(iter(self._entries)))
        self._entries[self.last] = (worker, size, entry)
        self._of.setdefault(worker, deque()).append(self.last)
        self._held[worker] = self._held.get(worker, 0) + size
        self._size += size

    def after(self, number: int) -> list[tuple[int, Told]]:
        """The entries after this number that are there, each with its number."""
        found: list[tuple[int, Told]] = []
        for each in reversed(self._entries):
            if each <= number:
                break
            found.append((each, self._entries[each][2]))
        return found[::-1]

    def missed(self) -> dict[str, int]:
        """The reader has read all: how many entries were gone before that, since the last time, by worker."""
        missed, self._missed, self._read = self._missed, Counter(), self.last
        return missed

    def _drop(self, number: int) -> None:
        # The oldest of a worker is also the first of its numbers.
        worker, size, _ = self._entries.pop(number)
        self._size -= size
        if number > self._read:
            self._missed[worker if worker in self._missed or len(self._missed) < NAMED else ""] += 1
        self._of[worker].popleft()
        self._held[worker] -= size
        if not self._of[worker]:
            del self._of[worker], self._held[worker]
