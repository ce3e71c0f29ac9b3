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


class _Share:
    """What one worker has of the room."""

    __slots__ = ("numbers", "size")

    def __init__(self) -> None:
        self.numbers: deque[int] = deque()
        self.size = 0


class Ring(Generic[Told]):
    """So many characters of entries."""

    def __init__(self, characters: int) -> None:
        self._limit, self._share = characters, characters // SHARE
        self._entries: OrderedDict[int, tuple[str, int, Told]] = OrderedDict()
        self._shares: dict[str, _Share] = {}
        self._size = 0
        self._read = 0
        """Up to there the reader has what it wanted."""
        self._missed: Counter[str] = Counter()
        self.last = 0
        """The number of the newest entry; 0 is none."""

    def add(self, worker: str, characters: int, entry: Told) -> None:
        """Keep it, in place of older ones. An entry without a worker is the runtime's own, which has no share."""
        size = characters + ENTRY_CHARACTERS
        self.last = number = self.last + 1
        share = self._shares.get(worker)
        if share is not None and worker:
            while share.numbers and share.size + size > self._share:
                self._drop(share.numbers[0])
        while self._entries and self._size + size > self._limit:
            self._drop(next(iter(self._entries)))
        self._entries[number] = (worker, size, entry)
        share = self._shares.get(worker)
        if share is None:
            share = self._shares[worker] = _Share()
        share.numbers.append(number)
        share.size += size
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
        # The oldest of all is also the oldest of its worker.
        worker, size, _ = self._entries.pop(number)
        self._size -= size
        if number > self._read:
            self._missed[worker if worker in self._missed or len(self._missed) < NAMED else ""] += 1
        share = self._shares[worker]
        share.numbers.popleft()
        share.size -= size
        if not share.numbers:
            del self._shares[worker]
