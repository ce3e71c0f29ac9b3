"""Idle isolates give back the pages that have again what their image says: for JavaScript most of those they wrote to.

A page is written to when the references to something on it are counted up and down, and stays the isolate's own. To
look which ones can go takes a fraction of a millisecond, and so does having them back at the next step. So isolates
are trimmed that have been idle for long, and only some at a time, whatever else there is to do.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from pyworkerd_isolates.pages import PAGES

if TYPE_CHECKING:
    import asyncio

    from .live import Live

IDLE_S: Final = 5.0
"""How long an isolate has to have been idle."""
EVERY_S: Final = 0.05
AT_ONCE: Final = 5
"""So many are looked at so often: a millisecond in fifty, and half a millisecond more if the next request for each came
just then. They cost 0.2 ms, and 0.1 ms at the next step, on a machine of two cores."""


class Trimming:
    """Of one fleet."""

    def __init__(self) -> None:
        self._idle: OrderedDict[int, Live] = OrderedDict()
        """Those that became idle since they were trimmed, the one whose last step is longest ago first."""
        self._next: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._idle)

    def rests(self, live: Live) -> None:
        """One became idle."""
        if PAGES is None:
            return
        self._idle[live.id] = live
        self._idle.move_to_end(live.id)
        if self._next is None:
            self._next = live.loop.call_later(IDLE_S, self._look, live.loop)

    def died(self, live: Live) -> None:
        """One has ended."""
        self._idle.pop(live.id, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._next = None
        for _ in range(AT_ONCE):
            if not self._idle:
                return
            number, live = next(iter(self._idle.items()))
            if (due := live.idle_since + IDLE_S) > loop.time():
                self._next = loop.call_at(due, self._look, loop)
                return
            del self._idle[number]
            live.trim()
        self._next = loop.call_later(EVERY_S, self._look, loop)
