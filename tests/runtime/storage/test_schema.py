"""Our own tables come into being once, and follow the versions."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import StorageError
from pyworkerd.storage.schema import Schema, bring_up_to_date

if TYPE_CHECKING:
    from pathlib import Path

ONE = Schema(77, (("CREATE TABLE a(x)",),))
TWO = Schema(77, (*ONE.steps, ("ALTER TABLE a ADD COLUMN y", "INSERT INTO a VALUES (1, 2)")))


def opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def test_steps_are_taken_once_and_in_order(tmp_path: Path) -> None:
    connection = opened(tmp_path / "x")
    bring_up_to_date(connection, ONE, "store")
    bring_up_to_date(connection, ONE, "store")
    for _ in range(2):
        bring_up_to_date(connection, TWO, "store")
    assert connection.execute("SELECT * FROM a").fetchall() == [(1, 2)]
    connection.close()


@pytest.mark.parametrize("moment", ["PRAGMA user_version", "SELECT count(*) FROM sqlite_schema"])
def test_a_file_that_another_process_begins_meanwhile_is_no_other(tmp_path: Path, moment: str) -> None:
    one, other = opened(tmp_path / "x"), opened(tmp_path / "x")
    one.execute("PRAGMA journal_mode = WAL")
    begun = []

    def begin(statement: str) -> None:
        if statement == moment and not begun:
            begun.append(statement)
            bring_up_to_date(other, ONE, "store")

    one.set_trace_callback(begin)
    bring_up_to_date(one, ONE, "store")
    assert begun == [moment]
    assert one.execute("SELECT name FROM sqlite_schema").fetchall() == [("a",)]
    one.close()
    other.close()


def test_a_step_that_fails_leaves_nothing(tmp_path: Path) -> None:
    connection = opened(tmp_path / "x")
    bad = Schema(77, (("CREATE TABLE a(x)", "CREATE TABLE a(x)"),))
    with pytest.raises(sqlite3.OperationalError):
        bring_up_to_date(connection, bad, "store")
    assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    bring_up_to_date(connection, ONE, "store")
    connection.close()


def test_a_file_of_something_else_and_one_of_the_future(tmp_path: Path) -> None:
    connection = opened(tmp_path / "x")
    bring_up_to_date(connection, TWO, "store")
    with pytest.raises(StorageError, match="later version"):
        bring_up_to_date(connection, ONE, "store")
    with pytest.raises(StorageError, match="something else"):
        bring_up_to_date(connection, Schema(78, ONE.steps), "store")
    connection.close()
    connection = opened(tmp_path / "y")
    connection.execute("CREATE TABLE somebody(x)")
    with pytest.raises(StorageError, match="something else"):
        bring_up_to_date(connection, ONE, "store")
    connection.close()
