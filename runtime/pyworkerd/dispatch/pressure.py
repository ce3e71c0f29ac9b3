"""What is given up when memory runs short, and in which order. Pure.

    relief = relieve(level, used, limit, idle, users)

`plan` of `pyworkerd_isolates.pool` never starts an isolate beyond the budget; but what lives may grow, and bodies and
queues take memory too. So the process's own memory is looked at now and then, and past a part of what it may have:

1.  idle isolates are ended, the least recently used first;
2.  those workers are refused new work that together take most, the heaviest first;
3.  everybody is.

What it promises, whatever it is given (each is a property test): nothing is given up while memory is enough; no worker
is refused while a heavier one is not; a level that was reached is not left again before there is some room below it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pyworkerd_isolates.pool import Idle


class Level(IntEnum):
    """How short memory is. The value of each is the number of the measures that are taken."""

    ENOUGH = 0
    TIGHT = 1
    SHORT = 2
    GONE = 3


REACHED: Final = {Level.TIGHT: 0.75, Level.SHORT: 0.85, Level.GONE: 0.93}
"""Part of the limit at which a level begins."""
ROOM: Final = 0.05
"""So much less of the limit has to be used before a level is left."""
MOST_EVICTIONS: Final = 32
"""At once: to end an isolate takes a tenth of a millisecond."""


class User(NamedTuple):
    """A worker, by whatever its caller knows it by, and the bytes that it is reckoned at."""

    id: int
    memory: int


class Relief(NamedTuple):
    """What to do: these idle isolates end, and these workers are refused new work until the next look."""

    level: Level
    evict: tuple[int, ...] = ()
    refuse: frozenset[int] = frozenset()


def relieve(
    before: Level, used: int, limit: int, idle: Iterable[Idle] = (), users: Sequence[User] = ()
) -> Relief:
    """Look at a reading: bytes used, and bytes that may be. `idle` are the least recently used first."""
    level = _level(before, used, limit)
    if level is Level.ENOUGH:
        return Relief(level)
    excess = used - int((REACHED[Level.TIGHT] - ROOM) * limit)
    return Relief(level, _evictions(excess, idle), _refused(level, users))


def _level(before: Level, used: int, limit: int) -> Level:
    held = [level for level, part in REACHED.items() if used >= part * limit]
    kept = [level for level, part in REACHED.items() if level <= before and used >= (part - ROOM) * limit]
    return max(held + kept, default=Level.ENOUGH)


def _evictions(excess: int, idle: Iterable[Idle]) -> tuple[int, ...]:
    chosen: list[int] = []
    for each in idle:
        if excess <= 0 or len(chosen) == MOST_EVICTIONS:
            break
        chosen.append(each.id)
        excess -= each.cost
    return tuple(chosen)


def _refused(level: Level, users: Sequence[User]) -> frozenset[int]:
    if level is Level.GONE:
        return frozenset(user.id for user in users)
    refused: set[int] = set()
    if level is Level.SHORT:
        left = sum(user.memory for user in users) / 2
        for user in sorted(users, key=lambda user: user.memory, reverse=True):
            if left <= 0:
                break
            refused.add(user.id)
            left -= user.memory
    return frozenset(refused)
