"""The decoder alone: readers report and go on."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_config import Places, decode
from pyworkerd_config.decode import (
    MISSING,
    Cursor,
    Field,
    Reader,
    Table,
    describe,
    list_of,
    nested,
    read_table,
)
from pyworkerd_config.problems import ProblemList

FIELD = Field("key", decode.text, 'key = "value"')


def read(reader: Reader, value: Any) -> tuple[Any, list[str]]:
    problems = ProblemList()
    found = reader(value, Cursor(Places(Path("f"), prefix=("key",)), problems), FIELD)
    return found, [problem.message for problem in problems.found]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "true or false"),
        (1, "an integer"),
        (1.5, "a number with a fraction"),
        ("x", "a text"),
        ([], "a list"),
        ({}, "a table"),
        (date(2026, 1, 1), "a date"),
        (datetime(2026, 1, 1, tzinfo=UTC), "a date with a time"),
        (time(1), "a time"),
    ],
)
def test_descriptions(value: object, words: str) -> None:
    assert describe(value) == words


@pytest.mark.parametrize(
    ("reader", "value", "problem"),
    [
        (decode.text, 1, '"key" must be a text, found an integer'),
        (decode.name, "", '"key" must not be empty'),
        (decode.name, "a\x07", '"key" holds characters that cannot be printed'),
        (decode.boolean, 1, '"key" must be true or false, found an integer'),
        (decode.integer, True, '"key" must be an integer, found true or false'),
        (decode.integer, 1 << 63, '"key" does not fit into 64 bits'),
        (decode.count, 0, '"key" must be 1 or more'),
        (decode.day, 2026, '"key" must be a date, found an integer'),
        (decode.json_value, float("nan"), '"key" is not a number that JSON has'),
        (
            decode.json_value,
            {"a": [1, date(2026, 1, 1)]},
            'item 2 of "a" must be what JSON can hold, found a date',
        ),
        (decode.choice("a", "b"), "c", '"key" must be "a" or "b"'),
    ],
)
def test_what_is_wrong_is_told_and_missing(reader: Reader, value: object, problem: str) -> None:
    assert read(reader, value) == (MISSING, [problem])


@pytest.mark.parametrize(
    ("reader", "value", "result"),
    [
        (decode.text, "", ""),
        (decode.path, "a/b", Path("a/b")),
        (decode.path, "/a", Path("/a")),
        (decode.integer, -(1 << 63), -(1 << 63)),
        (decode.count, 1, 1),
        (decode.day, date(2026, 11, 1), "2026-11-01"),
        (decode.choice("a", "b"), "b", "b"),
        (list_of(decode.text, "a list"), ["a", "b"], ("a", "b")),
    ],
)
def test_what_is_right_is_returned(reader: Reader, value: object, result: object) -> None:
    assert read(reader, value) == (result, [])


def test_a_list_keeps_its_right_items() -> None:
    found, problems = read(list_of(decode.text, "a list"), ["a", 1, "b"])
    assert found == ("a", "b")
    assert problems == ['item 2 of "key" must be a text, found an integer']


def test_a_table_reports_unknown_lacking_and_wrong_keys_at_once() -> None:
    table = Table(
        "a thing",
        (Field("a", decode.text, "a = 1", required=True), Field("bee", decode.text, 'bee = "x"')),
        not_yet=frozenset({"soon"}),
    )
    found, problems = read(nested(table, lambda values, _: values), {"soon": 1, "bees": 1, "bee": 1})
    assert found is MISSING
    assert problems == [
        '"soon" is not in this version yet',
        'unknown key "bees"',
        'a thing needs "a"',
        '"bee" must be a text, found an integer',
    ]


def test_wrong_values_are_marked_in_the_table() -> None:
    problems = ProblemList()
    table = Table("a thing", (Field("a", decode.text, 'a = "x"'), Field("b", decode.text, 'b = "x"')))
    assert read_table({"a": 1, "b": "x"}, Cursor(Places(), problems), table, FIELD) == {
        "a": MISSING,
        "b": "x",
    }


JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(1 << 63), (1 << 63) - 1),
        st.text(),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_what_json_can_hold_is_returned_as_it_is(value: Any) -> None:
    assert read(decode.json_value, value) == (value, [])
