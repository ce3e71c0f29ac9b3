"""A kind of store for tests: one table, and helpers to fill it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pyworkerd.storage import layout
from pyworkerd.storage.connection import Design
from pyworkerd.storage.schema import Schema
from pyworkerd.storage.stores import Stores

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from pyworkerd.storage.database import Database

DESIGN = Design(Schema(77, (("CREATE TABLE t(x UNIQUE, y)",),)), default_mb=64)


def at(tmp_path: Path, name: str = "cache") -> layout.Location:
    return layout.own(tmp_path / "state", "kv", "shop", name)


def put(x: Any, y: Any = None) -> Callable[[sqlite3.Connection], int | None]:
    return lambda connection: connection.execute("INSERT INTO t VALUES (?, ?)", (x, y)).lastrowid


def count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM t").fetchone()[0])


@asynccontextmanager
async def opened(
    location: layout.Location, size_mb: int | None = None, **options: Any
) -> AsyncIterator[Database]:
    """A database in stores of its own."""
    stores = Stores(**options)
    try:
        yield stores.use(location, DESIGN, size_mb)
    finally:
        await stores.aclose()
