"""What a Durable Object has stored: pages, which nobody but its own isolate looks into, and its alarm.

The pages are those of a SQLite database that lives inside the isolate (the guest's `_pyworkerd.storage`). They are rows
of another one here, one file for each object, so that what changes together is durable together or not at all. A tenant
can make of its pages what it likes: the host's SQLite never reads them as a database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd.errors import BadEffect, StorageCorrupt
from pyworkerd.storage import layout
from pyworkerd.storage.connection import Design
from pyworkerd.storage.schema import Schema
from pyworkerd.storage.stores import Stores

from .alarms import Alarms
from .locks import Locks
from .peers import Peers

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from pyworkerd_isolates.protocol import Commit

    from pyworkerd.bindings.shared import Shared
    from pyworkerd.services.base import Service
    from pyworkerd.storage.database import Database

PAGE: Final = 4096
"""Bytes, as in the guest's `_pyworkerd.storage`."""
MOST_MB: Final = 16
"""What an object may have stored. It is in the isolate's memory, and a step that writes compares all of it with what
was kept before, which takes about a millisecond for each MB."""
MOST_PAGES: Final = MOST_MB * (1 << 20) // PAGE
DESIGN: Final = Design(
    Schema(
        0x5077444F,  # "PwDO"
        (
            (
                "CREATE TABLE pages (number INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT",
                """CREATE TABLE about (
                    one INTEGER PRIMARY KEY CHECK (one = 1), pages INTEGER NOT NULL, alarm INTEGER) STRICT""",
            ),
        ),
    ),
    default_mb=4 * MOST_MB,
)
"""Pages are a little larger as rows, and the file keeps some room for what is written next."""


class Contents(NamedTuple):
    """What an object begins with."""

    pages: bytes = b""
    alarm: int | None = None
    """Milliseconds since 1970."""


def check(commit: Commit) -> None:
    """Whether a guest may keep this. Raises `BadEffect`."""
    numbers = commit.numbers
    if commit.size > MOST_PAGES:
        raise BadEffect(f"a Durable Object stored more than {MOST_MB} MB")
    if len(commit.pages) != len(numbers) * PAGE:
        raise BadEffect("a Durable Object stored pages that are none")
    if any(number >= commit.size for number in numbers) or len(set(numbers)) != len(numbers):
        raise BadEffect("a Durable Object stored pages that it does not have, or some twice")


class ObjectStorage:
    """That of one object. Close it when the object is not in memory any more."""

    def __init__(self, database: Database, stores: Stores) -> None:
        self._database, self._stores = database, stores

    async def load(self) -> Contents:
        """What was kept last. Raises `StorageError`. An object that never stored anything has no file."""
        if not self._database.location.path.exists():  # one look at a folder that is most likely known
            return Contents()
        contents = await self._database.read(_load)
        if contents is None:
            raise StorageCorrupt(
                f"the {self._database.location.label} has lost pages: restore it from a backup"
            )
        return contents

    async def keep(self, commit: Commit) -> None:
        """When this returns, it is on disk. Raises `BadEffect`, `StorageError`."""
        check(commit)
        await self._database.write(lambda connection: _keep(connection, commit))

    async def aclose(self) -> None:
        """Let go of the file."""
        await self._stores.let_go(self._database)


@dataclass(frozen=True, slots=True)
class ObjectStores:
    """Where the objects of a configuration are."""

    stores: Stores
    root: Path
    """The `state_dir`."""
    locks: Locks
    peers: Peers
    alarms: Alarms

    @property
    def run(self) -> Path:
        """A private folder for what lasts as long as a process."""
        return layout.durable_object_locks(self.root).path.parent

    def open(self, unique_key: str, object_id: str) -> ObjectStorage:
        """The storage of one object. No I/O."""
        location = layout.durable_object(self.root, unique_key, object_id)
        return ObjectStorage(self.stores.use(location, DESIGN), self.stores)


def stores_of(shared: Shared, root: Path, find: Callable[[str], Service]) -> ObjectStores:
    """What a runtime has for objects, made for the first worker that exports a class of them. `find` gives a service by
    its name, as it is now.
    """
    stores = shared.get(Stores, Stores)
    peers = shared.get(Peers, lambda: Peers(root, find))
    alarms = shared.get(Alarms, lambda: Alarms(stores, root, peers.ring))
    return ObjectStores(stores, root, Locks(root), peers, alarms)


def _load(connection: sqlite3.Connection) -> Contents | None:
    connection.execute("BEGIN")
    try:
        about = connection.execute("SELECT pages, alarm FROM about").fetchone()
        if about is None:
            return Contents()
        rows = connection.execute("SELECT data FROM pages ORDER BY number").fetchall()
        pages = b"".join([data for (data,) in rows])
    finally:
        connection.execute("COMMIT")
    return Contents(pages, about[1]) if len(pages) == about[0] * PAGE else None


def _keep(connection: sqlite3.Connection, commit: Commit) -> None:
    view = memoryview(commit.pages)
    connection.executemany(
        "INSERT INTO pages (number, data) VALUES (?1, ?2) ON CONFLICT (number) DO UPDATE SET data = ?2",
        [(number, view[i * PAGE : (i + 1) * PAGE]) for i, number in enumerate(commit.numbers)],
    )
    connection.execute("DELETE FROM pages WHERE number >= ?", (commit.size,))
    connection.execute(
        "INSERT INTO about (one, pages, alarm) VALUES (1, ?1, ?2) "
        "ON CONFLICT (one) DO UPDATE SET pages = ?1, alarm = ?2",
        (commit.size, commit.alarm),
    )
