"""What a tenant's SQL may do. SQLite asks for each thing that a statement would do, when it is compiled.

A statement may use its own database and nothing else: no other file, no code, no setting of the connection, which other
workers and other requests use as well. Whatever is not known here is refused.

A statement that was compiled once is not asked about again, and whoever runs the same text gets it. So a tenant's text
is run behind `TENANT`, which no statement of ours begins with, and ours are run while the guard is off.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable

RESERVED: Final = "_cf_"
"""What names of our own tables begin with, as in D1."""
TENANT: Final = "/* d1 */ "

PRAGMAS: Final = frozenset(
    """table_info table_xinfo table_list index_list index_info index_xinfo foreign_key_list foreign_key_check
    quick_check integrity_check optimize defer_foreign_keys foreign_keys compile_options collation_list""".split()  # noqa: SIM905
)
"""They tell of this database, or end with the transaction (`foreign_keys` does nothing within one)."""
READ_ONLY_PRAGMAS: Final = frozenset(
    "page_count page_size freelist_count schema_version user_version data_version encoding".split()  # noqa: SIM905
)
"""They may be asked, not set."""
MODULES: Final = frozenset(("fts5", "fts5vocab"))
"""Kinds of virtual tables: those of D1."""
FUNCTIONS: Final = frozenset(("load_extension", "fts3_tokenizer", "sqlite_offset"))
"""Functions that reach for code or for the file."""
HIDDEN: Final = frozenset(("sqlite_dbpage", "dbstat", "sqlite_stmt", "bytecode", "tables_used"))
"""Tables that every database has, which show pages of the file or others' statements."""

_TABLES: Final = frozenset(
    (
        sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_CREATE_TRIGGER,
        sqlite3.SQLITE_CREATE_VIEW, sqlite3.SQLITE_DELETE, sqlite3.SQLITE_DROP_INDEX, sqlite3.SQLITE_DROP_TABLE,
        sqlite3.SQLITE_DROP_TRIGGER, sqlite3.SQLITE_DROP_VIEW, sqlite3.SQLITE_INSERT, sqlite3.SQLITE_READ,
        sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_REINDEX, sqlite3.SQLITE_DROP_VTABLE,
    )
)  # fmt: skip
_SCHEMA: Final = _TABLES - {
    sqlite3.SQLITE_DELETE, sqlite3.SQLITE_INSERT, sqlite3.SQLITE_READ, sqlite3.SQLITE_UPDATE
}  # fmt: skip
_NAMES: Final = {
    sqlite3.SQLITE_ATTACH: "use another file (ATTACH, VACUUM)",
    sqlite3.SQLITE_DETACH: "use another file (DETACH)",
    sqlite3.SQLITE_TRANSACTION: "use BEGIN, COMMIT or ROLLBACK: batch() is a transaction",
    sqlite3.SQLITE_SAVEPOINT: "use SAVEPOINT: batch() is a transaction",
}


def refusal(action: int, first: str | None, second: str | None, database: str | None) -> str | None:
    """Why something may not be done, or None. Pure; the arguments are those of `sqlite3_set_authorizer`."""
    check = _CHECKS.get(action)
    return _NAMES.get(action, "do this") if check is None else check(first, second, database)


def _table(first: str | None, second: str | None, database: str | None) -> str | None:
    if database not in (None, "main") and not (database == "temp" and first == "sqlite_temp_master"):
        return "use temporary tables"
    for name in (first, second):
        if name is not None and (name.lower().startswith(RESERVED) or name.lower() in HIDDEN):
            return f"use {name}"
    return None


def _alter(database: str | None, table: str | None, _: str | None) -> str | None:
    return _table(table, None, database)


def _function(_: str | None, name: str | None, _database: str | None) -> str | None:
    return f"use the function {name}" if (name or "").lower() in FUNCTIONS else None


def _pragma(name: str | None, value: str | None, _database: str | None) -> str | None:
    word = (name or "").lower()
    allowed = word in PRAGMAS or (word in READ_ONLY_PRAGMAS and value is None)
    return None if allowed else f"use PRAGMA {name}"


def _virtual(table: str | None, module: str | None, database: str | None) -> str | None:
    if (module or "").lower() not in MODULES:
        return f"make a virtual table of {module}"
    return _table(table, None, database)


_CHECKS: Final[dict[int, Callable[[str | None, str | None, str | None], str | None]]] = {
    sqlite3.SQLITE_SELECT: lambda *_: None,
    sqlite3.SQLITE_RECURSIVE: lambda *_: None,
    sqlite3.SQLITE_ANALYZE: lambda *_: None,
    **dict.fromkeys(_TABLES, _table),
    sqlite3.SQLITE_ALTER_TABLE: _alter,
    sqlite3.SQLITE_FUNCTION: _function,
    sqlite3.SQLITE_PRAGMA: _pragma,
    sqlite3.SQLITE_CREATE_VTABLE: _virtual,
}


class Guard:
    """The authorizer of one connection. Off until it is entered."""

    __slots__ = ("_active", "long", "reason", "schema")

    def __init__(self) -> None:
        self._active = False
        self.reason: str | None = None
        """Why the last statement was refused."""
        self.schema = False
        """Whether the schema may have been changed."""
        self.long = 0
        """Bytes of the long statements that were run: their programs are kept for the next time."""

    def on(self) -> Self:
        """What is compiled within it is a tenant's."""
        return self

    def __enter__(self) -> None:
        self._active, self.reason, self.schema = True, None, False

    def __exit__(self, *exc: object) -> None:
        self._active = False

    def __call__(
        self, action: int, first: str | None, second: str | None, database: str | None, _trigger: str | None
    ) -> int:
        """SQLite's question."""
        if not self._active:
            return sqlite3.SQLITE_OK
        found = refusal(action, first, second, database)
        if found is not None:
            self.reason = self.reason or found
            return sqlite3.SQLITE_DENY
        self.schema = self.schema or action in _SCHEMA or action == sqlite3.SQLITE_CREATE_VTABLE
        return sqlite3.SQLITE_OK
