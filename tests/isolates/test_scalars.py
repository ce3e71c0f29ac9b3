"""Numbers, flags and bytes of effects: exactly these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_isolates import scalars
from pyworkerd_isolates.errors import ProtocolError

if TYPE_CHECKING:
    from pyworkerd_isolates.texts import Reader

BLOBS = (b"a", b"b")


@pytest.mark.parametrize(
    ("read", "value", "meant"),
    [
        (scalars.number, 0, 0),
        (scalars.number, scalars.MAX_NUMBER - 1, scalars.MAX_NUMBER - 1),
        (scalars.numbers, [1, 2], (1, 2)),
        (scalars.moment, None, None),
        (scalars.moment, 7, 7),
        (scalars.flag, False, False),
        (scalars.status, 200, 200),
        (scalars.status, 599, 599),
        (scalars.close_code, None, 1005),
        (scalars.close_code, 3000, 3000),
        (scalars.blob, 1, b"b"),
        (scalars.optional_blob, None, b""),
        (scalars.optional_blob, 0, b"a"),
    ],
)
def test_what_is_as_agreed_is_read(read: Reader, value: Any, meant: Any) -> None:
    assert read(value, BLOBS) == meant


@pytest.mark.parametrize(
    ("read", "value"),
    [
        *((scalars.number, value) for value in (-1, scalars.MAX_NUMBER, True, 1.0, "1", None, [])),
        *((scalars.numbers, value) for value in (None, 1, [True], [1, -1])),
        *((scalars.moment, value) for value in (False, -1, "")),
        *((scalars.flag, value) for value in (0, 1, None)),
        *((scalars.status, value) for value in (199, 600, True, 200.0, "200")),
        *((scalars.close_code, value) for value in (999, 1004, 1005, 1006, 5000, True, "1000")),
        *((scalars.blob, value) for value in (-1, 2, True, None)),
        *((scalars.optional_blob, value) for value in (-1, 2, False)),
    ],
)
def test_all_else_is_refused(read: Reader, value: Any) -> None:
    with pytest.raises(ProtocolError):
        read(value, BLOBS)
