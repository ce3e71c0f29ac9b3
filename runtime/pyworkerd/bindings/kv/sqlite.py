"""KV in SQLite: one file for each store.

Values are kept as `storage.pieces` has it. One with pieces that no entry names is a row of `loose`: it is either being
written, or was replaced and may still be read. An entry is on disk before anybody hears that its value was put.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pyworkerd.errors import StorageError, StorageFull
from pyworkerd.messages import Body
from pyworkerd.storage.connection import Design
from pyworkerd.storage.pieces import SWEEP, TABLE, Pieces, Upload
from pyworkerd.storage.schema import Schema

from .rules import MAX_VALUE, value_too_large
from .store import Found, Listed, end_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from pyworkerd.storage.database import Database
    from pyworkerd.storage.stores import Stores

GRACE_S: Final = 900
"""How long a value that was replaced can still be read: three times what an invocation may take (`limits.wall_ms`)."""

DESIGN: Final = Design(
    Schema(
        0x50774B56,  # "PwKV"
        (
            (
                """CREATE TABLE entries (
                    key BLOB PRIMARY KEY NOT NULL, expires INTEGER, metadata TEXT, size INTEGER NOT NULL,
                    value INTEGER, data BLOB) STRICT""",
                "CREATE INDEX entries_expire ON entries (expires) WHERE expires IS NOT NULL",
                """CREATE TABLE loose (
                    value INTEGER PRIMARY KEY AUTOINCREMENT, until INTEGER NOT NULL, replaced INTEGER NOT NULL
                    ) STRICT""",
                "CREATE INDEX loose_until ON loose (until)",
                TABLE,
            ),
        ),
    ),
    default_mb=1024,
)

_LIVE = "(expires IS NULL OR expires > ?)"
_GET = f"SELECT size, expires, metadata, value, data FROM entries WHERE key = ? AND {_LIVE}"  # noqa: S608 (ours)
_PUT = """INSERT INTO entries (key, expires, metadata, size, value, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (key) DO UPDATE SET expires = ?2, metadata = ?3, size = ?4, value = ?5, data = ?6"""

_PIECES: Final = Pieces(
    most=128,
    begin="INSERT INTO loose VALUES (NULL, ?, 0)",
    put_off="UPDATE loose SET until = ? WHERE value = ? AND NOT replaced",
    late="the value took too long to arrive",
    gone="the value was replaced, and reading it took too long",
)


class SQLiteKV:
    """See `store.KVStore`."""

    def __init__(self, database: Database, stores: Stores) -> None:
        self._database, self._stores = database, stores

    async def get(self, key: bytes, now: float) -> Found | None:
        """See `KVStore`."""
        row = await self._database.read(lambda c: c.execute(_GET, (key, now)).fetchone())
        return self._found(row)

    async def get_many(self, keys: Sequence[bytes], now: float) -> list[Found | None]:
        """See `KVStore`."""

        def work(connection: sqlite3.Connection) -> list[Any]:
            connection.execute("BEGIN")
            try:
                return [connection.execute(_GET, (key, now)).fetchone() for key in keys]
            finally:
                connection.execute("COMMIT")

        return [self._found(row) for row in await self._database.read(work)]

    def _found(self, row: Any) -> Found | None:
        if row is None:
            return None
        size, expires, metadata, value, data = row
        if value is None:
            return Found(Body(data), expires, metadata)
        return Found(
            Body(chunks=_PIECES.read(self._database, value, 0, size), length=size), expires, metadata
        )

    async def put(
        self, key: bytes, value: Body, now: float, expires: int | None = None, metadata: str | None = None
    ) -> None:
        """See `KVStore`."""
        upload = Upload(lambda number, place, data: self._place(number, place, data, now))
        try:
            await upload.receive(value, _check)
            entry = (key, expires, metadata, upload.size, upload.value, upload.data)
            await self._with_room(lambda c: _enter(c, entry, now), now)
            upload.named()
        finally:
            if upload.value is not None:
                self._database.leave(_drop(upload.value))
            await value.aclose()

    async def _place(self, number: int | None, place: int, data: bytes, now: float) -> int:
        """Write a piece of a value that nobody sees yet."""
        work = partial(_PIECES.place, value=number, place=place, data=data, now=now)
        return await self._with_room(work, now, relaxed=True)

    async def _with_room(
        self, work: Callable[[sqlite3.Connection], int], now: float, *, relaxed: bool = False
    ) -> int:
        try:
            return await self._database.write(work, relaxed=relaxed)
        except StorageFull:
            if not await self._database.write(lambda c: _sweep_all(c, now)):
                raise
        return await self._database.write(work, relaxed=relaxed)

    async def delete(self, key: bytes, now: float) -> None:
        """See `KVStore`."""

        def work(connection: sqlite3.Connection) -> None:
            _loosen(connection, key, now)
            connection.execute("DELETE FROM entries WHERE key = ?", (key,))

        await self._database.write(work)

    async def list(self, prefix: bytes, after: bytes, limit: int, now: float) -> tuple[list[Listed], bool]:
        """See `KVStore`."""
        # A key that is the prefix itself comes too, unless a page before has had it.
        first, end = ("key > ?" if after >= prefix else "key >= ?"), end_of(prefix)
        last = "" if end is None else "AND key < ?"
        bounds: list[Any] = [max(after, prefix), *([] if end is None else [end]), now, limit + 1]
        sql = f"SELECT key, expires, metadata FROM entries WHERE {first} {last} AND {_LIVE} ORDER BY key LIMIT ?"  # noqa: S608 (ours)
        rows = await self._database.read(lambda c: c.execute(sql, bounds).fetchall())
        return [Listed(*row) for row in rows[:limit]], len(rows) <= limit

    async def aclose(self) -> None:
        """Let go of the file."""
        await self._stores.let_go(self._database)


def _check(size: int) -> None:
    if size > MAX_VALUE:
        raise value_too_large(size)


def _enter(connection: sqlite3.Connection, entry: tuple[Any, ...], now: float) -> int:
    """Let the entry be, in place of what was there, and clean up a little."""
    key, value = entry[0], entry[4]
    _loosen(connection, key, now)
    if value is not None and not connection.execute("DELETE FROM loose WHERE value = ?", (value,)).rowcount:
        raise StorageError(_PIECES.late)
    connection.execute(_PUT, entry)
    _sweep(connection, now)
    return 1


def _loosen(connection: sqlite3.Connection, key: bytes, now: float) -> None:
    """The value of an entry, if it is one with pieces, is no longer named by it."""
    row = connection.execute(
        "SELECT value FROM entries WHERE key = ? AND value IS NOT NULL", (key,)
    ).fetchone()
    if row is not None:
        connection.execute("INSERT INTO loose VALUES (?, ?, 1)", (row[0], int(now) + GRACE_S))


def _sweep(connection: sqlite3.Connection, now: float) -> int:
    """Forget some entries that have expired, and one value that nobody names and whose time has come."""
    expired = connection.execute(
        "SELECT key FROM entries WHERE expires <= ? ORDER BY expires LIMIT ?", (now, SWEEP)
    ).fetchall()
    for (key,) in expired:
        _loosen(connection, key, now)
        connection.execute("DELETE FROM entries WHERE key = ?", (key,))
    row = connection.execute(
        "SELECT value FROM loose WHERE until <= ? ORDER BY until LIMIT 1", (now,)
    ).fetchone()
    if row is not None:
        _drop(row[0])(connection)
    return len(expired) + (row is not None)


def _sweep_all(connection: sqlite3.Connection, now: float) -> int:
    """Room is needed: forget all that has expired, and values that were replaced, also if they are being read."""
    swept = 0
    while more := _sweep(connection, now):
        swept += more
    for (value,) in connection.execute("SELECT value FROM loose WHERE replaced").fetchall():
        _drop(value)(connection)
        swept += 1
    return swept


def _drop(value: int) -> Callable[[sqlite3.Connection], None]:
    """Forget a value that no entry names."""

    def work(connection: sqlite3.Connection) -> None:
        if connection.execute("DELETE FROM loose WHERE value = ?", (value,)).rowcount:
            _PIECES.forget(connection, value)

    return work
