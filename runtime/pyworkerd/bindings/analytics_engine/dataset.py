"""A dataset in SQLite: one file for each, one row for each point.

Columns are those of Cloudflare's SQL API: `timestamp`, `index1`, `blob1` to `blob20`, `double1` to `double20` and
`_sample_interval`, which is always 1 here: nothing is sampled. The table is named `points` in every dataset.

Nobody waits for a point: writes are not synced one by one (`relaxed`), so the last moment before a power failure may be
missing. What a process has written is there when it is killed.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyworkerd.errors import BadCall
from pyworkerd.storage.connection import Design
from pyworkerd.storage.schema import Schema
from pyworkerd.storage.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd.storage.database import Database
    from pyworkerd.storage.stores import Stores

BLOBS: Final = 20
DOUBLES: Final = 20
RETENTION_S: Final = 90 * 86_400
"""Cloudflare keeps points for three months."""
_OLD: Final = 200
"""Points past that, which one write drops at most."""
QUERY_MS: Final = 10_000.0
MAX_ROWS: Final = 100_000
_NAMES: Final = tuple(
    [f"blob{n}" for n in range(1, BLOBS + 1)] + [f"double{n}" for n in range(1, DOUBLES + 1)]
)

DESIGN: Final = Design(
    Schema(
        0x50774145,  # "PwAE"
        (
            (
                "CREATE TABLE points (timestamp REAL NOT NULL, index1 TEXT NOT NULL, "
                + ", ".join(f"{name} {'TEXT' if name[0] == 'b' else 'REAL'} NOT NULL" for name in _NAMES)
                + ", _sample_interval INTEGER NOT NULL DEFAULT 1) STRICT",
                "CREATE INDEX points_by_time ON points (timestamp)",
            ),
        ),
    ),
    default_mb=1024,
)
_INSERT: Final = (
    f"INSERT INTO points (timestamp, index1, {', '.join(_NAMES)}) "  # noqa: S608 (names of our own)
    f"VALUES ({', '.join('?' * (2 + BLOBS + DOUBLES))})"
)


class Point(NamedTuple):
    """A data point that was checked; `key` is its one index. Written, it is filled up with nothing and zeros."""

    key: str
    blobs: tuple[str, ...]
    doubles: tuple[float, ...]


class Answer(NamedTuple):
    """What a query found."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class Dataset:
    """Used from one event loop."""

    def __init__(self, database: Database, stores: Stores) -> None:
        self._database, self._stores = database, stores

    async def write(self, points: Sequence[Point], now: float) -> None:
        """Keep points. Raises `StorageError`."""
        rows = [
            (
                now, point.key,
                *point.blobs, *[""] * (BLOBS - len(point.blobs)),
                *point.doubles, *[0.0] * (DOUBLES - len(point.doubles)),
            )
            for point in points
        ]  # fmt: skip

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "DELETE FROM points WHERE rowid IN (SELECT rowid FROM points WHERE timestamp < ? LIMIT ?)",
                (now - RETENTION_S, _OLD),
            )
            connection.executemany(_INSERT, rows)

        await self._database.write(write, relaxed=True)

    async def query(self, sql: str) -> Answer:
        """Ask with SQL; nothing can be changed. Raises `BadCall` with SQLite's words for what is wrong with it."""

        watch = Watch(QUERY_MS)

        def read(connection: sqlite3.Connection) -> Answer:
            connection.set_authorizer(_only_here)
            try:
                with watch.over(connection):
                    cursor = connection.execute(sql)
                    rows = cursor.fetchmany(MAX_ROWS)
            except (sqlite3.Error, sqlite3.Warning) as error:
                raise BadCall(f"the query failed: {error}") from None
            finally:
                connection.set_authorizer(None)
            return Answer(tuple(column[0] for column in cursor.description or ()), rows)

        return await self._database.read(read, watch)

    async def aclose(self) -> None:
        """Let go of the file."""
        await self._stores.let_go(self._database)


def _only_here(action: int, *_: object) -> int:
    """The authorizer of a query: no other files."""
    return (
        sqlite3.SQLITE_DENY if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH) else sqlite3.SQLITE_OK
    )
