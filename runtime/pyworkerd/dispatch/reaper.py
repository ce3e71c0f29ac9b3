"""When a worker has to look at its isolates and its queue again although nothing happens: one timer, the earliest."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Reaper:
    """Calls `look` at the earliest of the loop times that it was told since it looked last."""

    __slots__ = ("_look", "_loop", "_timer", "at")

    def __init__(self, loop: asyncio.AbstractEventLoop, look: Callable[[], None]) -> None:
        self._loop, self._look = loop, look
        self._timer: asyncio.TimerHandle | None = None
        self.at = inf
        """When it looks, as things are."""

    def by(self, at: float) -> None:
        """Look at this time at the latest."""
        if at >= self.at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self.at = self._loop.call_at(at, self._due), at

    def _due(self) -> None:
        self._timer, self.at = None, inf
        self._look()

    def close(self) -> None:
        """Look no more. Harmless when called again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self.at = None, inf
