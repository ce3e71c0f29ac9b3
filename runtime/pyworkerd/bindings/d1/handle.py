"""A D1 database in the hands of the program that embeds the runtime; also a binding to give to workers.

shop = runtime.d1("shop")
await shop.migrate(Path("migrations"))
rows = await shop.query("SELECT name FROM items WHERE price < ?", 5)
worker = await runtime.load("worker.py", bindings={"DB": shop})
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from . import D1Binding
from .migrations import read
from .rules import MAX_QUERY_MS, Statement, statement
from .sqlite import DESIGN, SQLiteD1
from .store import rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pyworkerd.storage.layout import Location
    from pyworkerd.storage.stores import Stores

    from .store import Result


class D1:
    """Open until the runtime is closed, or `aclose`. Errors of SQL are `BadCall`, in D1's words."""

    def __init__(self, location: Location, stores: Stores, size_mb: int | None = None) -> None:
        self._location, self._size_mb = location, size_mb
        self._store = SQLiteD1(stores.use(location, DESIGN, size_mb), stores, MAX_QUERY_MS)

    def __repr__(self) -> str:
        return f"<{self._location.label}>"

    def as_binding(self, name: str) -> D1Binding:
        """The same database for a worker."""
        label = self._location.label
        return D1Binding(name, label, size_mb=self._size_mb, location=self._location)

    async def query(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        """Run one statement; its rows, by the names of columns."""
        return (await self.batch([(sql, parameters)]))[0]

    async def batch(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> list[list[dict[str, Any]]]:
        """Run statements as one transaction: all of them count, or none. The rows of each."""
        checked: list[Statement] = [statement(sql, list(parameters)) for sql, parameters in statements]
        return [_rows(result) for result in (await self._store.run(checked)).results]

    async def migrate(self, folder: Path) -> list[str]:
        """Apply what is new of the migrations in a folder, each exactly once. The names of those."""
        return await self._store.migrate(await asyncio.to_thread(read, folder))

    async def export(self, file: Path) -> None:
        """Write the database as SQL text, as it is at one moment."""
        await self._store.export(file)

    async def import_sql(self, sql: str) -> int:
        """Run a script, such as an export, as one transaction. How many statements."""
        return await self._store.import_script(sql)

    async def aclose(self) -> None:
        """Let go of the database; workers that have it keep it."""
        await self._store.aclose()


def _rows(result: Result) -> list[dict[str, Any]]:
    return [dict(zip(result.columns, row, strict=True)) for row in rows_of(result)]
