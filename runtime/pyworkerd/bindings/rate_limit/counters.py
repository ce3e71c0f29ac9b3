"""Counters in fixed windows: the interface, and the provider that keeps them in memory.

Rule 1: in each window, at most `limit` uses of a key succeed.
Rule 2: windows are aligned to the wall clock (the first began in 1970), so that processes agree on them.
Rule 3: memory is bounded per namespace. When it runs short some uses fail too early; none succeeds too often.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import ceil
from typing import Final, TypeVar

MAX_KEYS: Final = 10_000
"""Keys that have a counter of their own, per namespace and window: with keys of 512 bytes 7 MB at worst."""
COMMON: Final = 1024
"""Counters that the keys beyond these have in common, by their hash (as in a count-min sketch of one row)."""
FEW: Final = 64
"""Namespaces that are kept without asking whether anybody still uses them. After that the question is asked each
time that their number has doubled, so that it costs little however many there are.
"""


@dataclass(frozen=True, slots=True)
class Window:
    """What is counted: whose uses, how many are allowed, in how many seconds. Both numbers are positive."""

    namespace: str
    limit: int
    period: int

    def number(self, now: float) -> int:
        """The window that a moment (seconds since 1970) lies in."""
        return int(now // self.period)

    def left(self, now: float) -> int:
        """Whole seconds until the next one, from 1."""
        return max(1, ceil((self.number(now) + 1) * self.period - now))


class RateLimits(ABC):
    """A provider of counters. Asked by all workers of the process, for different namespaces."""

    @abstractmethod
    async def take(self, window: Window, key: str, now: float) -> bool:
        """Count a use of `key` at the moment `now`; whether it is within the limit. One that is not is not counted."""

    def take_nowait(self, window: Window, key: str, now: float) -> bool | None:  # noqa: ARG002 - of those that can
        """The same at once; None, and nothing is counted, if it has to be waited for."""
        return None

    @abstractmethod
    async def aclose(self) -> None:
        """Let go of everything. No call follows."""


@dataclass(slots=True)
class _Counters:
    period: int
    number: int
    own: dict[str, int] = field(default_factory=dict)
    common: dict[int, int] = field(default_factory=dict)


class InMemoryRateLimits(RateLimits):
    """Counters of this process alone, lost with it."""

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        self._max_keys = max_keys
        self._namespaces: dict[str, _Counters] = {}
        self._sweep_at = FEW

    async def take(self, window: Window, key: str, now: float) -> bool:
        """See `RateLimits`."""
        return self.take_nowait(window, key, now)

    def take_nowait(self, window: Window, key: str, now: float) -> bool:
        """See `RateLimits`."""
        counters = self._current(window, now)
        if key in counters.own or len(counters.own) < self._max_keys:
            return _count(counters.own, key, window.limit)
        return _count(counters.common, hash(key) % COMMON, window.limit)

    async def aclose(self) -> None:
        """Forget everything."""
        self._namespaces.clear()

    def size(self) -> int:
        """Counters that are kept."""
        return sum(len(counters.own) + len(counters.common) for counters in self._namespaces.values())

    def _current(self, window: Window, now: float) -> _Counters:
        found = self._namespaces.get(window.namespace)
        number = window.number(now)
        if found is None or (found.period, found.number) != (window.period, number):
            if len(self._namespaces) >= self._sweep_at:
                self._forget_ended(now)
            found = self._namespaces[window.namespace] = _Counters(window.period, number)
        return found

    def _forget_ended(self, now: float) -> None:
        ended = [name for name, kept in self._namespaces.items() if kept.number != now // kept.period]
        for name in ended:
            del self._namespaces[name]
        self._sweep_at = max(FEW, 2 * len(self._namespaces))


K = TypeVar("K")


def _count(counters: dict[K, int], key: K, limit: int) -> bool:
    used = counters.get(key, 0)
    if used >= limit:
        return False
    counters[key] = used + 1
    return True
