"""The tables of legacy encodings."""

from __future__ import annotations

import hashlib

import pytest
from pyworkerd_isolates.javascript.encodings import make_tables

TABLES = make_tables()


def character(name: str, pointer: int) -> int:
    at, size = TABLES.places[name]
    assert 2 * pointer + 2 <= size
    return int.from_bytes(TABLES.data[at + 2 * pointer : at + 2 * pointer + 2], "little")


def test_they_are_the_same_on_every_python() -> None:
    """As compared with the standard's index files, once; engines of one version are equal on all machines."""
    digest = "8f4f378dae675d00c529be6ffe9e9c22cc2795440da3c592ebf51d32cdcd28f5"
    assert hashlib.sha256(TABLES.data).hexdigest() == digest


def test_they_lie_behind_each_other() -> None:
    end = 0
    for at, size in TABLES.places.values():
        assert (at, size > 0) == (end, True)
        end = at + size
    assert end == len(TABLES.data)


@pytest.mark.parametrize(
    ("name", "pointer", "code"),
    [
        ("koi8-u", 0x2E, 0x45E),
        ("windows-1255", 0x4A, 0x5BA),
        ("windows-1253", 0x01, 0x81),
        ("windows-1253", 0x52, 0),
        ("iso-8859-3", 0x25, 0),
        ("gb18030", 6555, 0x3000),
        ("gb18030", 7182, 0xFE10),
        ("gb18030", 23845, 0x9FBB),
        ("jis0208", 8836, 0),
        ("jis0208", 10716, 0x2170),
        ("jis0212", 116, 0xFF5E),
        ("big5", 1000, 0x3875),
        ("big5", 1001, 0x1D53),
        ("big5", 1133, 0),
        ("euc-kr", 0, 0xAC02),
    ],
)
def test_characters(name: str, pointer: int, code: int) -> None:
    assert character(name, pointer) == code
