"""Migrations are read in the order of their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd.bindings.d1 import migrations

if TYPE_CHECKING:
    from pathlib import Path


def test_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("0002_b.sql", "0001_a.sql", "readme.md", ".hidden.sql"):
        (tmp_path / name).write_text(name)
    assert migrations.read(tmp_path) == [("0001_a.sql", "0001_a.sql"), ("0002_b.sql", "0002_b.sql")]
    (tmp_path / "0003.sql").write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"0003.sql is not UTF-8"):
        migrations.read(tmp_path)
    monkeypatch.setattr(migrations, "MAX_BYTES", 3)
    with pytest.raises(ValueError, match="larger"):
        migrations.read(tmp_path)
    monkeypatch.setattr(migrations, "MAX_FILES", 2)
    with pytest.raises(ValueError, match="more than 2"):
        migrations.read(tmp_path)
