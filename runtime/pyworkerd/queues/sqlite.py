"""A queue in SQLite: one file for each.

A message that was taken is not moved: `visible` says when it can be taken again. Who took it has the number of the
attempt, which is another for each delivery; so an acknowledgement that comes too late finds nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pyworkerd.errors import StorageFull
from pyworkerd.storage.connection import Design
from pyworkerd.storage.schema import Schema

from .rules import MAX_BATCH_BYTES, MAX_DELAY_S, RETENTION_S
from .store import Backlog, Message, Outlook

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from pyworkerd.storage.database import Database
    from pyworkerd.storage.stores import Stores

    from .rules import Draft
    from .store import Retry

DESIGN: Final = Design(
    Schema(
        0x50775155,  # "PwQU"
        (
            (
                """CREATE TABLE messages (
                    number INTEGER PRIMARY KEY AUTOINCREMENT, sent REAL NOT NULL, visible REAL NOT NULL,
                    attempts INTEGER NOT NULL DEFAULT 0, batch TEXT, format TEXT NOT NULL, body BLOB NOT NULL
                    ) STRICT""",
                "CREATE INDEX messages_visible ON messages (visible, number)",
                "CREATE INDEX messages_batch ON messages (batch) WHERE batch IS NOT NULL",
            ),
        ),
    ),
    default_mb=1024,
)
RESERVE: Final = 8
"""One part in so many of a queue's size is not for messages that are sent."""
_OLD: Final = 100
"""Messages past their retention that one write drops."""
FAR_S: Final = MAX_DELAY_S + 3_600
"""Nobody delays or keeps a message for so long: the wall clock was wrong when that was written, and it is due."""


class SQLiteQueue:
    """See `store.QueueStore`."""

    def __init__(self, database: Database, stores: Stores) -> None:
        self._database, self._stores = database, stores

    async def send(self, drafts: Sequence[Draft], now: float) -> None:
        """See `QueueStore`."""
        rows = [(now, now + draft.delay_s, draft.format, draft.body) for draft in drafts]
        sql = "INSERT INTO messages (sent, visible, format, body) VALUES (?, ?, ?, ?)"

        def send(connection: sqlite3.Connection) -> None:
            _drop_old(connection, now)
            self._leave_room(connection)
            connection.executemany(sql, rows)

        await self._database.write(send)

    def _leave_room(self, connection: sqlite3.Connection) -> None:
        """A queue that is full must still be emptied, and to take a message is to write to it."""
        pages, free, most = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "max_page_count")
        )
        if pages - free > most - most // RESERVE:
            raise StorageFull(f"the {self._database.location.label} is as large as it may become (size_mb)")

    async def outlook(self, most: int, now: float) -> Outlook:
        """See `QueueStore`."""

        def read(connection: sqlite3.Connection) -> Outlook:
            ready, since, size = connection.execute(
                "SELECT count(*), min(visible), coalesce(sum(size), 0) FROM "
                "(SELECT visible, length(body) AS size FROM messages WHERE visible <= ? "
                "ORDER BY visible, number LIMIT ?)",
                (now, most),
            ).fetchone()
            (later,) = connection.execute(
                "SELECT min(visible) FROM messages WHERE visible > ? AND visible <= ?", (now, now + FAR_S)
            ).fetchone()
            (astray,) = connection.execute(
                "SELECT count(*) FROM (SELECT 1 FROM messages WHERE visible > ? LIMIT ?)", (now + FAR_S, most)
            ).fetchone()
            if astray:
                ready, since = min(ready + astray, most), 0.0
            return Outlook(ready, since, later, _batches(connection, now), size)

        return await self._database.read(read)

    async def take(self, most: int, now: float, until: float, batch: str, concurrency: int) -> list[Message]:
        """See `QueueStore`."""

        def take(connection: sqlite3.Connection) -> list[Message]:
            _drop_old(connection, now)
            connection.execute("UPDATE messages SET visible = ? WHERE visible > ?", (now, now + FAR_S))
            if _batches(connection, now) >= concurrency:
                return []
            found = connection.execute(
                "SELECT number, sent, attempts + 1, format, body FROM messages WHERE visible <= ? "
                "ORDER BY visible, number LIMIT ?",
                (now, most),
            )
            rows: list[tuple[Any, ...]] = []
            size = 0
            for row in found:
                size += len(row[4])
                if rows and size > MAX_BATCH_BYTES:
                    break
                rows.append(row)
            found.close()
            connection.executemany(
                "UPDATE messages SET visible = ?, batch = ?, attempts = attempts + 1 WHERE number = ?",
                [(until, batch, row[0]) for row in rows],
            )
            return [Message(*row) for row in rows]

        return await self._database.write(take)

    async def hold(self, batch: str, until: float) -> None:
        """See `QueueStore`."""
        sql = "UPDATE messages SET visible = ? WHERE batch = ?"
        await self._database.write(lambda c: c.execute(sql, (until, batch)))

    async def settle(self, done: Sequence[Message], retries: Sequence[Retry], now: float) -> None:
        """See `QueueStore`."""
        gone = [(message.number, message.attempts) for message in done]
        again = [(now + retry.delay_s, retry.message.number, retry.message.attempts) for retry in retries]

        def settle(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM messages WHERE number = ? AND attempts = ?", gone)
            connection.executemany(
                "UPDATE messages SET visible = ?, batch = NULL WHERE number = ? AND attempts = ?", again
            )

        await self._database.write(settle)

    async def give_back(self, messages: Sequence[Message]) -> None:
        """See `QueueStore`."""
        rows = [(message.sent, message.number, message.attempts) for message in messages]
        sql = (
            "UPDATE messages SET visible = ?, batch = NULL, attempts = attempts - 1 "
            "WHERE number = ? AND attempts = ?"
        )
        await self._database.write(lambda c: c.executemany(sql, rows))

    async def backlog(self) -> Backlog:
        """See `QueueStore`."""
        sql = "SELECT count(*), coalesce(sum(length(body)), 0), min(sent) FROM messages"
        row: Any = await self._database.read(lambda c: c.execute(sql).fetchone())
        return Backlog(*row)

    async def peek(self, most: int) -> list[Message]:
        """See `QueueStore`."""
        sql = "SELECT number, sent, attempts, format, body FROM messages ORDER BY number LIMIT ?"
        rows = await self._database.read(lambda c: c.execute(sql, (most,)).fetchall())
        return [Message(*row) for row in rows]

    async def purge(self) -> int:
        """See `QueueStore`."""
        gone: int = await self._database.write(lambda c: c.execute("DELETE FROM messages").rowcount)
        return gone

    async def aclose(self) -> None:
        """See `QueueStore`."""
        await self._stores.let_go(self._database)


def _drop_old(connection: sqlite3.Connection, now: float) -> None:
    """Of the first messages those that are past their retention: numbers grow as time passes."""
    connection.execute(
        "DELETE FROM messages WHERE sent < ? AND number IN (SELECT number FROM messages ORDER BY number LIMIT ?)",
        (now - RETENTION_S, _OLD),
    )


def _batches(connection: sqlite3.Connection, now: float) -> int:
    sql = (
        "SELECT count(DISTINCT batch) FROM messages WHERE batch IS NOT NULL AND visible > ? AND visible <= ?"
    )
    (count,) = connection.execute(sql, (now, now + FAR_S)).fetchone()
    return int(count)
