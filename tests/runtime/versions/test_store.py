"""Versions, records and secrets on disk."""

from __future__ import annotations

import errno
import os
import stat
import time
from shutil import rmtree
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import ConfigurationError, StorageError, StorageFull
from pyworkerd.versions.archive import UploadError, pack
from pyworkerd.versions.model import Record, Secrets, Version
from pyworkerd.versions.store import Store
from pyworkerd_isolates.bundle import Bundle

from tests.runtime.versions.kept import write

if TYPE_CHECKING:
    from pathlib import Path

VERSION = Version("0" * 16, 1.5, "ci", "first", "w.py", {"A": [1, None], "B": "b"}, 1, 3)


def upload(store: Store, files: dict[str, str | bytes]) -> Path:
    path, descriptor = store.incoming()
    os.write(descriptor, pack(Bundle.of(files, "w.py"), "w.py", {}))
    os.close(descriptor)
    return path


def ids(store: Store) -> set[str]:
    return {path.name for path in store.files("shop").iterdir()}


def test_what_is_written_is_read_by_the_next_server(tmp_path: Path) -> None:
    record, secrets = Record("shop", (VERSION,)), Secrets("shop", {"TOKEN": "hunter2"})
    assert Store(tmp_path).record("shop") == Record("shop")
    assert Store(tmp_path).services() == frozenset()
    for kept in (Record("shop"), record, secrets):
        write(Store(tmp_path), kept)
    store = Store(tmp_path)
    assert (store.record("shop"), store.secrets("shop")) == (record, secrets)
    assert store.services() == {"shop"}
    assert stat.S_IMODE((store.folder("shop") / "secrets.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700
    assert b"hunter2" not in (store.folder("shop") / "record.json").read_bytes()


def test_nothing_is_written_that_would_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets of control characters are six times as long on disk: the server would not start again."""
    monkeypatch.setattr("pyworkerd.versions.store.MAX_FILE", 1000)
    store, kept = Store(tmp_path), Secrets("shop", {"TOKEN": "hunter2"})
    write(store, kept)
    with pytest.raises(
        StorageError, match=r"secrets\.json of 'shop' would have \d+ bytes, and 1000 are read"
    ) as raised:
        write(store, Secrets("shop", {"TOKEN": "\x01" * 200}))
    assert "x01" not in str(raised.value)
    assert store.secrets("shop") == kept


@pytest.mark.parametrize("name", ["..", "a/b", "A", "\0", "x" * 300, ".incoming"])
def test_no_name_of_a_service_leads_elsewhere(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path)
    write(store, Record(name))
    assert store.record(name) == Record(name)
    assert [path.parent.parent for path in tmp_path.rglob("record.json")] == [store.root]
    assert not (store.root / ".incoming").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"format": 2, "service": "shop", "new": true}', "written by a later version of pyworkerd"),
        ("", "is damaged"),
        ('{"format": 1}', "is damaged"),
        ('{"format": 1, "service": "shop", "versions": [{"id": "../../x"}]}', "is damaged"),
        ("[" * 100_000, "is damaged"),
        (
            '{"format": 1, "service": "shop", "deployments": [{"at": 1, "by": "", "message": "", "shares": []}]}',
            r"is damaged \(one version answers, or two do",
        ),
        (
            (
                '{"format": 1, "service": "shop", "deployments": [{"at": 1, "by": "", "message": "", "shares": '
                '[{"version": "0000000000000000", "percent": 100}]}]}'
            ),
            r"is damaged \(there is no version 0000000000000000\)",
        ),
        ('{"format": 1, "service": "other"}', "is that of another service"),
    ],
)
def test_what_cannot_be_read_is_never_taken_for_nothing(tmp_path: Path, text: str, told: str) -> None:
    store = Store(tmp_path)
    write(store, Record("shop"))
    (store.folder("shop") / "record.json").write_text(text)
    with pytest.raises(ConfigurationError, match=told):
        store.record("shop")


def test_an_upload_becomes_files_that_nobody_changes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = upload(store, {"w.py": "1", "a/b/c.txt": b"2"})
    id_, main, variables, files, size, site = store.keep_upload("shop", path, ())
    assert (main, variables, files, size, site) == ("w.py", {}, 2, 2, None)
    base = store.files("shop") / id_
    assert (base / "a" / "b" / "c.txt").read_bytes() == b"2"
    assert stat.S_IMODE((base / "w.py").stat().st_mode) == 0o400
    assert store.keep_upload("shop", path, (id_,))[0] == id_


def test_files_that_no_record_names_go_with_the_next_upload(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = store.keep_upload("shop", upload(store, {"w.py": "1"}), ())[0]
    second = store.keep_upload("shop", upload(store, {"w.py": "2"}), (first,))[0]
    (store.files("shop") / ".killed.draft").mkdir()
    assert ids(store) == {first, second, ".killed.draft"}
    third = store.keep_upload("shop", upload(store, {"w.py": "3"}), (second,))[0]
    assert ids(store) == {second, third}


def test_an_upload_that_nobody_waits_for_removes_no_version(tmp_path: Path) -> None:
    """The threads were busy: whoever asked has tried again since, and this one knows nothing of what answers now."""
    store = Store(tmp_path)
    first = store.keep_upload("shop", upload(store, {"w.py": "1"}), ())[0]
    with pytest.raises(StorageError, match="took too long"):
        store.keep_upload("shop", upload(store, {"w.py": "2"}), (), time.monotonic())
    assert ids(store) == {first}


@pytest.mark.parametrize("files", [{"a": "", "a/b": ""}, {"x" * 300: ""}])
def test_names_that_no_file_can_have(tmp_path: Path, files: dict[str, str | bytes]) -> None:
    store = Store(tmp_path)
    with pytest.raises(UploadError, match="cannot be that of a file"):
        store.keep_upload("shop", upload(store, {"w.py": "", **files}), ())
    assert ids(store) == set()


def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    write(store, Record("shop", (VERSION,)))
    path = upload(store, {"w.py": "1"})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull, match=r"the disk is full: .* nothing has changed"):
        write(store, Record("shop"))
    with pytest.raises(StorageFull):
        store.keep_upload("shop", path, ())
    monkeypatch.undo()
    assert store.record("shop") == Record("shop", (VERSION,))
    assert ids(store) == set()
    write(store, Record("shop"))
    assert store.record("shop") == Record("shop")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "versions").write_text("")
    with pytest.raises(StorageError, match="nothing has changed"):
        write(Store(tmp_path), Record("shop"))
    with pytest.raises(StorageError):
        Store(tmp_path).incoming()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Store(tmp_path).services()


def test_uploads_that_were_not_finished_go_when_they_are_old(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old, young = upload(store, {"w.py": "1"}), upload(store, {"w.py": "1"})
    os.utime(old, (0, 0))
    upload(store, {"w.py": "1"})
    assert (old.exists(), young.exists()) == (False, True)


def test_what_is_removed_becomes_no_version_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that was given up because its disk was slow may come to its last step while its draft is removed."""
    store = Store(tmp_path)
    base = store.files("shop")
    draft = base / f".{'f' * 16}.draft"
    draft.mkdir(parents=True)
    begun = []

    def remove(path: Path, *, ignore_errors: bool) -> None:
        begun.append(path.parent)
        with pytest.raises(FileNotFoundError):
            draft.rename(base / ("f" * 16))
        rmtree(path, ignore_errors=ignore_errors)

    monkeypatch.setattr("pyworkerd.versions.disk.shutil.rmtree", remove)
    store.keep_upload("shop", upload(store, {"w.py": "W"}), ())
    assert begun == [base]
    assert len(ids(store)) == 1
