"""Runs a tenant's statements on a connection: rows to bytes, errors to D1's words. On a thread of the storage."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_isolates import wire

from pyworkerd.errors import BadCall, StorageError, StorageFull
from pyworkerd.storage.connection import size_of

from .guard import TENANT, Guard
from .rules import INTERRUPTED, LIMITS, MAX_IMPORTED, MAX_RESULT, failed, message
from .store import Meta, Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyworkerd.storage.watch import Watch

    from .rules import Statement

INLINE: Final = 32_768
"""Bytes of first rows that cross with everything else, which is quicker than a byte string of their own."""
_SAFE: Final = (1 << 53) - 1
ROWS: Final = 128
"""Rows that are read and encoded at once: a tenth of a millisecond in which nobody else has the interpreter."""
LONG: Final = 1_024
"""Characters of a statement that is long."""
MAX_LONG: Final = 524_288
"""Of long ones, after which a connection is worn: it keeps the last 128 statements, each as a program of twenty times
its length, and a database has four connections."""
_OF_THE_STORE: Final = frozenset(
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
    )
)
"""Errors that are not those of a statement."""


class Guarded(sqlite3.Connection):
    """A connection that knows its guard."""

    guard: Guard


def prepare(connection: sqlite3.Connection) -> None:
    """Bound what statements may do and need, once for each connection."""
    assert isinstance(connection, Guarded)
    connection.guard = Guard()
    for limit, value in LIMITS.items():
        connection.setlimit(limit, value)
    connection.text_factory = _text
    connection.execute("PRAGMA foreign_keys = ON")
    defensive = getattr(sqlite3, "SQLITE_DBCONFIG_DEFENSIVE", None)
    if defensive is not None:  # Python 3.12
        connection.setconfig(defensive)  # type: ignore[attr-defined,unused-ignore]
    connection.set_authorizer(connection.guard)


def _text(data: bytes) -> str:
    return str(data, "utf-8", "replace")


def guard_of(connection: sqlite3.Connection) -> Guard:
    """The guard of a connection that was prepared."""
    assert isinstance(connection, Guarded)
    return connection.guard


def worn(connection: sqlite3.Connection) -> bool:
    """Whether what a connection keeps of long statements takes much memory."""
    return guard_of(connection).long > MAX_LONG


def run(
    connection: sqlite3.Connection, statements: Sequence[Statement], watch: Watch, told: bool = True
) -> list[Result]:
    """Run statements one after the other. Raises `BadCall`, or sqlite3.Error for what is not the statements' fault.

    What a result says besides its rows is nothing if it need not be `told`: the size of the database takes a statement
    of its own.
    """
    guard, room = guard_of(connection), _Room()
    results = []
    with guard.on(), watch.over(connection):
        for each in statements:
            guard.schema = False
            if len(each.sql) > LONG:
                guard.long += len(each.sql)
            try:
                results.append((_run_one if told else _rows)(connection, each, room))
            except sqlite3.Error as error:
                raise explained(error, guard, watch) from error
            except UnicodeEncodeError:
                raise failed("a parameter is no text that UTF-8 can say", "D1_TYPE_ERROR") from None
    return results


def explained(error: sqlite3.Error, guard: Guard, watch: Watch) -> Exception:
    """What went wrong, for the tenant; the error itself where it is the store's."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in _OF_THE_STORE:
        return error
    if code == sqlite3.SQLITE_INTERRUPT and watch.verdict is not None:
        return interrupted(watch.verdict)
    return message(error, guard.reason)


def interrupted(verdict: str) -> Exception:
    """Why statements go no further, for the tenant. `verdict` is a watch's."""
    text = INTERRUPTED[verdict]
    kind: type[StorageError] = StorageFull if verdict == "disk" else StorageError
    return failed(text) if verdict == "cpu" else kind(f"D1_ERROR: {text}")


def of_a_statement(error: sqlite3.Error) -> BadCall | None:
    """What a tenant hears of an error at the end of its transaction; None if it is not its SQL's fault."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None or code & 0xFF in _OF_THE_STORE else message(error, None)


class _Room:
    """What the results of one call may take."""

    __slots__ = ("inline", "left")

    def __init__(self) -> None:
        self.inline, self.left = INLINE, MAX_RESULT

    def take(self, first: list[Any], pieces: list[bytes], rows: list[Any]) -> None:
        """Add rows to a result: as they are, if they come first and are small, or else encoded."""
        size = None if first or pieces else plain_size(rows)
        if size is not None and size <= self.inline:
            self.inline -= size
            self.left -= size
            first.extend(rows)
        else:
            piece = wire.dump_value(rows)
            self.left -= len(piece)
            pieces.append(piece)
        if self.left < 0:
            raise failed(f"the result is larger than {MAX_RESULT} bytes: ask for fewer rows (LIMIT)")


def plain_size(rows: list[Any]) -> int | None:
    """About how many bytes of JSON; None if not everything is sure to be read as it is (`wire`)."""
    size = 0
    for row in rows:
        for value in row:
            kind = type(value)
            if kind is str:
                size += 2 * len(value)
            elif kind is bytes or (value is not None and not -_SAFE <= value <= _SAFE):
                return None
        size += 16 * len(row)
    return size


def _rows(connection: sqlite3.Connection, statement: Statement, room: _Room) -> Result:
    """What a statement gives, and how many rows that is and the last one's number, as far as that is at hand."""
    cursor = connection.execute(TENANT + statement.sql, statement.parameters)
    try:
        columns = [column[0] for column in cursor.description or ()]
        first: list[Any] = []
        pieces: list[bytes] = []
        rows = 0
        while columns and (some := cursor.fetchmany(ROWS)):
            rows += len(some)
            room.take(first, pieces, list(map(list, some)))
            if len(some) < ROWS:
                break
        last = cursor.lastrowid or 0
    finally:
        cursor.close()
    return Result(columns, first, pieces, Meta(0.0, 0, last, False, 0, rows, 0))


def _run_one(connection: sqlite3.Connection, statement: Statement, room: _Room) -> Result:
    began = time.perf_counter()
    changes = connection.total_changes
    size = size_of(connection)
    result = _rows(connection, statement, room)
    changed = connection.total_changes - changes
    now = size_of(connection) if changed or guard_of(connection).schema else size
    took = (time.perf_counter() - began) * 1000
    differs = bool(changed or now != size or guard_of(connection).schema)
    last, rows = result.meta.last_row_id, result.meta.rows_read
    return result._replace(meta=Meta(took, changed, last, differs, now, rows, changed))


@contextmanager
def roomy(connection: sqlite3.Connection) -> Iterator[None]:
    """For an operator: rows as text are longer than a tenant's statements may be."""
    changed = {sqlite3.SQLITE_LIMIT_LENGTH: 64 << 20, sqlite3.SQLITE_LIMIT_SQL_LENGTH: MAX_IMPORTED + 64}
    for limit, value in changed.items():
        connection.setlimit(limit, value)
    try:
        yield
    finally:
        for limit in changed:
            connection.setlimit(limit, LIMITS[limit])


def split(script: str) -> Iterator[str]:
    """The statements of a script. What is left at its end counts as one, if it is more than comments."""
    begun = ""
    for part in script.split(";")[:-1]:
        begun += f"{part};"
        if sqlite3.complete_statement(begun):
            yield begun
            begun = ""
    rest = begun + script.rpartition(";")[2]
    if "\n".join(line.partition("--")[0] for line in rest.splitlines()).strip():
        yield rest
