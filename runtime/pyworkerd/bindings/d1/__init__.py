"""`NAME = { d1 = "shop", migrations = "migrations" }`: an SQL database on `env`, as D1 of Workers.

In the guest (`workers/d1.py`): `await env.NAME.prepare("SELECT ...").bind(...).all()`, `first`, `run`, `raw`, `batch`,
`exec`, `with_session`.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pyworkerd.bindings.base import Access, Binding, problem, text_of
from pyworkerd.errors import BadCall, StorageError
from pyworkerd.storage.stores import Stores
from pyworkerd.storage.watch import CPU

from .capability import D1Capability
from .migrations import read
from .rules import MAX_QUERY_MS, QUERY_MS
from .sqlite import DESIGN, SQLiteD1

if TYPE_CHECKING:
    from pyworkerd_config.model import Binding as Configured
    from pyworkerd_config.model import Place

    from pyworkerd.bindings.base import Grant, Host
    from pyworkerd.storage.layout import Location

logger = logging.getLogger("pyworkerd.bindings.d1")


class D1Binding(Binding):
    """A database by its name: the worker's own, or one that `[[stores]]` lets it share."""

    __slots__ = ("_location", "_migrations", "_query_ms", "_size_mb", "_store")

    kind = "d1"
    shape = "d1"

    def __init__(
        self,
        name: str,
        store: str,
        migrations: Path | None = None,
        *,
        size_mb: int | None = None,
        query_ms: int = QUERY_MS,
        place: Place | None = None,
        location: Location | None = None,
    ) -> None:
        super().__init__(name, place)
        self._store, self._migrations = store, migrations
        self._size_mb, self._query_ms = size_mb, query_ms
        self._location = location
        """Where it is, if a program has opened it already; otherwise the host says so."""

    @classmethod
    def configure(cls, configured: Configured) -> Self:
        """The value is the name of a database."""
        name = text_of(configured, "the name of the database is not a text", 'write { d1 = "shop" }')
        options = configured.options
        folder, query_ms = options.get("migrations"), options.get("query_ms", QUERY_MS)
        if folder is not None and not isinstance(folder, Path | str):
            raise problem(configured.name, configured.place, "migrations is not a folder")
        if type(query_ms) is not int or not 1 <= query_ms <= MAX_QUERY_MS:
            message = f"query_ms is not a number of milliseconds from 1 to {MAX_QUERY_MS}"
            raise problem(configured.name, configured.place, message)
        return cls(
            configured.name,
            name,
            None if folder is None else Path(folder),
            size_mb=options.get("size_mb"),
            query_ms=query_ms,
            place=configured.place,
        )

    async def prepare(self, host: Host) -> Grant:
        """Finds the database, and applies migrations that are new. Raises `ConfigurationError` for one that fails."""
        stores = host.shared.get(Stores, Stores)
        location = self._location or host.store("d1", self._store)
        database = stores.use(location, DESIGN, self._size_mb)
        store = SQLiteD1(database, stores, self._query_ms, partial(_count, host))
        try:
            await self._migrate(store)
        except BaseException:
            await store.aclose()
            raise
        return Access("d1", D1Capability(store))

    async def _migrate(self, store: SQLiteD1) -> None:
        if self._migrations is None:
            return
        try:
            found = await asyncio.to_thread(read, self._migrations)
        except OSError as error:
            message = f"the migrations cannot be read: {error.strerror or error}"
            raise self.problem(message, "create the folder or correct the path") from None
        except ValueError as error:
            raise self.problem(f"{self._migrations}: {error}") from None
        try:
            for name in await store.migrate(found):
                logger.info("%s: applied %s", self._store, name)
        except BadCall as error:
            raise self.problem(f"migration {error}", "correct it: nothing of it has been applied") from error
        except StorageError as error:
            # A damaged database is its own binding's affair: each call will say so.
            logger.error("binding %s: migrations were not applied: %s", self.name, error)  # noqa: TRY400


def _count(host: Host, used_ns: int, verdict: str | None) -> None:
    """The worker's own figures have what its queries take. On a thread of the storage."""
    if (own := host.own) is not None:
        own.counters.queried(used_ns, interrupted=verdict == CPU)
