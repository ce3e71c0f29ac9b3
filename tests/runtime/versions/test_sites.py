"""Static assets of versions on disk: what is uploaded, what a version has of it, and what goes."""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from pyworkerd.services.assets.index import Index
from pyworkerd.storage.tree import Tree
from pyworkerd.versions import sites
from pyworkerd.versions.archive import UploadError
from pyworkerd.versions.sites import Sites, path_of

if TYPE_CHECKING:
    from pathlib import Path

ID, OTHER = "0" * 16, "1" * 16


def named(*contents: bytes) -> list[tuple[str, bytes]]:
    return [(sha256(each).hexdigest(), each) for each in contents]


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def blobs(found: Sites) -> set[bytes]:
    return {path.read_bytes() for path in found.blobs.iterdir()}


def test_each_content_is_there_once_whatever_names_it_has(tmp_path: Path) -> None:
    found = Sites(tmp_path)
    assert found.missing([digest(b"a"), digest(b"b"), digest(b"a")]) == [digest(b"a"), digest(b"b")]
    assert found.take(named(b"a", b"b")) == 2
    assert found.missing([digest(b"a"), digest(b"c")]) == [digest(b"c")]
    listed = {"/index.html": digest(b"a"), "/x/y/a.txt": digest(b"a"), "/_headers": digest(b"b")}
    assert found.keep(ID, listed) == 3
    assert found.keep(ID, listed) == 3  # the same version once more
    site = found.sites / ID
    assert {path: (site / path[1:]).read_bytes() for path in listed} == {
        "/index.html": b"a", "/x/y/a.txt": b"a", "/_headers": b"b"
    }  # fmt: skip
    assert (found.blobs / digest(b"a")).stat().st_nlink == 3
    assert stat.S_IMODE((site / "index.html").stat().st_mode) == 0o400
    assert Index.empty().renewed(Tree(site), 0).files == {"/index.html", "/x/y/a.txt"}


def test_a_time_tells_contents_apart_that_came_in_one_tick(tmp_path: Path) -> None:
    """An ETag is made of size and time."""
    first, second = Sites(tmp_path / "1"), Sites(tmp_path / "2")
    for each in (first, second):
        each.take(named(b"a", b"b"))
        each.keep(ID, {"/a": digest(b"a"), "/b": digest(b"b")})
    times = [(each.sites / ID / name).stat().st_mtime_ns for each in (first, second) for name in "ab"]
    assert times[0] == times[2] != times[1] == times[3]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("a", "no plain path"),
        ("", "no plain path"),
        ("/", "no plain path"),
        ("//a", "no plain path"),
        ("/a/", "no plain path"),
        ("/../a", "no plain path"),
        ("/a/..", "no plain path"),
        ("/./a", "no plain path"),
        ("/a\0", "no plain path"),
        ("/.env", "is hidden"),
        ("/a/.git/config", "is hidden"),
        ("/\ud800", "not valid UTF-8"),
        ("/" + "x" * 256, "too long"),
        ("/x" * 600, "too long"),
    ],
)
def test_no_path_leads_elsewhere(tmp_path: Path, path: str, told: str) -> None:
    found = Sites(tmp_path)
    found.take(named(b"a"))
    with pytest.raises(UploadError, match=told):
        found.keep(ID, {path: digest(b"a")})
    assert not found.sites.exists()


def test_paths_that_are_served() -> None:
    assert path_of("/.well-known/x") == (".well-known", "x")
    assert path_of("/a b/\\/é") == ("a b", "\\", "é")


def test_what_cannot_be_a_site_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Sites(tmp_path)
    found.take(named(b"aa", b"b"))
    with pytest.raises(UploadError, match=r"content of the asset '/x' is not there: upload it"):
        found.keep(ID, {"/a": digest(b"aa"), "/x": digest(b"x")})
    for paths in (("/a", "/a/b"), ("/a/b", "/a")):
        with pytest.raises(OSError, match=r"exists|Not a directory"):  # told by the store
            found.keep(ID, dict.fromkeys(paths, digest(b"aa")))
    monkeypatch.setattr(sites, "MAX_SITE", 3)
    with pytest.raises(UploadError, match="the assets have 4 bytes: 3 at most"):
        found.keep(ID, {"/a": digest(b"aa"), "/b": digest(b"aa")})
    monkeypatch.setattr(sites, "MAX_ASSETS", 1)
    with pytest.raises(UploadError, match="the version has 2 assets: 1 at most"):
        found.keep(ID, {"/a": digest(b"aa"), "/b": digest(b"b")})
    assert [*found.sites.iterdir()] == []


def test_an_upload_is_all_there_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Sites(tmp_path)
    with pytest.raises(UploadError, match="is not the SHA-256 of its content"):
        found.take([*named(b"a"), (digest(b"b"), b"c")])
    monkeypatch.setattr(sites, "MAX_ASSET", 2)
    with pytest.raises(UploadError, match="has 3 bytes: an asset has 2 at most"):
        found.take(named(b"a", b"aaa"))
    assert blobs(found) == set()


def test_what_waits_for_a_version_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sites, "MAX_SITE", 4)
    found = Sites(tmp_path)
    found.take(named(b"aa", b"bb"))
    with pytest.raises(UploadError, match="assets of 4 bytes at most may wait for a version"):
        found.take(named(b"c"))
    monkeypatch.setattr(sites, "MAX_WAITING", 3)
    with pytest.raises(UploadError, match="3 assets of 4 bytes at most may wait for a version"):
        found.take(named(b"", b"c"))
    found.keep(ID, {"/a": digest(b"aa"), "/b": digest(b"bb")})
    found.take(named(b"c"))  # what a version has does not count
    assert blobs(found) == {b"aa", b"bb", b"c"}


def test_what_no_version_names_goes_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Sites(tmp_path)
    found.take(named(b"a", b"b", b"c"))
    found.keep(ID, {"/a": digest(b"a"), "/c": digest(b"c")})
    found.keep(OTHER, {"/b": digest(b"b"), "/c": digest(b"c")})
    found.forget({OTHER})
    assert {path.name for path in found.sites.iterdir()} == {OTHER}
    assert blobs(found) == {b"a", b"b", b"c"}  # the next version may name it still
    monkeypatch.setattr(sites, "WAITS_S", -1.0)
    found.forget({OTHER})
    assert blobs(found) == {b"b", b"c"}
    assert (found.sites / OTHER / "b").read_bytes() == b"b"


def test_a_file_system_without_links_has_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refused)
    found = Sites(tmp_path)
    found.take(named(b"a"))
    found.keep(ID, {"/a": digest(b"a")})
    blob, file = found.blobs / digest(b"a"), found.sites / ID / "a"
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (b"a", blob.stat().st_mtime_ns)
    assert file.stat().st_ino != blob.stat().st_ino
