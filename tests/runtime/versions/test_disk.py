"""Folders that are whole or not there, and how many of them there may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd.versions import disk
from pyworkerd.versions.archive import UploadError
from pyworkerd.versions.disk import folders_of, whole, write

if TYPE_CHECKING:
    from pathlib import Path


def test_folders_come_after_those_that_they_lie_in() -> None:
    assert folders_of([("a", "b", "x"), ("y",), ("a", "c", "x"), ("d", "z")]) == [
        ("a",), ("a", "b"), ("a", "c"), ("d",)
    ]  # fmt: skip


def test_few_paths_do_not_become_many_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of eight megabytes can name four million."""
    deepest = (*("x",) * disk.MAX_DEPTH, "file")
    assert len(folders_of([deepest])) == disk.MAX_DEPTH
    with pytest.raises(UploadError, match="lies in 65 folders: 64 at most"):
        folders_of([("x", *deepest)])
    monkeypatch.setattr(disk, "MAX_FOLDERS", 3)
    assert len(folders_of([("a", "b", "x"), ("a", "c", "x")])) == 3
    with pytest.raises(UploadError, match="lie in more than 3 folders"):
        folders_of([("a", "b", "x"), ("a", "c", "x"), ("d", "x")])


def test_what_two_make_at_once_is_that_of_one_of_them(tmp_path: Path) -> None:
    """A thread that was given up is at work on the same version still: the half of it must not become that version."""
    with whole(tmp_path, "version", [("a",)]) as late:
        write(late / "a" / "one", b"late")
        with whole(tmp_path, "version", [("a",)]) as first:
            for name in ("one", "two"):
                write(first / "a" / name, b"first")
    assert {path.name: path.read_bytes() for path in (tmp_path / "version" / "a").iterdir()} == {
        "one": b"first", "two": b"first"
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["version"]


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError), whole(tmp_path, "version", [("a",)]) as draft:
        write(draft / "a", b"")
    assert [*tmp_path.iterdir()] == []
