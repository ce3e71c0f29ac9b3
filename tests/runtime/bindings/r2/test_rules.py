"""Decisions: conditions, ranges, cursors, parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.bindings.r2 import rules
from pyworkerd.bindings.r2.model import Conditions, HttpMetadata, ListOptions, Part, PutOptions, R2Object
from pyworkerd.errors import BadCall
from pyworkerd.http.conditional import Tag

FOUND = R2Object("k", "v", 1, "etag", 5_500)
YES, NO, WEAK = (Tag("etag"),), (Tag("other"),), (Tag("etag", True),)


@pytest.mark.parametrize(
    ("conditions", "there", "absent"),
    [
        (Conditions(), True, True),
        (Conditions(etag_matches=YES), True, False),
        (Conditions(etag_matches=NO), False, False),
        (Conditions(etag_matches=WEAK), False, False),
        (Conditions(etag_matches=(Tag("*"),)), True, False),
        (Conditions(etag_matches=NO + YES), True, False),
        (Conditions(etag_does_not_match=YES), False, True),
        (Conditions(etag_does_not_match=WEAK), False, True),
        (Conditions(etag_does_not_match=NO), True, True),
        (Conditions(etag_does_not_match=(Tag("*"),)), False, True),
        (Conditions(uploaded_after=5_499), True, False),
        (Conditions(uploaded_after=5_500), False, False),
        (Conditions(uploaded_before=5_501), True, True),
        (Conditions(uploaded_before=5_500), False, True),
        (Conditions(uploaded_after=5_000, seconds_granularity=True), False, False),
        (Conditions(uploaded_after=4_999, seconds_granularity=True), True, False),
        (Conditions(uploaded_before=5_999, seconds_granularity=True), False, True),
        (Conditions(uploaded_before=6_000, seconds_granularity=True), True, True),
        # RFC 9110 section 13.2.2: an etag that holds is more than a date.
        (Conditions(etag_matches=YES, uploaded_before=1), True, False),
        (Conditions(etag_does_not_match=NO, uploaded_after=9_999), True, False),
        (Conditions(etag_matches=NO, uploaded_before=9_999), False, False),
    ],
)
def test_conditions(conditions: Conditions, there: bool, absent: bool) -> None:
    assert rules.holds(conditions, FOUND) == there
    assert rules.holds(conditions, None) == absent
    assert rules.holds(None, FOUND)


def test_keys_are_measured_in_bytes() -> None:
    assert rules.key_bytes("put", "\u00e9" * 512) == "\u00e9".encode() * 512
    with pytest.raises(BadCall, match=r"^head: The specified object name is not valid. \(10020\)$"):
        rules.key_bytes("head", "\u00e9" * 513)


@given(st.binary(max_size=6), st.binary(max_size=6))
def test_behind_a_prefix_comes_what_does_not_begin_so(prefix: bytes, key: bytes) -> None:
    following = rules.after_prefix(prefix)
    if following is None:
        assert not prefix.strip(b"\xff")
    else:
        assert (key >= following) == (key >= prefix and not key.startswith(prefix))


@given(st.sampled_from([b"k", b"p"]), st.binary(min_size=1, max_size=1024))
def test_cursors_come_back(kind: bytes, key: bytes) -> None:
    assert rules.from_cursor(rules.to_cursor(kind, key)) == (kind, key)


def test_a_list_begins_behind_whichever_is_later() -> None:
    cursor = rules.to_cursor(b"k", b"m")
    assert rules.list_start(ListOptions()) == b""
    assert rules.list_start(ListOptions(start_after="a")) == b"a\0"
    assert rules.list_start(ListOptions(start_after="a", cursor=cursor)) == b"m\0"
    assert rules.list_start(ListOptions(start_after="z", cursor=cursor)) == b"z\0"
    assert rules.list_start(ListOptions(cursor=rules.to_cursor(b"p", b"a/"))) == b"a0"


SIZE = 5 << 20
A, B, C = "0" * 32, "1" * 32, "2" * 32


def test_parts_are_put_together_in_their_order() -> None:
    uploaded = {1: (A, SIZE), 2: (B, SIZE), 7: (C, 3)}
    numbers, etag, size = rules.assemble([Part(7, C), Part(1, A), Part(2, B)], uploaded)
    assert (numbers, size, etag[-2:]) == ([1, 2, 7], 2 * SIZE + 3, "-3")


@pytest.mark.parametrize(
    ("uploaded", "code"),
    [
        ({1: (A, SIZE - 1), 2: (B, SIZE - 1)}, 10011),
        ({1: (A, SIZE), 2: (B, SIZE + 1), 3: (C, 1)}, 10048),
        ({1: (A, SIZE), 2: (B, SIZE + 1)}, 10048),
        ({1: (A, 4 << 40), 2: (B, 4 << 40)}, 100100),
    ],
)
def test_parts_that_do_not_make_a_whole(uploaded: dict[int, tuple[str, int]], code: int) -> None:
    parts = [Part(number, etag) for number, (etag, _) in uploaded.items()]
    with pytest.raises(BadCall, match=rf"\({code}\)$"):
        rules.assemble(parts, uploaded)


def test_metadata_is_measured_in_bytes() -> None:
    rules.check_metadata("put", HttpMetadata(), {"k": "\u00e9" * 4095 + "x"})
    for http, custom in (
        (HttpMetadata(), {"k": "\u00e9" * 4096}),
        (HttpMetadata(cache_control="x" * 8193), {}),
    ):
        with pytest.raises(BadCall, match="10012"):
            rules.check_metadata("put", http, custom)


def test_what_is_written_has_a_version_of_its_own() -> None:
    one, two = (rules.written("k", 3, 7, {"md5": b"\1" * 16}, PutOptions()) for _ in range(2))
    assert one.version != two.version
    assert (one.etag, one.uploaded_ms) == ("01" * 16, 7)
