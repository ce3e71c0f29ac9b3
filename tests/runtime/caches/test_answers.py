"""What a request gets of what is kept."""

from __future__ import annotations

import pytest
from pyworkerd.caches.answers import answer
from pyworkerd.caches.rules import Kept
from pyworkerd.http.conditional import Span
from pyworkerd.http.dates import format_date

NOW = 1_800_000_000.0
OLD = format_date(NOW - 1000)
HEADERS = (
    ("etag", '"v1"'),
    ("last-modified", OLD),
    ("content-type", "text/plain"),
    ("cache-control", "max-age=60"),
)
KEPT = Kept(200, HEADERS, (), NOW, 5.0, NOW + 55, 10)
Pairs = tuple[tuple[str, str], ...]


def test_all_of_it() -> None:
    found = answer((), KEPT, NOW + 7.9)
    assert (found.status, found.span) == (200, Span(0, 10))
    assert found.headers == (*HEADERS, ("content-length", "10"), ("age", "12"), ("cf-cache-status", "HIT"))


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ((("if-none-match", '"v1"'),), 304),
        ((("if-none-match", 'W/"v1"'),), 304),
        ((("if-none-match", '"v0", "v1"'),), 304),
        ((("if-none-match", "*"),), 304),
        ((("if-none-match", '"v2"'),), 200),
        ((("if-none-match", "v1"),), 200),
        ((("if-modified-since", OLD),), 304),
        ((("if-modified-since", format_date(NOW)),), 304),
        ((("if-modified-since", format_date(NOW - 2000)),), 200),
        ((("if-modified-since", "x"),), 200),
        ((("if-none-match", '"v2"'), ("if-modified-since", format_date(NOW))), 200),
        ((("if-none-match", '"v1"'), ("range", "bytes=0-1")), 304),
    ],
)
def test_conditions(asked: Pairs, status: int) -> None:
    found = answer(asked, KEPT, NOW)
    assert found.status == status
    if status == 304:
        assert found.span is None
        assert [name for name, _ in found.headers] == [
            "etag", "last-modified", "cache-control", "age", "cf-cache-status"
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "status", "span", "place"),
    [
        ((("range", "bytes=2-4"),), 206, Span(2, 3), "bytes 2-4/10"),
        ((("range", "bytes=-3"),), 206, Span(7, 3), "bytes 7-9/10"),
        ((("range", "bytes=8-100"),), 206, Span(8, 2), "bytes 8-9/10"),
        ((("range", "bytes=10-"),), 416, None, "bytes */10"),
        ((("range", "bytes=0-1,4-5"),), 200, Span(0, 10), None),
        ((("range", "lines=0-1"),), 200, Span(0, 10), None),
        ((("range", "bytes=2-4"), ("if-range", '"v1"')), 206, Span(2, 3), "bytes 2-4/10"),
        ((("range", "bytes=2-4"), ("if-range", '"v2"')), 200, Span(0, 10), None),
        ((("range", "bytes=2-4"), ("if-range", 'W/"v1"')), 200, Span(0, 10), None),
        ((("range", "bytes=2-4"), ("if-range", OLD)), 206, Span(2, 3), "bytes 2-4/10"),
        ((("range", "bytes=2-4"), ("if-range", format_date(NOW))), 200, Span(0, 10), None),
    ],
)
def test_ranges(asked: Pairs, status: int, span: Span | None, place: str | None) -> None:
    found = answer(asked, KEPT, NOW)
    assert (found.status, found.span) == (status, span)
    fields = dict(found.headers)
    assert fields.get("content-range") == place
    assert fields["content-length"] == str(span.length if span else 0)


def test_only_what_is_whole_has_ranges() -> None:
    kept = Kept(404, (), (), NOW, 0.0, NOW + 60, 10)
    assert answer((("range", "bytes=0-1"), ("if-none-match", '"x"')), kept, NOW).status == 404
