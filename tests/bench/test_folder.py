"""A contestant's folder: there between start and stop, and nowhere else."""

from __future__ import annotations

import pytest
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.folder import Folder


def test_a_folder_lives_from_make_to_remove() -> None:
    folder = Folder()
    made = folder.make()
    (made / "config.toml").write_text("")
    assert folder.path == made
    folder.remove()
    folder.remove()
    assert not made.exists()


def test_one_that_is_made_again_leaves_nothing_behind() -> None:
    folder = Folder()
    first = folder.make()
    second = folder.make()
    assert (first.exists(), second.exists()) == (False, True)
    folder.remove()


def test_one_that_was_not_made_has_no_path() -> None:
    with pytest.raises(BenchError, match="not started"):
        _ = Folder().path
