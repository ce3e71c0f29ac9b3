"""What was counted, as plain data: it can be added up, and sent from one process to another. Pure.

    total = merge([runtime.metrics(), unpack(bytes_of_another_process)])

Adding is associative and commutative, so the order in which processes answer changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgpack

from .families import FAMILIES
from .text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

Labels = tuple[str, ...]
Value = tuple[int, ...]
Snapshot = dict[str, dict[Labels, Value]]
"""By family, then by the values of its labels; what a value holds is said by `Family`."""

PACKED_BYTES: Final = 16 * 1024 * 1024
"""Of one packed snapshot. A thousand busy workers take about half a megabyte."""
ROWS: Final = 1_000_000
"""Of one family."""
LABEL_CHARACTERS: Final = 200
"""Of one label's value; names of services are shorter."""
LARGEST: Final = 2**63 - 1


class SnapshotError(ValueError):
    """These bytes are not a packed snapshot of this version."""


def add(snapshot: Snapshot, family: str, labels: Labels, *value: int) -> None:
    """Add to a row of a snapshot; nothing but zeros makes none."""
    if not any(value):
        return
    rows = snapshot.setdefault(family, {})
    known = rows.get(labels)
    rows[labels] = value if known is None else tuple(map(sum, zip(known, value, strict=True)))


def label(text: str) -> str:
    """A name as it may stand in a label: one line, nothing hidden, not too long."""
    return one_line(text)[:LABEL_CHARACTERS]


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """The sum."""
    total: Snapshot = {}
    for snapshot in snapshots:
        for family, rows in snapshot.items():
            for labels, value in rows.items():
                add(total, family, labels, *value)
    return total


def pack(snapshot: Snapshot) -> bytes:
    """For another process."""
    plain = {
        family: [[*labels, *value] for labels, value in rows.items()] for family, rows in snapshot.items()
    }
    return bytes(msgpack.packb(plain))


def unpack(data: bytes) -> Snapshot:
    """What `pack` made. Raises `SnapshotError` for anything else; it never repeats what the bytes say."""
    if len(data) > PACKED_BYTES:
        raise SnapshotError(f"more than {PACKED_BYTES} bytes")
    try:
        plain = msgpack.unpackb(
            data, max_array_len=ROWS, max_map_len=len(FAMILIES), max_ext_len=0, max_bin_len=0
        )
    except Exception as error:  # msgpack raises its own kinds, ValueError and more
        raise SnapshotError("not MessagePack") from error
    if not isinstance(plain, dict):
        raise SnapshotError("not a table of families")
    snapshot: Snapshot = {}
    for family, rows in plain.items():
        if family not in FAMILIES or not isinstance(rows, list) or len(rows) > ROWS:
            raise SnapshotError("an unknown family, or one with too many rows")
        for row in rows:
            _read_row(snapshot, family, row)
    return snapshot


def _read_row(snapshot: Snapshot, family: str, row: Any) -> None:
    labels = len(FAMILIES[family].labels)
    if not isinstance(row, list) or len(row) != labels + FAMILIES[family].length:
        raise SnapshotError("a row has another length")
    if not all(type(text) is str and len(text) <= LABEL_CHARACTERS for text in row[:labels]):
        raise SnapshotError("a label is not a short text")
    if not all(type(number) is int and 0 <= number <= LARGEST for number in row[labels:]):
        raise SnapshotError("a number is not one of the range")
    add(snapshot, family, tuple(row[:labels]), *row[labels:])
