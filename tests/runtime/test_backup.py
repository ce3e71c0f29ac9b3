"""Backups of what is in use, and their restore."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from contextlib import closing
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.backup import MANIFEST, backup, restore
from pyworkerd.errors import StorageError
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd.storage import layout
from pyworkerd.storage.connection import open_writer
from pyworkerd.storage.takeover import take_over
from pyworkerd.versions.model import Record, Secrets, Version
from pyworkerd.versions.store import Store
from pyworkerd_isolates.bundle import Bundle

from tests.runtime.storage.files import DESIGN, put
from tests.runtime.versions.kept import write

if TYPE_CHECKING:
    from pathlib import Path


def runtime(state: Path) -> Runtime:
    return Runtime(options=RuntimeOptions(state_dir=state))


async def fill(state: Path) -> None:
    opened = runtime(state)
    await opened.kv("cache").put("greeting", "hello")
    await opened.kv("cache").put("large", b"x" * 300_000)
    await opened.queue("jobs").send({"order": 7})
    await opened.r2("files").put("a/b", b"y" * 400_000)
    await opened.r2("files").put("small", b"z")
    await opened.aclose()


def fill_one(location: layout.Location) -> sqlite3.Connection:
    layout.make_private(location)
    connection = open_writer(location, DESIGN)
    put(None)(connection)
    return connection


async def check(state: Path) -> None:
    opened = runtime(state)
    assert await opened.kv("cache").text("greeting") == "hello"
    assert await opened.kv("cache").get("large") == b"x" * 300_000
    assert [m.body for m in await opened.queue("jobs").receive()] == [{"order": 7}]
    for key, value in (("a/b", b"y" * 400_000), ("small", b"z")):
        found = await opened.r2("files").get(key)
        assert found is not None
        assert await found.body.read() == value
    await opened.aclose()


def test_everything_comes_back_and_the_backup_is_what_it_was(tmp_path: Path) -> None:
    state, saved = tmp_path / "state", tmp_path / "saved"
    asyncio.run(fill(state))
    summary = backup(state, saved)
    assert (summary.stores, summary.files) == (3, 2)
    assert summary.size > 700_000
    for back in ("one", "two"):
        assert restore(saved, tmp_path / back) == summary
        asyncio.run(check(tmp_path / back))
    asyncio.run(check(state))


def test_it_is_for_this_user_alone(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "state"))
    before = os.umask(0)
    try:
        backup(tmp_path / "state", tmp_path / "saved")
        restore(tmp_path / "saved", tmp_path / "back")
    finally:
        os.umask(before)
    databases = [*tmp_path.glob("saved/**/*.sqlite3"), *tmp_path.glob("back/**/*.sqlite3")]
    assert len(databases) == 6
    assert {path.stat().st_mode & 0o777 for path in databases} == {0o600}
    folders = [path for root in ("saved", "back") for path in (tmp_path / root).glob("**/") if path.is_dir()]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}


def test_a_store_is_copied_as_it_was_at_one_moment_while_others_write(tmp_path: Path) -> None:
    state = tmp_path / "state"

    async def main() -> None:
        opened = runtime(state)
        cache, files, done = opened.kv("cache"), opened.r2("files"), asyncio.Event()
        await cache.put("a", "0")
        await files.put("a", b"0" * 200_000)

        async def write() -> None:
            number = 0
            while not done.is_set():
                number += 1
                # Whoever sees the second has to see the first.
                await cache.put("first", str(number))
                await cache.put("second", str(number))
                await files.put(f"k{number % 5}", str(number).encode() * 40_000)
                if number % 3 == 0:
                    await files.delete(f"k{(number + 2) % 5}")

        writing = asyncio.create_task(write())
        for turn in range(8):
            await asyncio.to_thread(backup, state, tmp_path / f"saved{turn}")
            await asyncio.sleep(0.02)
        done.set()
        await writing
        await opened.aclose()
        for turn in range(8):
            restore(tmp_path / f"saved{turn}", tmp_path / f"back{turn}")
            again = runtime(tmp_path / f"back{turn}")
            first, second = [int(await again.kv("cache").text(k) or 0) for k in ("first", "second")]
            assert first - second in (0, 1)
            page = await again.r2("files").list()
            for entry in page.objects:
                found = await again.r2("files").get(entry.key)
                assert found is not None
                assert len(await found.body.read()) == entry.size
            await again.aclose()

    asyncio.run(main())


def test_a_backup_is_known_for_one(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("")
    asyncio.run(fill(tmp_path / ".state"))
    backup(tmp_path / ".state", tmp_path / "saved")
    assert set(Bundle.read(tmp_path / "main.py").files) == {"main.py"}


def test_where_files_cannot_be_linked_they_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    asyncio.run(fill(tmp_path / "state"))
    monkeypatch.setattr(os, "link", no_links)
    backup(tmp_path / "state", tmp_path / "saved")
    restore(tmp_path / "saved", tmp_path / "back")
    asyncio.run(check(tmp_path / "back"))


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "state"))
    backup(tmp_path / "state", tmp_path / "saved")
    with pytest.raises(StorageError, match="is not empty: name another folder"):
        backup(tmp_path / "state", tmp_path / "saved")
    with pytest.raises(StorageError, match="stop the server and move it away"):
        restore(tmp_path / "saved", tmp_path / "state")
    asyncio.run(check(tmp_path / "state"))
    with pytest.raises(StorageError, match="nothing has been stored yet"):
        backup(tmp_path / "nowhere", tmp_path / "other")


def damage_database(saved: Path) -> None:
    (path,) = saved.glob("kv/**/*.sqlite3")
    data = bytearray(path.read_bytes())
    data[4096:8192] = b"\xff" * 4096
    path.write_bytes(data)


def damage_object(saved: Path) -> None:
    path = max(saved.glob("r2/**/*.files/*/*"), key=lambda each: each.stat().st_size)
    path.rename(path.with_suffix(".away"))
    path.write_bytes(b"short")


def lose_object(saved: Path) -> None:
    next(saved.glob("r2/**/*.files/*/*")).unlink()


def manifest(**changes: Any):
    def change(saved: Path) -> None:
        path = saved / MANIFEST
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


FORGED = {"../../etc/x.sqlite3": {"bytes": 1, "files": {}}}


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (damage_database, "is damaged"),
        (damage_object, "is not as large as it was"),
        (lose_object, "No such file"),
        (lambda saved: (saved / MANIFEST).unlink(), "no backup that was finished"),
        (lambda saved: (saved / MANIFEST).write_text("[" * 100_000), "no backup that was finished"),
        (manifest(format=2), "of another version"),
        (manifest(stores=FORGED), "is damaged"),
        (manifest(stores={"/etc/x.sqlite3": {"bytes": 1, "files": {}}}), "is damaged"),
        (manifest(stores={"kv/x.sqlite3": {"bytes": 1, "files": {"../x": 1}}}), "is damaged"),
        (manifest(stores=[1]), "is damaged"),
    ],
)
def test_a_backup_that_is_not_whole_restores_nothing(tmp_path: Path, harm: Any, message: str) -> None:
    asyncio.run(fill(tmp_path / "state"))
    backup(tmp_path / "state", tmp_path / "saved")
    harm(tmp_path / "saved")
    with pytest.raises(StorageError, match=message):
        restore(tmp_path / "saved", tmp_path / "back")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["saved", "state"]


def test_a_damaged_store_is_named_and_the_backup_does_not_count(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "state"))
    (path,) = (tmp_path / "state").glob("kv/**/*.sqlite3")
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError, match=r"kv/.*sqlite3 cannot be copied"):
        backup(tmp_path / "state", tmp_path / "saved")
    assert not (tmp_path / "saved" / MANIFEST).exists()


def test_a_bucket_without_its_files_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    """As a process leaves it that is killed while it moves it."""
    state, saved = tmp_path / "state", tmp_path / "saved"
    asyncio.run(fill(state))
    (files,) = state.glob("r2/*/files.files")
    files.rename(tmp_path / "elsewhere")
    with pytest.raises(
        StorageError, match=r"files\.sqlite3 changes too fast to be copied, or has lost files"
    ):
        backup(state, saved)
    assert not (saved / MANIFEST).exists()


def test_a_copy_needs_no_log_beside_it(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "state"))
    backup(tmp_path / "state", tmp_path / "saved")
    assert not [*tmp_path.glob("saved/**/*-wal"), *tmp_path.glob("saved/**/*.draft")]
    for path in tmp_path.glob("saved/**/*.sqlite3"):
        connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()


def test_versions_and_their_secrets_come_back_whatever_their_files_are_called(tmp_path: Path) -> None:
    state, saved = tmp_path / "state", tmp_path / "saved"
    asyncio.run(fill(state))
    store = Store(state)
    files = store.files("shop") / ("0" * 16)
    version = Version("0" * 16, 1.0, "ci", "", "w.py", {}, 1, 2)
    write(store, Record("shop", (version,)))
    write(store, Secrets("shop", {"TOKEN": "hunter2"}))
    (files / "bucket.files").mkdir(parents=True)
    (files / "w.sqlite3").write_bytes(b"no database")
    (files / "bucket.files" / "x").write_bytes(b"x")
    site, digest = store.sites("blobs"), sha256(b"x").hexdigest()  # of a service that is called so
    site.take([(digest, b"x")])
    site.keep("0" * 16, {"/.well-known/x": digest})
    (site.sites / ".1.draft").mkdir()
    os.close(store.incoming()[1])
    assert backup(state, saved).stores == 3
    restore(saved, tmp_path / "back")
    back = Store(tmp_path / "back")
    assert back.record("shop") == store.record("shop")
    assert back.secrets("shop") == store.secrets("shop")
    assert (back.folder("shop") / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert (back.files("shop") / ("0" * 16) / "w.sqlite3").read_bytes() == b"no database"
    assert not (back.root / ".incoming").exists()
    found, expected = (s.sites / ("0" * 16) / ".well-known" / "x" for s in (back.sites("blobs"), site))
    assert found.read_bytes() == b"x"
    assert found.stat().st_mtime_ns == expected.stat().st_mtime_ns
    assert [path.name for path in back.folder("blobs").iterdir()] == ["sites"]
    manifest = json.loads((saved / MANIFEST).read_text())
    for name in ("versions/../../x", "kv/x", "/versions/a/b", 1):
        (saved / MANIFEST).write_text(json.dumps(manifest | {"versions": [name]}))
        with pytest.raises(StorageError, match="is damaged"):
            restore(saved, tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_a_store_that_is_moved_meanwhile_is_in_the_backup_and_nothing_is_made_where_it_was(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    for worker in ("a", "b"):
        with closing(fill_one(layout.own(state, "kv", worker, "cache"))):
            pass
    before = layout.own(state, "kv", "b", "cache")
    shared = layout.shared(state, "kv", "cache", None, ("b",))

    def move(store: str) -> None:
        """When `kv` has been read, and `own.b` not yet; then when `own.b` has been read."""
        if store == moment and before.path.is_file():
            layout.make_private(shared)
            take_over(shared)

    for moment in ("kv/own.a/cache", "kv/own.b/cache"):
        saved = tmp_path / moment.replace("/", "-")
        assert backup(state, saved, move).stores == 2
        assert before.path.is_dir()
        with closing(sqlite3.connect(saved / shared.path.relative_to(state))) as copy:
            assert copy.execute("SELECT count(*) FROM t").fetchone() == (1,)
        before.path.rmdir()
        shared.path.rename(before.path)
        shared.path.parent.rmdir()
