"""The folder of recordings: private files, the newest ones, and nobody else's."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from pyworkerd.replay.ring import Ring

if TYPE_CHECKING:
    from pathlib import Path


def names(folder: Path) -> list[str]:
    return sorted(path.name.split("-")[0].lstrip("0") for path in folder.iterdir())


def test_files_are_private_and_whole(tmp_path: Path) -> None:
    path = Ring(tmp_path, 10).put("../a b/ü", "00f067aa0ba902b7", 5, b"data")
    assert path.parent == tmp_path
    assert path.read_bytes() == b"data"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.name.startswith("0000000000005-___a_b__-00f067aa0ba902b7")


def test_the_oldest_go_first(tmp_path: Path) -> None:
    ring = Ring(tmp_path, 3)
    for began in (4, 1, 3, 5, 2):
        ring.put("w", "", began, b"x")
    assert names(tmp_path) == ["3", "4", "5"]


def test_all_together_have_a_size(tmp_path: Path) -> None:
    ring = Ring(tmp_path, 100, most=25)
    for began in range(1, 6):
        ring.put("w", "", began, b"0123456789")
    assert names(tmp_path) == ["4", "5"]


def test_other_files_stay_and_what_was_left_half_written_goes(tmp_path: Path) -> None:
    ring = Ring(tmp_path, 1)
    (tmp_path / "notes.txt").write_text("mine")
    half = ring.put("w", "", 1, b"x")
    for old, age in (
        (half.with_name(half.name + ".new"), 7200),
        (half.with_name(f"{half.stem[:-1]}a.recording.new"), 0),
    ):
        old.write_bytes(b"half")
        then = old.stat().st_mtime - age
        os.utime(old, (then, then))
    ring.put("w", "", 2, b"x")
    left = sorted(path.name for path in tmp_path.iterdir())
    assert [name.rpartition(".")[2] for name in left] == ["new", "recording", "txt"]
    assert "a.recording.new" in left[0]


def test_a_link_is_not_followed_and_nothing_is_left(tmp_path: Path) -> None:
    ring = Ring(tmp_path / "absent", 1)
    with pytest.raises(OSError, match="absent"):
        ring.put("w", "", 1, b"x")
