"""Which files there are, and what is not looked at again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from pyworkerd.services.assets import index
from pyworkerd.services.assets.index import SETTLED_NS, Index
from pyworkerd.storage.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LATER = 1 << 62


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site whose folders changed long ago."""
    for name in (
        "a.html",
        "docs/b.html",
        "docs/deep/c.html",
        ".env",
        ".well-known/d",
        "_headers",
        "docs/_headers",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "link").symlink_to("a.html")
    return tmp_path


FILES = {"/a.html", "/docs/b.html", "/docs/deep/c.html", "/.well-known/d", "/docs/_headers"}


class Counting(Tree):
    """Notes which folders are listed."""

    listed: list[tuple[str, ...]]

    def listing(self, path: Sequence[str], limit: int | None = None) -> list[tuple[str, str]] | None:
        self.listed.append(tuple(path))
        return super().listing(path, limit)


def test_only_folders_that_have_changed_are_listed(site: Path) -> None:
    tree = Counting(site)
    tree.listed = []
    first = Index.empty().renewed(tree, LATER)
    assert first.files == FILES
    assert len(tree.listed) == 4
    tree.listed = []
    assert first.renewed(tree, LATER) is first
    assert tree.listed == []
    (site / "docs" / "deep" / "new").write_text("x")
    (site / "a.html").unlink()
    second = first.renewed(tree, LATER)
    assert second.files == (FILES - {"/a.html"}) | {"/docs/deep/new"}
    assert sorted(tree.listed) == [(), ("docs", "deep")]
    assert first.files == FILES


def test_what_has_just_changed_is_not_believed(site: Path) -> None:
    tree = Counting(site)
    tree.listed = []
    changed = site.stat().st_mtime_ns
    first = Index.empty().renewed(tree, changed + SETTLED_NS)
    tree.listed = []
    (site / "more").write_text("x")
    os.utime(site, ns=(changed, changed))  # in the same tick
    assert "/more" in first.renewed(tree, changed + SETTLED_NS).files
    assert () in tree.listed


def test_a_folder_that_comes_and_goes(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "site")
    first = Index.empty().renewed(tree, LATER)
    assert first.files == frozenset()
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "a").write_text("x")
    second = first.renewed(tree, LATER)
    assert second.files == {"/a"}
    (tmp_path / "site").rename(tmp_path / "elsewhere")
    assert second.renewed(tree, LATER).files == frozenset()


def test_there_are_so_many_files_at_most(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MAX_FILES", 2)
    assert 1 <= len(Index.empty().renewed(Tree(site), LATER).files) < len(FILES)
