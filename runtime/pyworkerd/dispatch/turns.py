"""The event loop's own thread, in turns: which isolate is stepped next, and when sockets are looked at again.

Steps on the loop's thread are short, but many short ones hold up others as a long one does. So they wait in a
`FairQueue`. Each time the loop goes round every worker has one turn. Then sockets are looked at, where somebody may
have come who goes before those that have had theirs.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from time import perf_counter
from typing import TYPE_CHECKING, Final

from .fairness import Account, FairQueue

if TYPE_CHECKING:
    from collections.abc import Callable

ROUND_S: Final = 0.005
"""Sockets are looked at so often even if there are many workers."""
BEHIND_MS: Final = 0.5
"""Who has had so much less than others goes before all that they have made ready."""


class Turns:
    """One per event loop. What is made `ready` raises nothing; if it does, the loop's handler of exceptions is told.

    It runs in an empty context: whoever made a turn ready, or the first of a round, has nothing to do with most of what
    is done in it.
    """

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._queue: FairQueue[Callable[[], None]] = FairQueue()
        self._scheduled = False
        self._busy = False

    def ready(self, account: Account[Callable[[], None]], step: Callable[[], None]) -> None:
        """Call `step` when it is the account's turn."""
        self._queue.put(account, step)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._round, context=Context())

    def hurry(self, account: Account[Callable[[], None]]) -> None:
        """Somebody has come for this account. If others have had more lately, and it is next, it goes at once.

        Otherwise it would wait until the loop has gone round, through all that those others have made ready, and once
        more for its answer.
        """
        if account.behind >= BEHIND_MS and not self._busy and self._queue.next() is account:
            self._busy = True
            try:
                Context().run(self._turn, account, self._clock())
            finally:
                self._busy = False

    def _turn(self, account: Account[Callable[[], None]], began: float) -> float:
        step = self._queue.begin(account)
        try:
            step()
        except Exception as error:  # noqa: BLE001 - a fault of ours: it must not end everybody's turns
            what = {"message": "what was made ready for a turn failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(what)
        now = self._clock()
        self._queue.charge(account, (now - began) * 1e3)
        return now

    def _round(self) -> None:
        queue = self._queue
        began = now = self._clock()
        served: set[Account[Callable[[], None]]] = set()
        self._busy = True
        try:
            while (account := queue.next()) is not None:
                if account in served or now - began >= ROUND_S:
                    asyncio.get_running_loop().call_soon(self._round, context=Context())
                    return
                served.add(account)
                now = self._turn(account, now)
            self._scheduled = False
        finally:
            self._busy = False
