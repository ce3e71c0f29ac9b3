"""Fields of conditional and range requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.http.conditional import MAX_TAGS, Span, Tag, byte_ranges, entity_tags, http_date


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("*", (Tag("*"),)),
        ('"a"', (Tag("a"),)),
        ('W/"a"', (Tag("a", True),)),
        ('"a", W/"b" ,"c"', (Tag("a"), Tag("b", True), Tag("c"))),
        ('""', (Tag(""),)),
        ('"a,b"', (Tag("a,b"),)),
        ("", ()),
        ("a", ()),
        ('"a', ()),
        ('"a" "b"', ()),
        ('w/"a"', ()),
        (", ".join(['"a"'] * (MAX_TAGS + 1)), ()),
    ],
)
def test_entity_tags(field: str, expected: tuple[Tag, ...]) -> None:
    assert entity_tags(field) == expected


def test_weak_tags_match_weakly() -> None:
    assert Tag("a").matches("a", weakly=False)
    assert not Tag("a", weak=True).matches("a", weakly=False)
    assert Tag("a", weak=True).matches("a", weakly=True)
    assert Tag("*").matches("a", weakly=False)
    assert not Tag("b").matches("a", weakly=True)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("bytes=0-0", (Span(0, 1),)),
        ("bytes=0-", (Span(0, 10),)),
        ("bytes=3-99", (Span(3, 7),)),
        ("bytes=-3", (Span(7, 3),)),
        ("bytes=-30", (Span(0, 10),)),
        ("BYTES = 1-2 , 4-5", (Span(1, 2), Span(4, 2))),
        ("bytes=10-", ()),
        ("bytes=-0", ()),
        ("bytes=10-11,1-1", (Span(1, 1),)),
        ("bytes=2-1", None),
        ("bytes=-", None),
        ("bytes=", None),
        ("bytes", None),
        ("lines=1-2", None),
        ("bytes=1-2-3", None),
        ("bytes=+1-2", None),
        ("bytes=\u0661-2", None),
        ("bytes=" + "9" * 20 + "-", None),
        ("bytes=" + "1-2," * MAX_TAGS + "1-2", None),
    ],
)
def test_byte_ranges(field: str, expected: tuple[Span, ...] | None) -> None:
    assert byte_ranges(field, 10) == expected


def test_of_nothing_there_are_no_bytes() -> None:
    assert byte_ranges("bytes=0-", 0) == byte_ranges("bytes=-5", 0) == ()


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**6))
def test_ranges_lie_within(first: int, last: int, size: int) -> None:
    for span in byte_ranges(f"bytes={first}-{last}", size) or ():
        assert 0 <= span.offset < span.offset + span.length <= size


def test_dates() -> None:
    assert http_date("Sunday, 06-Nov-94 08:49:37 GMT") == http_date("Sun Nov  6 08:49:37 1994") == 784111777


@given(st.text(max_size=60))
def test_nothing_that_is_no_date_is_one_or_raises(field: str) -> None:
    http_date(field)
    entity_tags(field)
    byte_ranges(field, 100)
