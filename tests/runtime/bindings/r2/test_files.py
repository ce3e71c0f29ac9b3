"""Files: names, locks, pieces."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.bindings.r2 import files
from pyworkerd.bindings.r2.catalogue import DESIGN, File
from pyworkerd.bindings.r2.files import Draft, Folder, Gone, Reader, Slice, slices
from pyworkerd.errors import StorageCorrupt, StorageError
from pyworkerd.storage import layout
from pyworkerd.storage.connection import open_writer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(layout.own(tmp_path, "r2", "shop", "files"))


def written(folder: Folder, data: bytes) -> File:
    draft = Draft(folder, ["md5"])
    draft.write([data])
    draft.finish()
    draft.release()
    assert draft.name is not None
    return File(draft.name, draft.size)


@given(st.lists(st.integers(0, 5), max_size=5), st.integers(0, 30), st.integers(0, 30))
def test_slices_are_the_bytes_that_were_asked_for(sizes: list[int], offset: int, length: int) -> None:
    whole = bytes(range(sum(sizes)))
    files = [File(str(index), size) for index, size in enumerate(sizes)]
    starts = {str(index): sum(sizes[:index]) for index in range(len(sizes))}
    found = b"".join(
        whole[starts[part.file.name] + part.offset :][: part.length] for part in slices(files, offset, length)
    )
    assert found == whole[offset : offset + length]


def test_a_draft_is_written_in_pieces_and_summed(folder: Folder) -> None:
    draft = Draft(folder, ["md5", "sha256"])
    data = [b"x" * 100_000, b"", b"y"] + [b"z"] * 200
    draft.write(data)
    draft.write([memoryview(b"end")])
    whole = b"".join(data) + b"end"
    assert draft.finish() == {"md5": hashlib.md5(whole).digest(), "sha256": hashlib.sha256(whole).digest()}
    draft.release()
    assert draft.name is not None
    assert folder.of(draft.name).read_bytes() == whole
    with pytest.raises(StorageError, match="given up"):
        draft.write([b"more"])


def test_what_is_empty_has_no_file(folder: Folder) -> None:
    draft = Draft(folder, ["md5"])
    assert draft.finish() == {"md5": hashlib.md5(b"").digest()}
    draft.discard()
    assert (draft.name, list(folder.portions())) == (None, [])


def test_files_that_are_written_are_locked_and_others_are_not(folder: Folder) -> None:
    draft = Draft(folder, [])
    draft.write([b"x"])
    kept, litter = written(folder, b"kept"), written(folder, b"litter")
    names = [name for portion in folder.portions() for name in portion]
    assert sorted(names) == sorted([str(draft.name), kept.name, litter.name])
    held = folder.lock([*names, "0" * 32])
    assert sorted(held.names) == sorted([kept.name, litter.name])
    assert held.end([kept.name]) == 1
    assert not folder.of(litter.name).exists()
    assert folder.of(kept.name).exists()
    draft.discard()
    assert [name for portion in folder.portions() for name in portion] == [kept.name]


def test_a_file_that_was_taken_for_litter_before_it_was_locked_is_made_again(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, taken = files.fcntl.flock, []

    def flock(descriptor: int, how: int) -> None:
        if not taken:
            (name,) = [name for portion in folder.portions() for name in portion]
            folder.delete([name])
            taken.append(name)
        real(descriptor, how)

    monkeypatch.setattr(files.fcntl, "flock", flock)
    name, descriptor = folder.create()
    assert name not in taken
    assert os.fstat(descriptor).st_nlink == 1
    os.close(descriptor)


def test_the_first_of_several_files_may_go_before_it_is_locked_also_where_a_backup_has_it(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [written(folder, bytes([number]) * 10) for number in range(2)]
    os.link(folder.of(parts[0].name), tmp_path / "backup")
    real = files.fcntl.flock

    def flock(descriptor: int, how: int) -> None:
        folder.delete([parts[0].name])  # and the others in a moment
        real(descriptor, how)

    monkeypatch.setattr(files.fcntl, "flock", flock)
    with pytest.raises(Gone):
        Reader(folder, slices(parts, 12, 5), parts[0])


def test_readers_read_across_files_and_hold_the_first(folder: Folder) -> None:
    parts = [written(folder, bytes([number]) * 10) for number in range(3)]
    names = [part.name for part in parts]
    reader = Reader(folder, slices(parts, 5, 20), parts[0])
    assert not folder.delete_unread(names)
    assert [reader.read(8) for _ in range(5)] == [b"\0" * 5, b"\1" * 8, b"\1" * 2, b"\2" * 5, b""]
    assert not folder.delete_unread(names)
    reader.close()
    assert reader.read(8) == b""
    assert folder.delete_unread(names)
    assert folder.delete_unread(names)
    with pytest.raises(Gone):
        Reader(folder, slices(parts, 0, 5), parts[0])


def test_files_that_are_not_as_they_were(folder: Folder) -> None:
    file = written(folder, b"0123456789")
    assert folder.read(Slice(file, 2, 3)) == b"234"
    with pytest.raises(StorageCorrupt):
        folder.open(File(file.name, 11))
    folder.delete([file.name, file.name])
    with pytest.raises(Gone):
        folder.read(Slice(file, 0, 1))


def test_links_are_not_followed(folder: Folder, tmp_path: Path) -> None:
    file = written(folder, b"secret")
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret")
    folder.of(file.name).unlink()
    folder.of(file.name).symlink_to(outside)
    with pytest.raises(OSError):
        folder.open(file)
    assert folder.lock([file.name]).names == []


def test_the_first_draft_of_a_bucket_that_is_shared_from_now_on_joins_the_files_of_before(
    tmp_path: Path,
) -> None:
    before = layout.own(tmp_path, "r2", "shop", "files")
    layout.make_private(before)
    open_writer(before, DESIGN).close()
    old = written(Folder(before), b"old")
    folder = Folder(layout.shared(tmp_path, "r2", "files", None, ("shop",)))
    new = written(folder, b"new")
    assert [folder.read(Slice(each, 0, 3)) for each in (old, new)] == [b"old", b"new"]
