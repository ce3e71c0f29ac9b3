"""What a Durable Object has stored: pages, which nobody but its own isolate looks into, and its alarm.

The pages are those of a SQLite database that lives inside the isolate (the guest's `_pyworkerd.storage`). They are rows
of another one here, one file for each object, so that what changes together is durable together or not at all. A tenant
can make of its pages what it likes: the host's SQLite never reads them as a database.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd.errors import BadEffect, StorageCorrupt, StorageFull
from pyworkerd.storage import layout
from pyworkerd.storage.connection import Design
from pyworkerd.storage.lane import Lane
from pyworkerd.storage.schema import Schema
from pyworkerd.storage.stores import Stores

from .alarms import Alarms
from .locks import Locks
from .peers import Peers

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from pyworkerd_isolates.protocol import Commit

    from pyworkerd.bindings.shared import Shared
    from pyworkerd.services.base import Service
    from pyworkerd.storage.database import Database
    from pyworkerd.storage.layout import Location

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


class Bound:
    """How many objects of a class may store something: each has a file. Of one process: two that begin in two processes
    at the same moment may both be the last one.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.turn = asyncio.Lock()
        """Of objects that store something for the first time."""

    def must_have_room(self, location: Location) -> None:
        """Raises `StorageFull`. Blocks on the disk."""
        try:
            with os.scandir(location.path.parent) as entries:
                there = sum(entry.name.endswith(location.path.suffix) for entry in entries)
        except FileNotFoundError:
            return
        if there >= self.most and not location.path.exists():
            raise StorageFull(f"the class has {self.most} Durable Objects that store something (max_objects)")


class ObjectStorage:
    """That of one object. Close it when the object is not in memory any more."""

    def __init__(self, database: Database, stores: Stores, bound: Bound | None = None) -> None:
        self._database, self._stores, self._bound = database, stores, bound

    async def load(self) -> Contents:
        """What was kept last. Raises `StorageError`. An object that never stored anything has no file."""
        if not self._database.location.path.exists():  # one look at a folder that is most likely known
            return Contents()
        self._bound = None
        contents = await self._database.read(_load)
        if contents is None:
            raise StorageCorrupt(
                f"the {self._database.location.label} has lost pages: restore it from a backup"
            )
        return contents

    async def keep(self, commit: Commit, before: Callable[[], Awaitable[None]] | None = None) -> None:
        """When this returns, it is on disk. `before` is done first, once it is clear that it may be kept. Raises
        `BadEffect`, `StorageError`; `StorageFull` for one object more than the class may have.
        """
        check(commit)
        if self._bound is None:
            await self._keep(commit, before)
            return
        lane = Lane(self._stores.threads, self._database.location.label)
        async with self._bound.turn:
            await lane.run(partial(self._bound.must_have_room, self._database.location))
            await self._keep(commit, before)
        self._bound = None

    async def _keep(self, commit: Commit, before: Callable[[], Awaitable[None]] | None) -> None:
        if before is not None:
            await before()
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
    bounds: dict[str, Bound] = field(default_factory=dict)
    """By unique key: as it was said last."""

    @property
    def run(self) -> Path:
        """A private folder for what lasts as long as a process."""
        return layout.durable_object_locks(self.root).path.parent

    def open(self, unique_key: str, object_id: str, most: int | None = None) -> ObjectStorage:
        """The storage of one object, of a class of which so many may have some. No I/O."""
        location = layout.durable_object(self.root, unique_key, object_id)
        return ObjectStorage(self.stores.use(location, DESIGN), self.stores, self._bound(unique_key, most))

    def _bound(self, unique_key: str, most: int | None) -> Bound | None:
        if most is None:
            return None
        found = self.bounds.get(unique_key)
        if found is None or found.most != most:
            found = self.bounds[unique_key] = Bound(most)
        return found


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
