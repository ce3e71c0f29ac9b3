"""Statements and parameters, and the words of D1 for what is wrong with them."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from pyworkerd.bindings.d1 import rules
from pyworkerd.errors import BadCall, StorageBusy, StorageCorrupt, StorageError, StorageFull


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None), (True, 1), (7, 7), (2.5, 2.5), ("hé", "hé"), (b"x", b"x"),
        ([b"\xff long"], "\N{REPLACEMENT CHARACTER} long"), ((1 << 63) - 1, (1 << 63) - 1),
    ],
)  # fmt: skip
def test_parameters(value: Any, expected: Any) -> None:
    assert rules.parameter(value) == expected


@pytest.mark.parametrize("value", [{}, [], [1], [b"", b""], 1 << 63, {1}])
def test_parameters_that_are_none(value: Any) -> None:
    with pytest.raises(BadCall, match=r"D1_TYPE_ERROR: Type '.*' not supported for value"):
        rules.parameter(value)


@pytest.mark.parametrize(
    ("sql", "parameters", "message"),
    [
        (5, [], "not a text"),
        ("SELECT 1", 5, "not a text"),
        ("", [], "No SQL statements detected."),
        (" ;; ", [], "No SQL statements detected."),
        ("SELECT 1 --" + "x" * 100_000, [], "statement too long: SQLITE_TOOBIG"),
        ("SELECT '\0'", [], "unrecognized token"),
        ("SELECT '\ud800'", [], "UTF-8"),
        ("SELECT 1", [1] * 101, "too many SQL variables: SQLITE_ERROR"),
    ],
)
def test_statements_that_are_none(sql: Any, parameters: Any, message: str) -> None:
    with pytest.raises(BadCall, match=message):
        rules.statement(sql, parameters)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", True),
        ("  -- x\n /* y */ ; values (1)", True),
        ("WITH x AS (SELECT 1) DELETE FROM t", True),
        ("PRAGMA table_list", True),
        ("INSERT INTO t VALUES (1)", False),
        ("/* SELECT */ UPDATE t SET x = 1", False),
        ("", False),
        ("/* unended", False),
        ("/**/" * 100 + "1", False),
        ("/**/" * 100 + "SELECT 1", True),
    ],
)
def test_what_probably_only_reads(sql: str, expected: bool) -> None:
    assert rules.reads(sql) == expected


def test_messages() -> None:
    error = sqlite3.DatabaseError("not authorized")
    error.sqlite_errorcode, error.sqlite_errorname = 23, "SQLITE_AUTH"
    assert str(rules.message(error, "fly")) == "D1_ERROR: not authorized to fly: SQLITE_AUTH"
    error = sqlite3.IntegrityError("UNIQUE constraint failed: t.x")
    error.sqlite_errorcode, error.sqlite_errorname = 2067, "SQLITE_CONSTRAINT_UNIQUE"
    assert str(rules.message(error, None)) == "D1_ERROR: UNIQUE constraint failed: t.x: SQLITE_CONSTRAINT"
    assert str(rules.message(sqlite3.ProgrammingError("odd"), None)) == "D1_ERROR: odd"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (StorageFull("the d1 store 'x' is as large as it may become (size_mb)"), "Exceeded maximum DB size."),
        (StorageFull("there is no room on the disk"), "there is no room on the disk"),
        (StorageBusy("the d1 store 'x' was busy"), "D1 DB is overloaded. Requests queued for too long."),
        (StorageBusy("1000 calls wait"), "D1 DB is overloaded. Too many requests queued."),
        (StorageCorrupt("the d1 store 'x' is damaged"), "the d1 store 'x' is damaged: SQLITE_CORRUPT"),
        (StorageError("the d1 store 'x' failed"), "the d1 store 'x' failed"),
    ],
)
def test_errors_of_the_store_in_words_of_d1(error: StorageError, words: str) -> None:
    found = rules.in_words_of_d1(error)
    assert type(found) is type(error)
    assert str(found) == f"D1_ERROR: {words}"
