"""The queues of one process: who sends wakes who consumes, without looking at the disk."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pyworkerd.storage.stores import Stores

from .sqlite import DESIGN, SQLiteQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pyworkerd.bindings.shared import Shared
    from pyworkerd.storage.layout import Location

    from .rules import Draft
    from .store import Backlog


class Broker:
    """One for each runtime (`bindings.shared.Shared`)."""

    def __init__(self) -> None:
        self._sent: dict[Path, asyncio.Event] = {}

    def sent(self, location: Location) -> asyncio.Event:
        """Set when something was sent to this queue by this process, or is to be looked at again."""
        return self._sent.setdefault(location.path, asyncio.Event())

    async def aclose(self) -> None:
        """Nothing is held."""


class Sender:
    """One queue, to send to."""

    def __init__(self, shared: Shared, location: Location, now: Callable[[], float]) -> None:
        stores = shared.get(Stores, Stores)
        self.store = SQLiteQueue(stores.use(location, DESIGN), stores)
        self._sent = shared.get(Broker, Broker).sent(location)
        self._now = now

    async def send(self, drafts: Sequence[Draft]) -> None:
        """Keep messages; when this returns they are on disk. Raises `StorageError`."""
        await self.store.send(drafts, self._now())
        self._sent.set()

    async def backlog(self) -> Backlog:
        """All that is not acknowledged."""
        return await self.store.backlog()

    async def aclose(self) -> None:
        """Let go of the queue."""
        await self.store.aclose()
