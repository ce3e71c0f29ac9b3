"""Snapshots add up in any order, and survive the way to another process; nothing else gets in by it."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.observe.families import FAMILIES
from pyworkerd.observe.snapshot import (
    LABEL_CHARACTERS,
    LARGEST,
    PACKED_BYTES,
    Snapshot,
    SnapshotError,
    add,
    label,
    merge,
    pack,
    unpack,
)

NAMES = st.sampled_from(["shop", "auth", "", "(others)", 'a"b\\c', "größer"])


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    snapshot: Snapshot = {}
    for name in draw(st.lists(st.sampled_from(sorted(FAMILIES)), max_size=6)):
        family = FAMILIES[name]
        labels = tuple(draw(NAMES) for _ in family.labels)
        add(snapshot, name, labels, *(draw(st.integers(0, 10**15)) for _ in range(family.length)))
    return snapshot


@given(snapshots(), snapshots(), snapshots())
def test_adding_is_associative_and_commutative(a: Snapshot, b: Snapshot, c: Snapshot) -> None:
    assert merge([merge([a, b]), c]) == merge([a, merge([b, c])]) == merge([c, b, a]) == merge([a, b, c])
    assert merge([a]) == merge([a, {}]) == a
    assert merge([]) == {}


@given(snapshots(), snapshots())
def test_a_sum_leaves_its_parts_as_they_were(a: Snapshot, b: Snapshot) -> None:
    before = (pack(a), pack(b))
    merge([a, b])
    assert (pack(a), pack(b)) == before


@given(snapshots())
def test_there_and_back(snapshot: Snapshot) -> None:
    assert unpack(pack(snapshot)) == snapshot


def test_zeros_make_no_row() -> None:
    snapshot: Snapshot = {}
    add(snapshot, "steps", ("w",), 0)
    assert snapshot == {}
    add(snapshot, "steps", ("w",), 2)
    add(snapshot, "steps", ("w",), 3)
    assert snapshot == {"steps": {("w",): (5,)}}


ROW = ["w", 1]


@pytest.mark.parametrize(
    "plain",
    [
        None,
        [],
        {"steps": None},
        {"steps": {"w": 1}},
        {"steps": [None]},
        {"steps": [[]]},
        {"steps": [["w"]]},
        {"steps": [["w", 1, 2]]},
        {"steps": [["w", -1]]},
        {"steps": [["w", True]]},
        {"steps": [["w", 1.5]]},
        {"steps": [["w", "1"]]},
        {"steps": [["w", LARGEST + 1]]},
        {"steps": [[b"w", 1]]},
        {"steps": [[7, 1]]},
        {"steps": [["w" * (LABEL_CHARACTERS + 1), 1]]},
        {"never_heard_of": [["w", 1]]},
        {7: [["w", 1]]},
        {"request_duration_seconds": [["w", 1]]},
        {"steps": [ROW], "cpu_seconds": [ROW, None]},
    ],
)
def test_what_is_not_a_snapshot(plain: Any) -> None:
    with pytest.raises(SnapshotError):
        unpack(msgpack.packb(plain))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_a_snapshot_or_refused(data: bytes) -> None:
    try:
        snapshot = unpack(data)
    except SnapshotError:
        return
    assert unpack(pack(snapshot)) == snapshot


def test_too_many_bytes_are_not_even_read() -> None:
    with pytest.raises(SnapshotError, match="more than"):
        unpack(bytes(PACKED_BYTES + 1))
    with pytest.raises(SnapshotError):
        unpack(b"\xdd\xff\xff\xff\xff")  # an array that claims four thousand million elements
    with pytest.raises(SnapshotError):
        unpack(b"\x91" * 100_000)


@given(st.text())
def test_a_label_is_one_short_line_that_can_be_sent(text: str) -> None:
    shown = label(text)
    assert len(shown) <= LABEL_CHARACTERS
    assert "\n" not in shown
    assert unpack(pack({"steps": {(shown,): (1,)}})) == {"steps": {(shown,): (1,)}}
