"""Where the words of compiled TypeScript come from."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates.javascript.positions import mappings

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def decoded(text: str) -> list[tuple[int, int, int, int]]:
    """Line, column, line of the source, column of the source of each change."""
    found, source_line, source_column = [], 0, 0
    for line, group in enumerate(text.split(";")):
        column = 0
        for segment in filter(None, group.split(",")):
            by_column, source, by_line, by_source_column = numbers(segment)
            assert source == 0
            column, source_line = column + by_column, source_line + by_line
            source_column += by_source_column
            found.append((line, column, source_line, source_column))
    return found


def numbers(segment: str) -> list[int]:
    found, value, shift = [], 0, 0
    for bits in map(DIGITS.index, segment):
        value, shift = value | (bits & 31) << shift, shift + 5
        if not bits & 32:
            found.append(-(value >> 1) if value & 1 else value >> 1)
            value = shift = 0
    return found


def words(text: str) -> dict[str, tuple[int, int]]:
    return {
        word: (line, column)
        for line, each in enumerate(text.split("\n"))
        for word, column in zip(each.split(" "), positions(each), strict=True)
    }


def positions(line: str) -> list[int]:
    return list(accumulate((len(word) + 1 for word in line.split(" ")), initial=0))[:-1]


@pytest.mark.parametrize(
    ("source", "output", "expected"),
    [
        ("a b c", "a b c", [(0, 0, 0, 0)]),
        ("type X = 1;\na b c", "a b c", [(0, 0, 1, 0)]),
        ("a\n  b c", "a b c", [(0, 0, 0, 0), (0, 2, 1, 2)]),
        ("a(x: T) {\nb; c }", "a(x) {\n\tb;\n\tc }", [(0, 0, 0, 0), (1, 1, 1, 0), (2, 1, 1, 3)]),
        ("// a b c d\na b c", "a b c", [(0, 0, 1, 0)]),
        ("/* a b\nc */ a b c", "a b c", [(0, 0, 1, 5)]),
        ("a b", "x y z", []),
        ("", "a", []),
        ("a", "", []),
        ("b " * 60 + "a", "a", [(0, 0, 0, 120)]),
        ("b " * 61 + "a", "a", []),
        ("f(); f(); f();", "f();\nf();\nf();", [(0, 0, 0, 0), (1, 0, 0, 5), (2, 0, 0, 10)]),
    ],
)
def test_mappings(source: str, output: str, expected: list[tuple[int, int, int, int]]) -> None:
    assert decoded(mappings(source, output)) == expected


@given(st.data())
def test_every_word_is_found_where_words_were_left_out(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 60))
    ends = st.sampled_from((" ", "\n"))
    source = "".join(f"w{i}{data.draw(ends)}" for i in range(count)) + "end"
    kept = [word for word in source.split() if word == "end" or data.draw(st.integers(0, 3))]
    output = "".join(f"{word}{data.draw(ends)}" for word in kept)[:-1]
    where, found = words(source), decoded(mappings(source, output))
    for word, (line, column) in words(output).items():
        at = max((each for each in found if each[:2] <= (line, column)), key=lambda each: each[:2])
        assert at[0] == line
        assert (at[2], at[3] + column - at[1]) == where[word]


@pytest.mark.parametrize(
    "text", ["/*" * 50_000, "a/*" * 30_000, "//" * 50_000, "a b c " * 20_000, "\n" * 100_000]
)
def test_hostile_texts_are_read_in_linear_time(text: str) -> None:
    mappings(text, text)
    mappings(text, "a b c */")
