"""How a file is opened, and what SQLite's errors mean. Blocks: for threads of the storage alone.

The library is `sqlite3` of the standard library. apsw was weighed: it knows more of SQLite (the readonly flag and the
counters of a statement, `SQLITE_DBCONFIG_DEFENSIVE` before Python 3.12), but is one more native dependency to trust and
to install, and what is needed can be had without it.
"""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pyworkerd.errors import PyworkerdError, StorageBusy, StorageCorrupt, StorageError, StorageFull

from .schema import Schema, bring_up_to_date
from .watch import disk_free

if TYPE_CHECKING:
    from collections.abc import Callable

    from .layout import Location

BUSY_S: Final = 5.0
"""How long a writer waits for another process before it gives up (SQLite's own default in Python)."""
PAGE: Final = 4096
CACHE_KB: Final = 2_048
"""Pages that one connection keeps in memory (SQLite's default)."""
WAL_PAGES: Final = 1_000
"""Pages of the log after which it is written back (SQLite's default), and to which it is cut then."""

ROOM: Final = 16 << 20
"""Bytes that are free on a disk that is not full: whoever was refused room then was at the limit of the store."""

logger = logging.getLogger("pyworkerd.storage")


def _nothing(_connection: sqlite3.Connection) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Design:
    """What is special about the databases of one kind of store."""

    schema: Schema
    default_mb: int
    """How large one may grow if nothing is configured."""
    prepare: Callable[[sqlite3.Connection], None] = _nothing
    """Called with each connection that was opened."""
    factory: type[sqlite3.Connection] = sqlite3.Connection
    """What a connection is an object of."""
    slow: bool = False
    """Whether tenants say what is done: such databases have threads of their own, apart from short work's."""
    explain: Callable[[sqlite3.Error], PyworkerdError | None] = lambda _: None
    """Errors that the kind has words of its own for."""
    worn: Callable[[sqlite3.Connection], bool] = lambda _: False
    """Whether a connection keeps so much in memory that another one is opened in its place."""


_COMMON: Final = (
    "PRAGMA synchronous = FULL",  # an acknowledged write is on disk
    "PRAGMA fullfsync = ON",  # also on macOS, where fsync() alone leaves it to the drive
    "PRAGMA checkpoint_fullfsync = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA mmap_size = 0",  # a damaged file is an error then, and no SIGBUS
    f"PRAGMA cache_size = -{CACHE_KB}",
    f"PRAGMA wal_autocheckpoint = {WAL_PAGES}",
    f"PRAGMA journal_size_limit = {WAL_PAGES * PAGE}",
)


def open_writer(location: Location, design: Design) -> sqlite3.Connection:
    """The connection that writes. Makes the file, or brings it up to date. Raises sqlite3.Error, `StorageError`."""
    connection = _connect(location, design)
    try:
        _log_ahead(connection, location)
        bring_up_to_date(connection, design.schema, location.label)
        design.prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _log_ahead(connection: sqlite3.Connection, location: Location) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StorageError(f"the {location.label} lies on a file system that cannot share memory (WAL)")


def open_reader(location: Location, design: Design) -> sqlite3.Connection:
    """A connection that cannot write, to a file that a writer has opened."""
    connection = _connect(location, design)
    try:
        connection.execute("PRAGMA query_only = ON")
        design.prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(location: Location, design: Design) -> sqlite3.Connection:
    connection = sqlite3.connect(
        location.path,
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=128,
        factory=design.factory,
    )
    try:
        for pragma in _COMMON:
            connection.execute(pragma)
    except BaseException:
        connection.close()
        raise
    return connection


def bound(connection: sqlite3.Connection, megabytes: int) -> None:
    """How large the file may grow. One that is larger already keeps its size."""
    connection.execute(f"PRAGMA max_page_count = {megabytes * (1 << 20) // PAGE}")


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code, without what its extended codes add; 1 (SQLITE_ERROR) where Python alone complains."""
    return getattr(error, "sqlite_errorcode", 1) & 0xFF


def size_of(connection: sqlite3.Connection) -> int:
    """Bytes of the database, as this connection sees it."""
    return int(connection.execute("PRAGMA page_count").fetchone()[0]) * PAGE


_DAMAGED: Final = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
TAKEN: Final = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED))


def translate(error: sqlite3.Error, location: Location) -> StorageError:
    """What became of a store, for whoever asked. Paths are for the operator's log."""
    code = primary_code(error)
    if code in TAKEN:
        return StorageBusy(f"the {location.label} was busy for {BUSY_S:g} seconds")
    if code == sqlite3.SQLITE_FULL:
        if disk_free(location.path.parent) >= ROOM:
            return StorageFull(f"the {location.label} is as large as it may become (size_mb)")
        logger.error("%s: the disk is full", location.path)
        return StorageFull(f"there is no room on the disk for the {location.label}")
    logger.error(
        "%s: %s (SQLite result %s)", location.path, error, getattr(error, "sqlite_errorname", "none")
    )
    if code in _DAMAGED:
        return StorageCorrupt(f"the {location.label} is damaged: restore it from a backup")
    return StorageError(f"the {location.label} failed")
