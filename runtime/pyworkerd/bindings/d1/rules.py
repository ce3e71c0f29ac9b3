"""What a statement and its parameters may be, and how D1 words what is wrong with them. Pure."""

from __future__ import annotations

import re
import sqlite3
from typing import Any, Final, NamedTuple

from pyworkerd.errors import BadCall, StorageBusy, StorageCorrupt, StorageError, StorageFull

MAX_SQL: Final = 100_000
"""Bytes of a statement (D1: 100 KB)."""
MAX_PARAMETERS: Final = 100
MAX_COLUMNS: Final = 100
MAX_VALUE: Final = 2_000_000
"""Bytes of a text, a blob or a row (D1: 2 MB)."""
MAX_LIKE: Final = 50
MAX_FUNCTION_ARGUMENTS: Final = 32
MAX_STATEMENTS: Final = 1_000
"""Statements of one batch (Workers: 1,000 queries of an invocation)."""
MAX_RESULT: Final = 8 << 20
"""Bytes of the rows of one call: they are in the guest's memory at once."""
QUERY_MS: Final = 5_000
"""CPU time of the statements of one call, if nothing is configured."""
MAX_QUERY_MS: Final = 30_000
"""D1: a query may take 30 seconds."""

MAX_IMPORTED: Final = 5 << 20
"""Bytes of a statement that an operator imports: a row of an export, its blobs in hexadecimal."""

LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_LENGTH: MAX_VALUE,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: MAX_SQL + 64,  # our own comment comes on top
    sqlite3.SQLITE_LIMIT_COLUMN: MAX_COLUMNS,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 5,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 25_000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: MAX_FUNCTION_ARGUMENTS,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: MAX_LIKE,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: MAX_PARAMETERS,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 10,
}
"""Those that workerd sets for its SQLite, with D1's published numbers where these are lower."""

_INT64: Final = range(-(1 << 63), 1 << 63)
_COMMENT = r"(?:\s|--[^\n]*+\n|/\*.*?\*/|;)*+"
"""Possessive: what may lie between comments could be comments in as many ways as there are sums of their number."""
_FIRST_WORD: Final = re.compile(rf"{_COMMENT}([A-Za-z]+)", re.DOTALL)
_READS: Final = frozenset(("SELECT", "VALUES", "WITH", "EXPLAIN", "PRAGMA"))


class Statement(NamedTuple):
    """A statement with its parameters, checked."""

    sql: str
    parameters: tuple[Any, ...] = ()


def failed(text: str, kind: str = "D1_ERROR") -> BadCall:
    """An error as D1 words it."""
    return BadCall(f"{kind}: {text}")


def statement(sql: Any, parameters: Any) -> Statement:
    """A statement that a guest has sent. Raises `BadCall`."""
    if type(sql) is not str or type(parameters) is not list:
        raise failed("a statement is not a text and its parameters")
    check_sql(sql)
    if len(parameters) > MAX_PARAMETERS:
        raise failed("too many SQL variables: SQLITE_ERROR")
    return Statement(sql, tuple(map(parameter, parameters)))


def check_sql(sql: str, limit: int = MAX_SQL) -> None:
    """Raise `BadCall` for what can be no statement."""
    try:
        size = len(sql.encode())
    except UnicodeEncodeError:
        raise failed("the statement is no text that UTF-8 can say: SQLITE_ERROR") from None
    if size > limit:
        raise failed("statement too long: SQLITE_TOOBIG")
    if "\0" in sql:
        raise failed('unrecognized token: "\\0": SQLITE_ERROR')
    if not sql.strip().strip(";").strip():
        raise failed("No SQL statements detected.")


def parameter(value: Any) -> Any:
    """A value to bind. A list of one byte string is a long text, which crosses beside the others."""
    if type(value) is list and len(value) == 1 and type(value[0]) is bytes:
        value = value[0].decode("utf-8", "replace")
    kind = type(value)
    if value is None or kind in (float, bytes):
        return value
    if kind is bool:
        return int(value)
    if kind is int and value in _INT64:
        return value
    if kind is str:
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    raise failed(f"Type '{kind.__name__}' not supported for value '{str(value)[:100]}'", "D1_TYPE_ERROR")


def reads(sql: str) -> bool:
    """Whether a statement probably only reads. One that does not is refused where nothing can be written."""
    found = _FIRST_WORD.match(sql)
    return found is not None and found[1].upper() in _READS


def sets(sql: str) -> bool:
    """Whether a statement perhaps sets what lasts for others on its connection, unless it is part of a transaction."""
    return "foreign_keys" in sql.lower()


def message(error: sqlite3.Error, reason: str | None) -> BadCall:
    """What a tenant hears of an error of its SQL. `reason` is the guard's, if it refused something."""
    text, name = str(error), getattr(error, "sqlite_errorname", None)
    if name is None:
        return failed(_OWN_WORDS.get(text.partition(".")[0].partition(",")[0], text))
    if name == "SQLITE_AUTH":
        return failed(f"not authorized{f' to {reason}' if reason else ''}: SQLITE_AUTH")
    primary = _PRIMARY.get(error.sqlite_errorcode & 0xFF, "SQLITE_ERROR")
    return failed(f"{text}: {primary}")


_OWN_WORDS: Final = {
    "You can only execute one statement at a time": "A prepared SQL statement must contain only one statement.",
    "Incorrect number of bindings supplied": "Wrong number of parameter bindings for SQL query.",
    "query string is too large": "statement too long: SQLITE_TOOBIG",
}
"""What Python's module says by itself, by how it begins."""
_PRIMARY: Final = {
    getattr(sqlite3, name): name
    for name in """SQLITE_ERROR SQLITE_PERM SQLITE_ABORT SQLITE_READONLY SQLITE_INTERRUPT SQLITE_IOERR SQLITE_CORRUPT
    SQLITE_NOTFOUND SQLITE_FULL SQLITE_CANTOPEN SQLITE_SCHEMA SQLITE_TOOBIG SQLITE_CONSTRAINT SQLITE_MISMATCH
    SQLITE_MISUSE SQLITE_AUTH SQLITE_RANGE SQLITE_NOMEM SQLITE_BUSY SQLITE_LOCKED""".split()  # noqa: SIM905
}
INTERRUPTED: Final = {
    "cpu": "D1 DB exceeded its CPU time limit and was reset.",
    "wall": "D1 DB storage operation exceeded timeout which caused object to be reset.",
    "disk": "there is no room on the disk for what the query needs",
    "gone": "nobody waits for the query",
}
"""By the verdict of a watch (`storage.watch`)."""


def in_words_of_d1(error: StorageError) -> StorageError:
    """The same kind of error, in D1's words where it has some."""
    text = str(error)
    if isinstance(error, StorageFull):
        text = "Exceeded maximum DB size." if "size_mb" in text else text
    elif isinstance(error, StorageBusy):
        late = "was busy" in text
        text = (
            f"D1 DB is overloaded. {'Requests queued for too long' if late else 'Too many requests queued'}."
        )
    elif isinstance(error, StorageCorrupt):
        text = f"{text}: SQLITE_CORRUPT"
    return type(error)(f"D1_ERROR: {text}")
