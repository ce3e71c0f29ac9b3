"""The databases of one process: each is open once, however many use it, and as long as anybody does.

Workers of two generations may use one at the same time while a configuration is reloaded. The old generation lets go
when its last invocation has ended, so nothing is closed under a request.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Final

from .database import Database
from .threads import Threads

if TYPE_CHECKING:
    from pathlib import Path

    from .connection import Design
    from .layout import Location

AWAKE: Final = 128
"""Databases with open files at once, where the others have nothing to do: each has up to six descriptors."""


class Stores:
    """One for each runtime (`bindings.shared.Shared`)."""

    def __init__(self, threads: Threads | None = None, awake: int = AWAKE) -> None:
        self.threads = threads or Threads()
        """For other work on the disk as well, which takes turns with the databases' (`lane.Lane`)."""
        self._slow = Threads()
        """For databases whose tenants say what is done."""
        self._lock = threading.Lock()
        self._awake = awake
        self._databases: dict[Path, Database] = {}
        self._open: dict[Database, None] = {}
        """Those with open files, the oldest first. Guarded by the lock."""

    def __len__(self) -> int:
        return len(self._databases)

    def use(self, location: Location, design: Design, size_mb: int | None = None) -> Database:
        """A database, for `let_go` afterwards. No I/O. How large it may grow is what was said last."""
        found = self._databases.get(location.path)
        if found is None:
            threads = self._slow if design.slow else self.threads
            found = self._databases[location.path] = Database(location, design, threads, self._opened)
        found.size_mb = location.size_mb or size_mb or design.default_mb
        found.users += 1
        return found

    def _opened(self, database: Database) -> None:
        with self._lock:
            self._open.pop(database, None)
            self._open[database] = None
            if len(self._open) > self._awake:
                idle = next((each for each in self._open if each.rest_if_idle()), None)
                if idle is not None:
                    del self._open[idle]

    async def let_go(self, database: Database) -> None:
        """One user less; the last one closes it."""
        database.users -= 1
        if database.users == 0 and self._databases.get(database.location.path) is database:
            del self._databases[database.location.path]
            await self._end(database)

    async def _end(self, database: Database) -> None:
        await database.aclose()
        with self._lock:
            self._open.pop(database, None)

    async def aclose(self) -> None:
        """Close all of them."""
        while self._databases:
            _, database = self._databases.popitem()
            await self._end(database)
        for threads in (self.threads, self._slow):
            await asyncio.to_thread(threads.close)
