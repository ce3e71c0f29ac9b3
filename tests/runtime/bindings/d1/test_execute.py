"""Scripts fall into their statements."""

from __future__ import annotations

import pytest
from pyworkerd.bindings.d1.execute import split


@pytest.mark.parametrize(
    ("script", "count"),
    [
        ("", 0),
        ("-- nothing\n", 0),
        ("SELECT 1", 1),
        ("SELECT 1; SELECT ';' ; -- ;\nSELECT 3;\n", 3),
        ("CREATE TRIGGER t AFTER INSERT ON x BEGIN SELECT 1; SELECT 2; END; SELECT 3", 2),
        ("SELECT '", 1),
    ],
)
def test_split(script: str, count: int) -> None:
    assert len(list(split(script))) == count
