"""The wall time of invocations that all have as long: one timer of the event loop for all of them.

Nearly every invocation ends long before its time is up. A timer for each, made and called off, cost the loop more than
all else that is noted of a request. Those that have as long as each other end in the order in which they began: it is
enough to look at the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from .budget import Budget
    from .invocation import Invocation


class Expiries:
    """Those of one worker, whose handlers and requests may have different times."""

    __slots__ = ("_by_wall_ms", "_expire", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, expire: Callable[[Invocation], None]) -> None:
        self._loop, self._expire = loop, expire
        self._by_wall_ms: dict[float, Expiry] = {}

    def of(self, budget: Budget) -> Expiry:
        """Where the time of those begins that have this budget."""
        wall_ms = budget.wall_ms
        expiry = self._by_wall_ms.get(wall_ms)
        if expiry is None:
            expiry = self._by_wall_ms[wall_ms] = Expiry(self._loop, wall_ms, self._expire)
        return expiry

    def close(self) -> None:
        """Nobody is left."""
        for expiry in self._by_wall_ms.values():
            expiry.close()


class Expiry:
    """Those that have `wall_ms`. `expire` is called with each whose time is up."""

    __slots__ = ("_expire", "_loop", "_seconds", "_timer", "_timer_at", "_waiting")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, wall_ms: float, expire: Callable[[Invocation], None]
    ) -> None:
        self._loop = loop
        self._seconds = wall_ms / 1000
        self._expire = expire
        self._waiting: dict[Invocation, float] = {}
        """When the time of each is up, on the loop's clock: who began first is first."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def begin(self, invocation: Invocation, now: float) -> None:
        """Its time begins, unless it is counted already. `now` never goes back from one call to the next."""
        if invocation.expiry is not None or invocation.timer is not None:
            return
        invocation.expiry = self
        self._waiting[invocation] = end = now + self._seconds
        if self._timer is None:
            self._arm(end)

    def forget(self, invocation: Invocation) -> None:
        """It has ended, or has another time. The timer stays: it finds the next."""
        self._waiting.pop(invocation, None)

    def close(self) -> None:
        """Nobody is left."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, end: float) -> None:
        self._timer, self._timer_at = self._loop.call_at(end, self._look), end

    def _look(self) -> None:
        # A loop may fire a timer up to its clock's resolution early; the time that it was set to counts as reached.
        now = max(self._loop.time(), self._timer_at)
        self._timer = None
        late = []
        for invocation, end in self._waiting.items():
            if end > now:
                break
            late.append(invocation)
        try:
            for invocation in late:
                if self._waiting.pop(invocation, None) is not None:  # the end of one may have ended another
                    invocation.expiry = None
                    self._expire(invocation)
        finally:
            self._arm_next()

    def _arm_next(self) -> None:
        # If the end of one failed, which is a bug, some are late and go at once. Who began meanwhile set the timer.
        if self._waiting:
            if self._timer is not None:
                self._timer.cancel()
            self._arm(next(iter(self._waiting.values())))
