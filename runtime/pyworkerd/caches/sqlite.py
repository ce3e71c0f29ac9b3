"""Caches in SQLite: one file for each worker, shared by all processes.

Bodies are kept as `storage.pieces` has it. One with pieces has an entry from the beginning, which does not count before
all of it is there (`WRITING`), and stays for a while when it does not any more (`DEAD`), for whoever reads it still.
Nothing waits for the disk to be synced: a cache may lose what a failing machine had not written yet, and every entry
that is there is whole.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Final

from pyworkerd.errors import StorageError, StorageFull
from pyworkerd.messages import Body
from pyworkerd.storage.connection import Design
from pyworkerd.storage.pieces import SWEEP, TABLE, Pieces, Upload
from pyworkerd.storage.schema import Schema

from .rules import Kept
from .store import MAX_OBJECT, VARIANTS, Hit, cost_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from pyworkerd.http.conditional import Span
    from pyworkerd.messages import Headers
    from pyworkerd.storage.database import Database
    from pyworkerd.storage.stores import Stores

GRACE_S: Final = 300
"""How long a body can be read after its entry has gone: as long as an invocation may take (`limits.wall_ms`)."""
USED_S: Final = 60
"""When an entry was used last is written down so often: a hit should not cost a write."""
ROOM: Final = 1.25
"""How much larger the file may be than its entries: pages that are not full, what is written, what is read still."""
SPARE_MB: Final = 4

WRITING, LIVE, DEAD = 0, 1, 2

DESIGN: Final = Design(
    Schema(
        0x50774361,  # "PwCa"
        (
            (
                """CREATE TABLE entries (
                    entry INTEGER PRIMARY KEY AUTOINCREMENT, state INTEGER NOT NULL, until INTEGER NOT NULL,
                    cache TEXT NOT NULL, url TEXT NOT NULL, vary TEXT NOT NULL, head TEXT NOT NULL,
                    used INTEGER NOT NULL, cost INTEGER NOT NULL, data BLOB) STRICT""",
                "CREATE UNIQUE INDEX entries_live ON entries (cache, url, vary) WHERE state = 1",
                "CREATE INDEX entries_until ON entries (until)",
                "CREATE INDEX entries_used ON entries (used) WHERE state = 1",
                TABLE,
                "CREATE TABLE taken (bytes INTEGER NOT NULL) STRICT",
                "INSERT INTO taken VALUES (0)",
            ),
        ),
    ),
    default_mb=128,
)
"""`until` is when a live entry expires, and when any other can be forgotten; `taken` what live ones are reckoned at."""

_PIECES: Final = Pieces(
    most=2_048,
    begin="INSERT INTO entries VALUES (NULL, 0, ?, '', '', '', '', 0, 0, NULL)",
    put_off="UPDATE entries SET until = ? WHERE entry = ? AND state = 0",
    late="the response took too long to arrive",
    gone="the response was evicted while it was read",
)
"""512 MiB of a body at most."""
_FIND = """SELECT entry, head, used FROM entries
    WHERE cache = ? AND url = ? AND state = 1 AND until > ? ORDER BY entry DESC LIMIT ?"""
_ALL = "SELECT entry, cost, until FROM entries WHERE cache = ? AND url = ? AND state = 1"


class SQLiteCache:
    """See `store.CacheStore`."""

    def __init__(self, database: Database, stores: Stores, most: int) -> None:
        self._database, self._stores, self._most = database, stores, most

    async def find(self, cache: str, url: str, asked: Headers, now: float) -> Hit | None:
        """See `CacheStore`."""

        def work(connection: sqlite3.Connection) -> tuple[int, Kept, int, bytes | None] | None:
            for entry, head, used in connection.execute(_FIND, (cache, url, now, VARIANTS)).fetchall():
                kept = _read_head(head)
                if kept.is_for(asked):
                    row = connection.execute("SELECT data FROM entries WHERE entry = ?", (entry,)).fetchone()
                    return None if row is None else (entry, kept, used, row[0])
            return None

        found = await self._database.read(work)
        if found is None:
            return None
        entry, kept, used, data = found
        if now - used > USED_S:
            self._database.leave(
                lambda c: c.execute("UPDATE entries SET used = ? WHERE entry = ?", (int(now), entry))
            )

        def read(span: Span) -> Body:
            if data is not None:
                return Body(data[span.offset : span.offset + span.length])
            chunks = _PIECES.read(self._database, entry, span.offset, span.length)
            return Body(chunks=chunks, length=span.length)

        return Hit(kept, read)

    async def put(self, cache: str, url: str, kept: Kept, body: Body, now: float) -> bool:
        """See `CacheStore`."""
        cost = cost_of(url, kept)
        most = min(self._most - cost, MAX_OBJECT)

        def check(size: int) -> None:
            if size > most:
                raise _TooLarge

        upload = Upload(lambda number, place, data: self._place(number, place, data, now))
        try:
            await upload.receive(body, check)
            head = (cache, url, json.dumps(kept.vary), _write_head(kept.sized(upload.size)))
            whole = cost + upload.size
            await self._write(
                lambda c: self._enter(c, upload.value, head, kept.expires, whole, upload.data, now), now
            )
            upload.named()
        except (_TooLarge, StorageFull):
            return False
        finally:
            if (left := upload.value) is not None:
                self._database.leave(lambda c: _forget(c, left))
            await body.aclose()
        return True

    async def _place(self, entry: int | None, place: int, data: bytes, now: float) -> int:
        """Write a piece of a body that nobody sees yet."""
        return await self._write(partial(_PIECES.place, value=entry, place=place, data=data, now=now), now)

    async def _write(self, work: Callable[[sqlite3.Connection], int], now: float) -> int:
        try:
            return await self._database.write(work, relaxed=True)
        except StorageFull:
            await self._database.write(lambda c: self._make_room(c, now), relaxed=True)
        return await self._database.write(work, relaxed=True)

    def _enter(
        self,
        connection: sqlite3.Connection,
        entry: int | None,
        head: tuple[str, str, str, str],
        expires: float,
        cost: int,
        data: bytes | None,
        now: float,
    ) -> int:
        """Let it be found, in place of what was; then clean up a little."""
        cache, url, vary, _ = head
        same = "SELECT entry, cost FROM entries WHERE cache = ? AND url = ? AND vary = ? AND state = 1"
        for old, size in connection.execute(same, (cache, url, vary)).fetchall():
            _kill(connection, old, size, now)
        surplus = connection.execute(
            f"{_ALL} ORDER BY entry DESC LIMIT -1 OFFSET ?", (cache, url, VARIANTS - 1)
        )
        for old, size, _ in surplus.fetchall():
            _kill(connection, old, size, now)
        values = (int(expires), *head, int(now), cost, data)
        if entry is None:
            connection.execute("INSERT INTO entries VALUES (NULL, 1, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        else:
            known = connection.execute(
                """UPDATE entries SET state = 1, until = ?, cache = ?, url = ?, vary = ?, head = ?, used = ?, cost = ?,
                data = ? WHERE entry = ? AND state = 0""",
                (*values, entry),
            )
            if not known.rowcount:
                raise StorageError(_PIECES.late)
        connection.execute("UPDATE taken SET bytes = bytes + ?", (cost,))
        self._evict(connection, now)
        _sweep(connection, now)
        return 1

    def _evict(self, connection: sqlite3.Connection, now: float) -> None:
        (taken,) = connection.execute("SELECT bytes FROM taken").fetchone()
        while taken > self._most:
            oldest = "SELECT entry, cost FROM entries WHERE state = 1 ORDER BY used, entry LIMIT ?"
            rows = connection.execute(oldest, (SWEEP,)).fetchall()
            if not rows:
                return
            for entry, cost in rows:
                if taken > self._most:
                    _kill(connection, entry, cost, now)
                    taken -= cost

    def _make_room(self, connection: sqlite3.Connection, now: float) -> None:
        """The file is as large as it may be: forget all that is dead, also if it is being read, and some that live."""
        rows = connection.execute(
            "SELECT entry, cost FROM entries WHERE state = 1 ORDER BY used LIMIT ?", (SWEEP,)
        )
        for entry, cost in rows.fetchall():
            _kill(connection, entry, cost, now)
        for (entry,) in connection.execute("SELECT entry FROM entries WHERE state = 2").fetchall():
            _forget(connection, entry)

    async def delete(self, cache: str, url: str, now: float) -> bool:
        """See `CacheStore`."""

        def work(connection: sqlite3.Connection) -> bool:
            rows = connection.execute(_ALL, (cache, url)).fetchall()
            for entry, cost, _ in rows:
                _kill(connection, entry, cost, now)
            return any(until > now for _, _, until in rows)

        return await self._database.write(work)

    async def aclose(self) -> None:
        """Let go of the file."""
        await self._stores.let_go(self._database)


class _TooLarge(Exception):
    """There is no room for a body."""


def _kill(connection: sqlite3.Connection, entry: int, cost: int, now: float) -> None:
    """An entry is not found any more; who reads it may go on."""
    connection.execute(
        "UPDATE entries SET state = 2, until = ?, data = NULL WHERE entry = ?", (int(now) + GRACE_S, entry)
    )
    connection.execute("UPDATE taken SET bytes = bytes - ?", (cost,))


def _forget(connection: sqlite3.Connection, entry: int) -> None:
    connection.execute("DELETE FROM entries WHERE entry = ? AND state <> 1", (entry,))
    _PIECES.forget(connection, entry)


def _sweep(connection: sqlite3.Connection, now: float) -> None:
    """Some entries that have expired are dead, and some whose time has come are forgotten."""
    due = "SELECT entry, state, cost FROM entries WHERE until <= ? ORDER BY until LIMIT ?"
    for entry, state, cost in connection.execute(due, (int(now), SWEEP)).fetchall():
        if state == LIVE:
            _kill(connection, entry, cost, now)
        else:
            _forget(connection, entry)


def _write_head(kept: Kept) -> str:
    return json.dumps(
        [kept.status, kept.headers, kept.vary, kept.kept_at, kept.age, kept.expires, kept.size],
        separators=(",", ":"),
    )


def _read_head(text: str) -> Kept:
    status, headers, vary, kept_at, age, expires, size = json.loads(text)
    pairs = tuple((name, value) for name, value in headers)
    return Kept(status, pairs, tuple((name, value) for name, value in vary), kept_at, age, expires, size)
