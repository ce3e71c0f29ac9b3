"""Which of several processes takes the next connection from the queue that they share: whoever has few.

All of them wake for each connection, and left alone the fastest one empties the queue. So each tells the others how
many connections it has, in memory that all share. Numbers may be a little old: who goes by them is never more than
a little unfair, and nobody waits for somebody else's number to change (see `accepting`).
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sized

SLACK: Final = 1
"""Connections that one may have more than another and still take the next one, besides an eighth of what that one has.
Our own figures: without any slack those that come at the same time are taken one by one, with a pause after each."""
SEATS: Final = 65_535
"""More processes than there can be. Memory that nobody has written to costs nothing."""
_ABSENT: Final = 2**31 - 1
"""In an empty seat: nobody has as many connections."""


def has_turn(mine: int, least: int) -> bool:
    """Whether a process with so many connections takes the next one; `least` has the one that has fewest."""
    return mine <= least + SLACK + least // 8


class Table:
    """Seats for processes, each with a number of connections, in memory that is shared with all that are forked later.

    Each number has one writer, and is written at once.
    """

    def __init__(self) -> None:
        self._memory = memoryview(mmap.mmap(-1, (1 + SEATS) * 4)).cast("i")
        """First how many seats have ever been taken, then the seats."""
        self._taken: set[int] = set()

    def take(self) -> Seat:
        """A seat for one process, which is absent before it says something."""
        number = next(each for each in range(1, 1 + SEATS) if each not in self._taken)
        self._taken.add(number)
        self._memory[number] = _ABSENT
        self._memory[0] = max(self._memory[0], number)
        return Seat(self._memory, number)

    def free(self, seat: Seat) -> None:
        """Its process has gone, whatever it said last."""
        seat.tell(None)
        self._taken.discard(seat.number)


class Seat:
    """One place in the table."""

    def __init__(self, memory: memoryview[int], number: int) -> None:
        self._memory = memory
        self.number = number

    def tell(self, connections: int | None) -> None:
        """So many does the process have; None: it takes no more."""
        self._memory[self.number] = _ABSENT if connections is None else connections

    def least(self) -> int:
        """The connections of whoever has fewest."""
        return min(self._memory[1 : 1 + self._memory[0]])


class Balance:
    """One process's part: it adds up the connections of its servers, and asks whether it is its turn."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._crowds: list[Sized] = []

    def join(self, connections: Sized) -> None:
        """Reckon with the connections of one more server. Harmless when called again."""
        if not any(each is connections for each in self._crowds):
            self._crowds.append(connections)
        self.refresh()

    def leave(self, connections: Sized) -> None:
        """That server accepts no more; after the last one the process is absent. Harmless when called again."""
        self._crowds = [each for each in self._crowds if each is not connections]
        if self._crowds:
            self.refresh()
        else:
            self._seat.tell(None)

    def refresh(self, coming: int = 0) -> int:
        """Tell the others how many there are now, and return it. `coming`: accepted, but with no server yet.

        Whoever accepts does it anyway; besides, now and then, since connections close.
        """
        mine = sum(map(len, self._crowds)) + coming
        if self._crowds:
            self._seat.tell(mine)
        return mine

    def has_turn(self, coming: int) -> bool:
        """See the function of that name."""
        return has_turn(self.refresh(coming), self._seat.least())
