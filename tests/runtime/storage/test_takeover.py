"""What a worker had in its own store is there when the store is shared; never lost without a word."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.errors import StorageBusy, StorageCorrupt, StorageError
from pyworkerd.storage import layout
from pyworkerd.storage.connection import open_writer
from pyworkerd.storage.takeover import take_over

from tests.runtime.storage.files import DESIGN, count, opened, put

if TYPE_CHECKING:
    from pathlib import Path


def own(root: Path, worker: str = "a") -> layout.Location:
    return layout.own(root, "kv", worker, "cache")


def shared(root: Path, *workers: str) -> layout.Location:
    return layout.shared(root, "kv", "cache", None, workers or ("a", "b"))


def fill(location: layout.Location, rows: int = 1) -> sqlite3.Connection:
    layout.make_private(location)
    connection = open_writer(location, DESIGN)
    for _ in range(rows):
        put(None)(connection)
    return connection


async def rows(location: layout.Location) -> int:
    async with opened(location) as database:
        return await database.read(count)


def test_what_one_had_before_is_moved_with_its_files_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(fill(own(tmp_path), 3)):
        pass
    files = own(tmp_path).path.with_suffix(layout.FILES)
    files.mkdir()
    (files / "one").write_bytes(b"1")
    with caplog.at_level(logging.WARNING):
        assert asyncio.run(rows(shared(tmp_path))) == 3
    assert (shared(tmp_path).path.with_suffix(layout.FILES) / "one").read_bytes() == b"1"
    assert own(tmp_path).path.is_dir()
    assert [record.getMessage() for record in caplog.records] == [
        f"{shared(tmp_path).path}: the kv store 'cache' was moved here from {own(tmp_path).path}"
    ]


def test_what_was_left_behind_by_a_process_that_was_killed_is_moved_as_well(tmp_path: Path) -> None:
    connection = fill(own(tmp_path), 2)
    wal = own(tmp_path).path.with_name("cache.sqlite3-wal")
    log, database = wal.read_bytes(), own(tmp_path).path.read_bytes()
    connection.close()
    own(tmp_path).path.write_bytes(database)
    wal.write_bytes(log)
    assert asyncio.run(rows(shared(tmp_path))) == 2


def test_nothing_is_moved_that_somebody_uses_and_the_next_one_tries_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(shared(tmp_path)) as database:
            with closing(fill(own(tmp_path))) as before:
                with pytest.raises(StorageBusy, match="still in use where it was before"):
                    await database.read(count)
                put(None)(before)
            assert await database.read(count) == 2

    asyncio.run(main())


def test_whoever_has_the_configuration_of_before_writes_into_no_store_that_nobody_reads(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with opened(own(tmp_path)) as before, opened(shared(tmp_path)) as now:
            await before.write(put(1))
            await asyncio.to_thread(before.close_files)  # nothing was asked of it for a while
            assert await now.read(count) == 1
            for ask in (before.read(count), before.write(put(2))):
                with pytest.raises(StorageError, match="was moved to where workers share it"):
                    await ask
            assert await now.read(count) == 1
            assert f"{own(tmp_path).path}: the kv store 'cache' was moved" in caplog.text
            own(tmp_path).path.rmdir()
            assert await before.read(count) == 0

    asyncio.run(main())


def test_nor_does_a_version_that_knows_nothing_of_it(tmp_path: Path) -> None:
    with closing(fill(own(tmp_path))):
        pass
    take_over_into(shared(tmp_path))
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        open_writer(own(tmp_path), DESIGN)


def take_over_into(location: layout.Location) -> None:
    layout.make_private(location)
    take_over(location)


def test_of_several_none_is_chosen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for worker in "ab":
        with closing(fill(own(tmp_path, worker))):
            pass
    with pytest.raises(StorageError, match="several of its workers had one of their own"):
        asyncio.run(rows(shared(tmp_path)))
    assert str(own(tmp_path, "a").path) in caplog.text
    assert str(own(tmp_path, "b").path) in caplog.text
    assert asyncio.run(rows(shared(tmp_path, "b"))) == 1, "the other's is none of theirs"
    assert own(tmp_path, "a").path.exists()


def test_what_is_not_used_because_the_store_is_there_already_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for place, number in ((own(tmp_path), 1), (shared(tmp_path), 5)):
        with closing(fill(place, number)):
            pass

    async def main() -> None:
        async with opened(shared(tmp_path)) as database:
            assert await database.read(count) == 5
            await asyncio.to_thread(database.close_files)
            assert await database.read(count) == 5

    asyncio.run(main())
    assert [str(own(tmp_path).path) in record.getMessage() for record in caplog.records] == [True]


def test_a_damaged_one_stays_where_it_is(tmp_path: Path) -> None:
    layout.make_private(own(tmp_path))
    own(tmp_path).path.write_bytes(b"no database" * 1000)
    with pytest.raises(StorageCorrupt):
        asyncio.run(rows(shared(tmp_path)))
    assert own(tmp_path).path.exists()


def test_a_move_that_was_cut_short_is_finished(tmp_path: Path) -> None:
    with closing(fill(own(tmp_path), 3)):
        pass
    layout.make_private(shared(tmp_path))
    files = shared(tmp_path).path.with_suffix(layout.FILES)
    files.mkdir()
    (files / "one").write_bytes(b"1")
    take_over(shared(tmp_path))
    assert (files / "one").exists()
    assert asyncio.run(rows(shared(tmp_path))) == 3


def test_what_cannot_be_looked_at_is_not_taken_for_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = own(tmp_path).path.parent
    folder.parent.mkdir(parents=True)
    folder.symlink_to(folder)
    with pytest.raises(StorageError, match="cannot be moved: Too many levels"):
        asyncio.run(rows(shared(tmp_path)))
    assert not shared(tmp_path).path.exists()
    assert str(folder) in caplog.text
    folder.unlink()
    assert asyncio.run(rows(shared(tmp_path))) == 0
    folder.symlink_to(folder)
    assert asyncio.run(rows(shared(tmp_path))) == 0, "it is there, and needs nothing from elsewhere"
    assert "is not known" in caplog.text


@pytest.mark.parametrize("suffix", [".sqlite3", layout.FILES])
def test_links_lead_elsewhere_and_are_the_operators_to_move(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(fill(own(tmp_path), 3)):
        pass
    path = own(tmp_path).path.with_suffix(suffix)
    if suffix == layout.FILES:
        path.mkdir()
    path.rename(path.with_name("disk"))
    path.symlink_to("disk")
    with pytest.raises(StorageError, match="cannot be moved: it is a link"):
        asyncio.run(rows(shared(tmp_path)))
    assert str(path) in caplog.text
    assert path.is_symlink()
    if suffix != layout.FILES:  # one whose disk is not there today is no empty store either
        path.with_name("disk").unlink()
        with pytest.raises(StorageError, match="cannot be moved"):
            asyncio.run(rows(shared(tmp_path)))


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", range(7))
def test_whenever_it_is_cut_short_nothing_is_lost(
    tmp_path: Path, moment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine may die as well: what was renamed is on disk before that counts on it is renamed."""
    with closing(fill(own(tmp_path), 3)):
        pass
    own(tmp_path).path.with_suffix(layout.FILES).mkdir()
    layout.make_private(shared(tmp_path))
    kinds, left = [], [moment]

    def watched(kind: str, real: Any) -> Any:
        def act(*arguments: Any) -> Any:
            if left[0] == 0:
                raise _Killed
            left[0] -= 1
            kinds.append(kind)
            return real(*arguments)

        return act

    with monkeypatch.context() as patch:
        patch.setattr(type(tmp_path), "rename", watched("rename", type(tmp_path).rename))
        patch.setattr(os, "fsync", watched("sync", os.fsync))
        with pytest.raises(_Killed):
            take_over(shared(tmp_path))
    assert kinds == ["rename", "sync", "sync", "sync", "rename", "sync", "sync"][:moment]
    assert asyncio.run(rows(shared(tmp_path))) == 3
    assert shared(tmp_path).path.with_suffix(layout.FILES).is_dir()
    assert not own(tmp_path).path.is_file()
