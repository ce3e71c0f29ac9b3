"""Objects as values."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from pyworkerd.bindings.r2.model import HttpMetadata, R2Object, R2Objects, with_body
from pyworkerd.http.conditional import Span
from pyworkerd.messages import Body

FOUND = R2Object(
    "k",
    "v",
    3,
    "e",
    784111777_123,
    HttpMetadata("a/b", cache_expiry=784111777_999),
    {"x": "y"},
    {"md5": b"\1"},
)


def test_what_headers_an_object_is_served_with() -> None:
    assert FOUND.http_metadata.headers() == [
        ("content-type", "a/b"),
        ("expires", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ]
    assert HttpMetadata().headers() == []


def test_fields_that_follow_from_others() -> None:
    assert FOUND.http_etag == '"e"'
    assert FOUND.uploaded == datetime(1994, 11, 6, 8, 49, 37, 123_000, tzinfo=UTC)
    assert R2Objects(cursor="x").truncated
    assert not R2Objects().truncated


def test_what_goes_to_the_guest() -> None:
    assert FOUND.to_wire() == [
        *("k", "v", 3, "e", 784111777_123),
        {"content_type": "a/b", "cache_expiry": 784111777_999},
        {"x": "y"},
        {"md5": "01"},
        "Standard",
        None,
    ]


def test_a_body_is_read_in_many_ways() -> None:
    async def main() -> None:
        found = with_body(FOUND, Span(0, 2), Body(b"[]"))
        assert (found.key, found.range) == ("k", Span(0, 2))
        assert (await found.read(), await found.text(), await found.json()) == (b"[]", "[]", [])
        await found.aclose()

    asyncio.run(main())
