"""A database as SQL text, in the order in which it can be read again. On a thread of the storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .guard import RESERVED

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

_LATE = ("index", "trigger", "view")


def dump(connection: sqlite3.Connection, write: Callable[[str], Any]) -> None:
    """Write all of a tenant's schema and rows. Only one row is in memory at a time."""
    write("PRAGMA defer_foreign_keys=TRUE;\n")
    kinds = dict(_ask(connection, "SELECT name, type FROM pragma_table_list WHERE schema = 'main'"))
    objects = _ask(
        connection, "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid"
    )
    own = [
        (kind, name, sql)
        for kind, name, table, sql in objects
        if not table.lower().startswith(RESERVED) and kinds.get(table) != "shadow"
    ]
    for kind, name, sql in own:
        if kind == "table" and not name.startswith("sqlite_"):
            write(f"{sql};\n")
            _rows(connection, name, sql, kinds.get(name) == "virtual", write)
    if "sqlite_sequence" in kinds:
        write("DELETE FROM sqlite_sequence;\n")
        for name, number in _ask(connection, "SELECT name, seq FROM sqlite_sequence"):
            if not str(name).lower().startswith(RESERVED):
                write(f"INSERT INTO sqlite_sequence VALUES({_literal(connection, name)},{number});\n")
    for late in _LATE:
        for kind, _, sql in own:
            if kind == late:
                write(f"{sql};\n")


def _rows(
    connection: sqlite3.Connection, table: str, sql: str, virtual: bool, write: Callable[[str], Any]
) -> None:
    quoted = _quoted(table)
    if virtual and "content=" in sql.replace(" ", "").lower():  # its rows are another table's, or nobody's
        write(f"INSERT INTO {quoted}({quoted}) VALUES('rebuild');\n")
        return
    # Column 6 says whether it is hidden (1) or generated (2, 3).
    found = _ask(connection, "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0", table)
    columns = ["rowid"] * virtual + [_quoted(name) for (name,) in found]
    values = " || ',' || ".join(f"quote({column})" for column in columns)
    listed = ",".join(columns)
    cursor = connection.cursor()
    for (row,) in cursor.execute(f"SELECT {values} FROM {quoted}"):  # noqa: S608 - names are quoted
        write(f"INSERT INTO {quoted}({listed}) VALUES({row});\n")
    cursor.close()


def _ask(connection: sqlite3.Connection, sql: str, *values: Any) -> list[Any]:
    return connection.execute(sql, values).fetchall()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(connection: sqlite3.Connection, value: Any) -> str:
    found: str = connection.execute("SELECT quote(?)", (value,)).fetchone()[0]
    return found
