"""Hostile text on terminals."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.observe.text import clock, one_line, printable

ANY = st.text(st.characters(exclude_categories=()))


@given(ANY)
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    safe = printable(text)
    safe.encode()
    assert not [
        char for char in safe if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} and char not in "\n\t"
    ]
    assert not set(safe) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
    assert safe.count("\n") == text.count("\n")
    assert "\n" not in one_line(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("over\rwritten", "over\\rwritten"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb", "a\\u202eb"),
        ("\ud800", "\\ud800"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("größer 日本\u3000語 👩\u200d🚀", "größer 日本\u3000語 👩\u200d🚀"),
    ],
)
def test_examples(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.floats(0, 4e9))
def test_the_clock(time: float) -> None:
    exact = datetime.fromtimestamp(int(time * 1000) // 1000, UTC).strftime("%H:%M:%S")
    assert clock(time) == f"{exact}.{int(time * 1000) % 1000:03}"
    assert clock(1_800_000_000.25) == "08:00:00.250"
