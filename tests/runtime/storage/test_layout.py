"""Names never lead out of their folder, and different names never meet."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.errors import StorageError
from pyworkerd.storage import layout

NAMES = st.text(max_size=300) | st.sampled_from(
    ["", ".", "..", "../../x", "a/b", "a\0b", "A", "a", "\ud800", "%61"]
)
ROOT = Path("/state")


@given(NAMES, NAMES)
def test_names_stay_in_their_folder_and_apart(worker: str, name: str) -> None:
    for found in (layout.own(ROOT, "kv", worker, name), layout.shared(ROOT, "kv", name)):
        parts = found.path.relative_to(ROOT).parts
        assert len(parts) == 3
        assert all(part not in (".", "..") and not part.startswith(".") and len(part) < 143 for part in parts)
        assert all(c.isascii() and c.isprintable() and c not in '/\\:*?"<>|' for part in parts for c in part)
        assert os.path.normpath(found.path) == str(found.path)
    assert (layout.encoded(worker) == layout.encoded(name)) == (worker == name)
    assert layout.encoded(name) == layout.encoded(name).lower()


def test_whose_a_file_is_can_be_read_from_its_path() -> None:
    assert layout.own(ROOT, "kv", "shop", "cache").path == ROOT / "kv/own.shop/cache.sqlite3"
    assert layout.shared(ROOT, "d1", "shop", 5).path == ROOT / "d1/shared/shop.sqlite3"
    assert layout.program(ROOT, "kv", "cache").path == ROOT / "kv/program/cache.sqlite3"
    assert layout.own(ROOT, "kv", "shared", "x").path != layout.shared(ROOT, "kv", "x").path


def test_whose_threads_it_takes() -> None:
    own = layout.own(ROOT, "kv", "shop", "cache")
    assert (
        own.owner == layout.own(ROOT, "d1", "shop", "x").owner != layout.own(ROOT, "d1", "other", "x").owner
    )
    assert layout.shared(ROOT, "d1", "x", workers=("a", "b")).owner == ("a", "b")
    assert layout.program(ROOT, "d1", "x").owner != layout.program(ROOT, "d1", "y").owner


def test_folders_are_private(tmp_path: Path) -> None:
    location = layout.own(tmp_path / "deep" / "state", "kv", "shop", "cache")
    for _ in range(2):
        layout.make_private(location)
    folder = location.path.parent
    while folder != location.root.parent:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        folder = folder.parent


def test_what_somebody_else_prepared_is_not_used(tmp_path: Path) -> None:
    location = layout.own(tmp_path / "state", "kv", "shop", "cache")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "kv").symlink_to(elsewhere)
    with pytest.raises(StorageError, match="no folder"):
        layout.make_private(location)
    (tmp_path / "state" / "kv").unlink()
    (tmp_path / "state" / "kv").mkdir()
    (tmp_path / "state" / "kv").chmod(0o777)
    with pytest.raises(StorageError, match="everybody"):
        layout.make_private(location)
    assert list(elsewhere.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as caught:
        layout.make_private(layout.own(tmp_path / "file" / "state", "kv", "shop", "cache"))
    assert str(tmp_path) not in str(caught.value)
