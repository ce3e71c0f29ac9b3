"""D1 in SQLite: one file for each database, which a tenant's SQL never leaves.

What only reads is tried on a connection that cannot write, beside others; whatever turns out to write is run by the one
that writes. Each transaction that writes counts one, in a table of ours: a bookmark is that number, and which database
it is of.
"""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import IO, TYPE_CHECKING, Final, TypeVar

from pyworkerd.errors import BadCall, StorageError
from pyworkerd.storage.connection import Design, primary_code
from pyworkerd.storage.schema import Schema
from pyworkerd.storage.watch import Watch

from . import execute
from .dump import dump
from .rules import (
    MAX_IMPORTED,
    MAX_QUERY_MS,
    QUERY_MS,
    Statement,
    check_sql,
    failed,
    in_words_of_d1,
    reads,
    sets,
)
from .store import Outcome, Stopped, rows_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from pyworkerd.storage.database import Database
    from pyworkerd.storage.stores import Stores
    from pyworkerd.storage.watch import Spent

DESIGN: Final = Design(
    Schema(
        0x50774431,  # "PwD1"
        (
            (
                "CREATE TABLE _cf_METADATA (key INTEGER PRIMARY KEY, value INTEGER NOT NULL)",
                "INSERT INTO _cf_METADATA VALUES (1, 0), (2, random() & 0x7fffffffffffffff)",
            ),
        ),
    ),
    default_mb=1024,
    prepare=execute.prepare,
    explain=execute.of_a_statement,
    factory=execute.Guarded,
    slow=True,
    worn=execute.worn,
)
OPERATOR_MS: Final = 600_000
"""CPU time of what an operator asks for: migrations, export, import."""
APPLIED: Final = "SELECT name FROM d1_migrations ORDER BY id"
_TRACK: Final = """CREATE TABLE IF NOT EXISTS d1_migrations (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE,
    applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)"""

T = TypeVar("T")


class SQLiteD1:
    """See `store.SQLStore`."""

    def __init__(
        self,
        database: Database,
        stores: Stores,
        query_ms: int = QUERY_MS,
        spent: Spent | None = None,
    ) -> None:
        self._database, self._stores, self._spent = database, stores, spent
        self._query_ms = min(query_ms, MAX_QUERY_MS)
        self._folder = database.location.path.parent

    def _watch(self, cpu_ms: float) -> Watch:
        return Watch(cpu_ms, self._folder, self._spent)

    async def run(
        self,
        statements: Sequence[Statement],
        *,
        after: str | None = None,
        bookmark: bool = False,
        told: bool = True,
    ) -> Outcome:
        """See `SQLStore`."""
        wanted = None if after is None else _parsed(after)
        try:
            if all([reads(each.sql) for each in statements]):  # noqa: C419 - a generator takes longer
                watch = self._watch(self._query_ms)
                reading = partial(_read, statements, wanted, bookmark, told, watch)
                if (found := await self._database.read(reading, watch)) is not None:
                    return found
            watch = self._watch(self._query_ms)
            writing = partial(_write, statements, wanted, told, watch)
            return await self._database.write(writing, watch, alone=True)
        except StorageError as error:
            if str(error).startswith("D1_"):
                raise
            raise in_words_of_d1(error) from error

    async def script(self, lines: Sequence[str]) -> tuple[int, Stopped | None]:
        """See `SQLStore`."""
        watch = self._watch(self._query_ms)
        return await _worded(self._database.write(partial(_script, lines, watch), watch, alone=True))

    async def migrate(self, migrations: Sequence[tuple[str, str]]) -> list[str]:
        """See `SQLStore`."""
        watch = self._watch(OPERATOR_MS)
        applied = await _worded(self._database.read(partial(_applied, watch), watch))
        done = []
        for name, sql in migrations:
            if name in applied:
                continue
            watch = self._watch(OPERATOR_MS)
            if await _worded(self._database.write(partial(_migrate, name, sql, watch), watch, alone=True)):
                done.append(name)
        return done

    async def export(self, file: Path) -> None:
        """See `SQLStore`."""
        watch = self._watch(OPERATOR_MS)

        def work(connection: sqlite3.Connection) -> None:
            with file.open("w", encoding="utf-8") as out:
                _in_one_moment(connection, partial(_export, out, watch, connection))

        await _worded(self._database.read(work, watch))

    async def import_script(self, sql: str) -> int:
        """See `SQLStore`."""
        watch = self._watch(OPERATOR_MS)
        return await _worded(self._database.write(partial(_import, sql, watch), watch, alone=True))

    async def aclose(self) -> None:
        """Let go of the file."""
        await self._stores.let_go(self._database)


async def _worded(work: Awaitable[T]) -> T:
    try:
        return await work
    except StorageError as error:
        if str(error).startswith("D1_"):
            raise
        raise in_words_of_d1(error) from error


def _in_one_moment(connection: sqlite3.Connection, work: Callable[[], T]) -> T:
    """On a reader: what it reads is of one moment."""
    connection.execute("BEGIN")
    try:
        return work()
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _read(
    statements: Sequence[Statement],
    after: tuple[int, int] | None,
    bookmark: bool,
    told: bool,
    watch: Watch,
    connection: sqlite3.Connection,
) -> Outcome | None:
    """On a reader: None if the statements have to be run where something can be written."""
    try:
        is_alone = len(statements) == 1 and not sets(statements[0].sql)
        if is_alone and after is None and not bookmark:  # it is of one moment by itself
            return Outcome(execute.run(connection, statements, watch, told), None)
        return _in_one_moment(
            connection, partial(_read_marked, statements, after, bookmark, told, watch, connection)
        )
    except BadCall as error:
        cause = error.__cause__
        if isinstance(cause, sqlite3.Error) and primary_code(cause) == sqlite3.SQLITE_READONLY:
            return None
        raise


def _read_marked(
    statements: Sequence[Statement],
    after: tuple[int, int] | None,
    bookmark: bool,
    told: bool,
    watch: Watch,
    connection: sqlite3.Connection,
) -> Outcome:
    mark = _mark(connection) if after is not None or bookmark else None
    _check(after, mark)
    results = execute.run(connection, statements, watch, told)
    return Outcome(results, None if mark is None else _written(mark))


def _write(
    statements: Sequence[Statement],
    after: tuple[int, int] | None,
    told: bool,
    watch: Watch,
    connection: sqlite3.Connection,
) -> Outcome:
    _check(after, _mark(connection))
    results = execute.run(connection, statements, watch, told)
    return Outcome(results, _written(_count(connection)))


def _script(lines: Sequence[str], watch: Watch, connection: sqlite3.Connection) -> tuple[int, Stopped | None]:
    count, stopped = 0, None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        connection.execute("SAVEPOINT line")
        try:
            if count and watch.ask():  # short lines are never asked about
                raise execute.interrupted(str(watch.verdict))
            check_sql(line)
            execute.run(connection, [Statement(line)], watch)
        except BadCall as error:
            if not connection.in_transaction:
                raise
            connection.execute("ROLLBACK TO line")
            stopped = Stopped(number, line, str(error).removeprefix("D1_ERROR: "))
        connection.execute("RELEASE line")
        if stopped is not None:
            break
        count += 1
    _count(connection)
    return count, stopped


def _applied(watch: Watch, connection: sqlite3.Connection) -> set[str]:
    """Names of migrations that have been applied. The table is the tenant's: it is read with no more rights."""
    try:
        (found,) = execute.run(connection, [Statement(APPLIED)], watch)
    except BadCall as error:
        if "no such table" in str(error):
            return set()
        raise
    return {name for (name,) in rows_of(found)}


def _migrate(name: str, sql: str, watch: Watch, connection: sqlite3.Connection) -> bool:
    """Whether it was applied now: another process may have come before."""
    execute.run(connection, [Statement(_TRACK)], watch)
    if name in _applied(watch, connection):
        return False
    try:
        _all(sql, watch, connection)
    except BadCall as error:
        raise BadCall(f"{name}: {error}") from error
    execute.run(connection, [Statement("INSERT INTO d1_migrations (name) VALUES (?)", (name,))], watch)
    _count(connection)
    return True


def _all(sql: str, watch: Watch, connection: sqlite3.Connection) -> int:
    count = 0
    for statement in execute.split(sql):
        check_sql(statement)
        execute.run(connection, [Statement(statement)], watch)
        count += 1
    return count


def _export(out: IO[str], watch: Watch, connection: sqlite3.Connection) -> None:
    """Tables and views are the tenant's: they are read with no more rights than it has."""
    with execute.guard_of(connection).on(), watch.over(connection), execute.roomy(connection):
        dump(connection, out.write)


def _import(sql: str, watch: Watch, connection: sqlite3.Connection) -> int:
    with execute.roomy(connection):
        count = _statements(sql, watch, connection)
    _count(connection)
    return count


def _statements(sql: str, watch: Watch, connection: sqlite3.Connection) -> int:
    count = 0
    for statement in execute.split(sql):
        words = statement.strip().rstrip(";").upper().split()
        if words[:1] in (["BEGIN"], ["COMMIT"]):  # a dump of `sqlite3`; all of it is one transaction anyway
            continue
        check_sql(statement, MAX_IMPORTED)
        execute.run(connection, [Statement(statement)], watch)
        count += 1
    return count


# bookmarks ---------------------------------------------------------------------------------------


def _mark(connection: sqlite3.Connection) -> tuple[int, int]:
    """How many transactions have written, and which database it is."""
    rows = connection.execute("SELECT value FROM main._cf_METADATA ORDER BY key LIMIT 2").fetchall()
    return rows[0][0], rows[1][0]


def _count(connection: sqlite3.Connection) -> tuple[int, int]:
    connection.execute("UPDATE main._cf_METADATA SET value = value + 1 WHERE key = 1")
    return _mark(connection)


def _written(mark: tuple[int, int]) -> str:
    count, which = mark
    return f"{count >> 32:08x}-{count & 0xFFFFFFFF:08x}-00000000-{which:032x}"


def _parsed(bookmark: str) -> tuple[int, int]:
    parts = bookmark.split("-")
    try:
        high, low, _, which = (int(part, 16) for part in parts)
    except ValueError:
        raise failed("the bookmark is none of this database", "D1_SESSION_ERROR") from None
    return (high << 32) + low, which


def _check(after: tuple[int, int] | None, mark: tuple[int, int] | None) -> None:
    """There is one copy of the database, so it is as new as any bookmark that it has given."""
    if after is not None and mark is not None and (after[1] != mark[1] or after[0] > mark[0]):
        raise failed("the bookmark is none of this database", "D1_SESSION_ERROR")
