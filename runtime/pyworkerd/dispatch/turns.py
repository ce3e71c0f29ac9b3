"""The event loop's own thread, in turns: which isolate is stepped next, and when sockets are looked at again.

Steps on the loop's thread are short, but many short ones hold up others as a long one does. So they wait in a
`FairQueue`, and after `TURN_MS` of them the loop looks at its sockets, where somebody may have come whose turn is next.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Final

from .fairness import Account, FairQueue

if TYPE_CHECKING:
    from collections.abc import Callable

TURN_MS: Final = 1.0


class Turns:
    """One per event loop."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._queue: FairQueue[Callable[[], None]] = FairQueue()
        self._scheduled = False

    def ready(self, account: Account[Callable[[], None]], step: Callable[[], None]) -> None:
        """Call `step`, which raises nothing, when it is the account's turn."""
        self._queue.put(account, step)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turns)

    def _turns(self) -> None:
        began = now = self._clock()
        while now - began < TURN_MS / 1e3 and (turn := self._queue.take()) is not None:
            turn.job()
            before, now = now, self._clock()
            self._queue.charge(turn.account, (now - before) * 1e3)
        self._scheduled = bool(self._queue)
        if self._scheduled:
            asyncio.get_running_loop().call_soon(self._turns)
