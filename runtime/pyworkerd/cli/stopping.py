"""SIGTERM and SIGINT: the first asks for an orderly end, the second for one at once, the third is the system's own."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Coroutine

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
PATIENCE_S: Final = 3.0
"""After the second signal: how long closing may take before the process just ends."""


class Stopping:
    """Who asked for the end, and how urgently. Enter it inside the event loop that has the main thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.asked = asyncio.Event()
        self.urgent = asyncio.Event()
        self.status = 0
        """The exit status: 0 unless somebody was in a hurry."""

    def __enter__(self) -> Self:
        for number in SIGNALS:
            self._loop.add_signal_handler(number, self._receive, number)
        return self

    def __exit__(self, *exc: object) -> None:
        for number in SIGNALS:
            self._loop.remove_signal_handler(number)

    def _receive(self, number: signal.Signals) -> None:
        if not self.asked.is_set():
            self.asked.set()
            return
        self.urgent.set()
        self.status = 128 + number
        self._loop.call_later(PATIENCE_S, os._exit, self.status)
        for each in SIGNALS:
            self._loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)

    async def unless_asked(self, work: Coroutine[None, None, None]) -> bool:
        """Do it, unless the end is asked for first: then it is cancelled. Returns whether it was done."""
        return await _unless(self.asked, work)

    async def unless_urgent(self, work: Coroutine[None, None, None]) -> bool:
        """The same until the second signal."""
        return await _unless(self.urgent, work)


async def _unless(event: asyncio.Event, work: Coroutine[None, None, None]) -> bool:
    doing, waiting = asyncio.create_task(work), asyncio.create_task(event.wait())
    try:
        await asyncio.wait((doing, waiting), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        if not doing.done():
            doing.cancel()
            await asyncio.wait((doing,))
    if doing.cancelled():
        return False
    doing.result()
    return True
