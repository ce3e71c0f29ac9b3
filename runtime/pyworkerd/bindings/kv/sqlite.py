"""KV in SQLite: one file for each store.

A small value is part of its entry. A larger one is a row of `values` and pieces that are written one after the other,
each in a transaction of its own that need not be synced: nobody sees them before the entry names the value, and that
transaction is. A value that no entry names is either being written, or was replaced and may still be read: it is swept
after its time (`until`), or when room is needed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from pyworkerd.errors import StorageError, StorageFull
from pyworkerd.messages import Body
from pyworkerd.storage.connection import Design
from pyworkerd.storage.schema import Schema

from .rules import MAX_VALUE, value_too_large
from .store import Found, Listed, end_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from pyworkerd.storage.database import Database
    from pyworkerd.storage.stores import Stores

INLINE: Final = 65_536
"""Bytes of a value that is kept in its entry: it is read and written at once."""
PIECE: Final = 262_144
"""Bytes of a piece of a larger one, as many as may be in flight of a body (`protocol.WINDOW`)."""
PIECES: Final = 128
"""Pieces of a value at most, so that the number of a piece follows from those of value and place."""
GRACE_S: Final = 900
"""How long a value that was replaced can still be read: three times what an invocation may take (`limits.wall_ms`)."""
UPLOAD_S: Final = 3_600
"""How long a value may wait for its next piece before it counts as given up."""
SWEEP: Final = 16
"""What one write cleans up at most, of entries that have expired; and one value."""

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
                "CREATE TABLE pieces (piece INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT",
            ),
        ),
    ),
    default_mb=1024,
)

_LIVE = "(expires IS NULL OR expires > ?)"
_GET = f"SELECT size, expires, metadata, value, data FROM entries WHERE key = ? AND {_LIVE}"  # noqa: S608 (ours)
_PUT = """INSERT INTO entries (key, expires, metadata, size, value, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (key) DO UPDATE SET expires = ?2, metadata = ?3, size = ?4, value = ?5, data = ?6"""

_STILL = "UPDATE loose SET until = ? WHERE value = ? AND NOT replaced"


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
        body = Body(data) if value is None else Body(chunks=_Pieces(self._database, value, size), length=size)
        return Found(body, expires, metadata)

    async def put(
        self, key: bytes, value: Body, now: float, expires: int | None = None, metadata: str | None = None
    ) -> None:
        """See `KVStore`."""
        upload: int | None = None
        placed = size = 0
        waiting = bytearray()
        try:
            if value.length is not None and value.length > MAX_VALUE:
                raise value_too_large(value.length)
            async for chunk in value:
                size += len(chunk)
                if size > MAX_VALUE:
                    raise value_too_large(size)
                view = memoryview(chunk)
                while len(waiting) + len(view) > PIECE:
                    part = PIECE - len(waiting)
                    waiting += view[:part]
                    view = view[part:]
                    upload = await self._place(upload, placed, bytes(waiting), now)
                    waiting.clear()
                    placed += 1
                waiting += view
            if upload is not None or len(waiting) > INLINE:
                upload = await self._place(upload, placed, bytes(waiting), now)
                waiting.clear()
            entry = (key, expires, metadata, size, upload, None if upload is not None else bytes(waiting))
            await self._with_room(lambda c: _enter(c, entry, now), now)
            upload = None
        finally:
            if upload is not None:
                self._database.leave(_drop(upload))
            await value.aclose()

    async def _place(self, upload: int | None, place: int, data: bytes, now: float) -> int:
        """Write a piece of a value that nobody sees yet."""
        until = int(now) + UPLOAD_S

        def work(connection: sqlite3.Connection) -> int:
            number = upload
            if number is None:
                number = connection.execute("INSERT INTO loose VALUES (NULL, ?, 0)", (until,)).lastrowid or 0
            elif not connection.execute(_STILL, (until, number)).rowcount:
                raise StorageError("the value took too long to arrive")
            connection.execute("INSERT INTO pieces VALUES (?, ?)", (number * PIECES + place, data))
            return number

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


class _Pieces(AsyncIterator[bytes]):
    """The pieces of a value, each read when it is asked for."""

    __slots__ = ("_database", "_left", "_place", "_value")

    def __init__(self, database: Database, value: int, size: int) -> None:
        self._database, self._value, self._left, self._place = database, value, size, 0

    async def __anext__(self) -> bytes:
        if self._left <= 0:
            raise StopAsyncIteration
        number = self._value * PIECES + self._place
        row = await self._database.read(
            lambda c: c.execute("SELECT data FROM pieces WHERE piece = ?", (number,)).fetchone()
        )
        if row is None:
            self._left = 0
            raise StorageError("the value was replaced, and reading it took too long")
        data: bytes = row[0]
        self._left -= len(data)
        self._place += 1
        return data

    async def aclose(self) -> None:
        """Read no more."""
        self._left = 0


def _enter(connection: sqlite3.Connection, entry: tuple[Any, ...], now: float) -> int:
    """Let the entry be, in place of what was there, and clean up a little."""
    key, value = entry[0], entry[4]
    _loosen(connection, key, now)
    if value is not None and not connection.execute("DELETE FROM loose WHERE value = ?", (value,)).rowcount:
        raise StorageError("the value took too long to arrive")
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
        first = value * PIECES
        if connection.execute("DELETE FROM loose WHERE value = ?", (value,)).rowcount:
            connection.execute("DELETE FROM pieces WHERE piece BETWEEN ? AND ?", (first, first + PIECES - 1))

    return work
