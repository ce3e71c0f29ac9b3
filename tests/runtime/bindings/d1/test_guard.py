"""The authorizer, question by question, and that it is asked."""

from __future__ import annotations

import sqlite3

import pytest
from pyworkerd.bindings.d1.execute import Guarded
from pyworkerd.bindings.d1.guard import TENANT, Guard, refusal

ACTIONS = [name for name in dir(sqlite3) if name.startswith(("SQLITE_CREATE_TEMP", "SQLITE_DROP_TEMP"))]


@pytest.mark.parametrize(
    "action", ["SQLITE_ATTACH", "SQLITE_DETACH", "SQLITE_TRANSACTION", "SQLITE_SAVEPOINT", *ACTIONS]
)
def test_what_is_never_allowed(action: str) -> None:
    assert refusal(getattr(sqlite3, action), "x", "y", "main") is not None


def test_what_is_not_known_is_refused() -> None:
    assert refusal(12_345, None, None, None) == "do this"


def test_names() -> None:
    for name in ("_cf_METADATA", "_CF_x", "sqlite_dbpage", "SQLITE_STMT", "dbstat"):
        assert refusal(sqlite3.SQLITE_READ, name, "x", "main") is not None, name
    assert refusal(sqlite3.SQLITE_READ, "items", "name", "main") is None
    assert refusal(sqlite3.SQLITE_READ, "items", "name", "other") is not None
    assert refusal(sqlite3.SQLITE_CREATE_TRIGGER, "t", "_cf_METADATA", "main") is not None
    assert refusal(sqlite3.SQLITE_ALTER_TABLE, "main", "_cf_METADATA", None) is not None
    assert refusal(sqlite3.SQLITE_ALTER_TABLE, "main", "items", None) is None
    assert refusal(sqlite3.SQLITE_CREATE_VTABLE, "x", "FTS5", "main") is None
    assert refusal(sqlite3.SQLITE_CREATE_VTABLE, "_cf_x", "fts5", "main") is not None
    assert refusal(sqlite3.SQLITE_CREATE_VTABLE, "x", "csv", "main") is not None


def test_pragmas() -> None:
    assert refusal(sqlite3.SQLITE_PRAGMA, "Table_Info", "x", None) is None
    assert refusal(sqlite3.SQLITE_PRAGMA, "page_count", None, None) is None
    assert refusal(sqlite3.SQLITE_PRAGMA, "user_version", "5", None) is not None
    assert refusal(sqlite3.SQLITE_PRAGMA, "database_list", None, None) is not None


def test_statements_that_were_compiled_for_us_are_not_lent_to_tenants() -> None:
    """Python keeps compiled statements by their text, and SQLite does not ask about those again."""
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=Guarded)
    guard = Guard()
    connection.set_authorizer(guard)
    connection.execute("CREATE TABLE _cf_METADATA (x)")
    ours = "SELECT * FROM _cf_METADATA"
    for _ in range(3):
        connection.execute(ours).fetchall()
        with guard.on(), pytest.raises(sqlite3.DatabaseError):
            connection.execute(TENANT + ours)
        assert guard.reason == "use _cf_METADATA"
        connection.execute(ours).fetchall()
    connection.close()


def test_it_tells_of_changes_to_the_schema() -> None:
    guard = Guard()
    with guard.on():
        guard(sqlite3.SQLITE_READ, "t", "x", "main", None)
        assert not guard.schema
        guard(sqlite3.SQLITE_CREATE_TABLE, "t", None, "main", None)
        assert guard.schema
