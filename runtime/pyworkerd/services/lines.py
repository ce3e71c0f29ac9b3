"""Connections and look-ups that workers share: none of them holds all, and whoever waits hears why if it takes long.

How many a worker may hold at once is the rule of `dispatch.callers`: never more than it leaves free. Who asks, the
context tells (`observe.scope`).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from pyworkerd.dispatch.callers import Callers
from pyworkerd.errors import UpstreamError
from pyworkerd.observe.scope import scope

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = "\0the program itself"
"""Who asks on no worker's behalf is held to the same rule; a worker has no such name."""


def whose() -> str:
    """The worker on whose behalf the running code asks."""
    found = scope.get()
    return found.caller if found is not None and found.caller else PROGRAM


class Lines:
    """So many places, and a line for each caller before them. Used from one event loop."""

    def __init__(self, number: int, what: str, patience_s: float) -> None:
        self._free = number
        self._callers = Callers(number)
        self._what, self._patience_s = what, patience_s
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def take(self, patience_s: float | None = None) -> Callable[[], None]:
        """Wait for a place, so long or as long as everybody. Returns what gives it back, once however often it is
        called. Raises `UpstreamError`.
        """
        caller = whose()
        if caller in self._waiting or not self._open_to(caller):
            await self._wait(caller, patience_s or self._patience_s)
        else:
            self._hold(caller)
        held = [caller]

        def give_back() -> None:
            if held:
                self._give_back(held.pop())

        return give_back

    def _open_to(self, caller: str) -> bool:
        return self._free > 0 and self._callers.open_to(caller)

    def _hold(self, caller: str) -> None:
        self._free -= 1
        self._callers.take(caller)

    async def _wait(self, caller: str, patience_s: float) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        try:
            async with asyncio.timeout(patience_s):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._give_back(caller)  # its turn came when it had given up
            else:
                self._leave(caller, turn)
            if isinstance(error, TimeoutError):
                raise UpstreamError(
                    f"this worker has as many {self._what} as it may, and none ended in {patience_s:g} s"
                ) from None
            raise

    def _leave(self, caller: str, turn: asyncio.Future[None]) -> None:
        line = self._waiting.get(caller)
        if line is not None and turn in line:
            line.remove(turn)
            if not line:
                del self._waiting[caller]

    def _give_back(self, caller: str) -> None:
        self._free += 1
        self._callers.give_back(caller)
        for waiting in tuple(self._waiting):
            if not self._free:
                return
            self._admit(waiting)

    def _admit(self, caller: str) -> None:
        """The first of a caller's line, if it may; the caller goes behind the others then."""
        line = self._waiting[caller]
        while line and line[0].done():
            line.popleft()
        if line and self._open_to(caller):
            self._hold(caller)
            line.popleft().set_result(None)
            self._waiting.move_to_end(caller)
        if not line:
            del self._waiting[caller]
