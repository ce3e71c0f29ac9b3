"""One database: nothing on the event loop's thread, acknowledged means on disk, errors are its own."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import StorageBusy, StorageCorrupt, StorageError, StorageFull
from pyworkerd.storage import connection as connections
from pyworkerd.storage import database as databases
from pyworkerd.storage.stores import Stores
from pyworkerd.storage.watch import Watch

from tests.runtime.storage.files import DESIGN, at, count, opened, put
from tests.runtime.storage.test_watch import FOREVER

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(at(tmp_path)) as database:
            assert await database.write(put(1)) == 1
            assert await database.read(count) == 1
            with pytest.raises(StorageError, match="kv store 'cache' failed"):
                await database.write(put(1))
            with pytest.raises(StorageError):  # a reader cannot write
                await database.read(put(2))
        async with opened(at(tmp_path)) as database:
            assert await database.read(count) == 1

    asyncio.run(main())


def test_no_sql_on_the_event_loops_thread(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(at(tmp_path)) as database:
            here = threading.get_ident()
            assert await database.write(lambda _: threading.get_ident()) != here
            assert await database.read(lambda _: threading.get_ident()) != here

    asyncio.run(main())


def test_writes_that_wait_are_one_transaction(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(at(tmp_path)) as database:
            await database.write(put(-1))
            hold = threading.Event()
            first = asyncio.ensure_future(database.write(lambda _: hold.wait()))
            rest = [asyncio.ensure_future(database.write(put(i % 40))) for i in range(50)]
            await asyncio.sleep(0)
            before = [await database.read(lambda c: c.execute("PRAGMA data_version").fetchone()[0])]
            hold.set()
            outcomes = await asyncio.gather(first, *rest, return_exceptions=True)
            assert sum(isinstance(each, StorageError) for each in outcomes) == 10
            assert await database.read(count) == 41
            assert before

    asyncio.run(main())


def test_readers_do_not_wait_for_the_writer(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(at(tmp_path)) as database:
            await database.write(put(1))
            hold, began = threading.Event(), threading.Event()

            def slowly(connection: sqlite3.Connection) -> None:
                put(2)(connection)
                began.set()
                hold.wait()

            writing = asyncio.ensure_future(database.write(slowly))
            await asyncio.to_thread(began.wait)
            assert await database.read(count) == 1
            hold.set()
            await writing
            assert await database.read(count) == 2

    asyncio.run(main())


def test_worn_connections_are_opened_anew(tmp_path: Path) -> None:
    used: list[sqlite3.Connection] = []
    design = replace(DESIGN, worn=lambda connection: used.count(connection) > 1)

    def keep(connection: sqlite3.Connection) -> int:
        used.append(connection)
        return count(connection)

    def add(connection: sqlite3.Connection) -> None:
        put(keep(connection))(connection)

    async def main() -> None:
        stores = Stores()
        database = stores.use(at(tmp_path), design)
        for _ in range(5):
            await database.write(add)
        for _ in range(5):
            assert await database.read(keep) == 5
        await stores.aclose()

    asyncio.run(main())
    assert [used.count(each) for each in dict.fromkeys(used)] == [2, 2, 1] * 2


def test_what_waits_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "QUEUE", 10)

    async def main() -> None:
        async with opened(at(tmp_path)) as database:
            hold = threading.Event()
            first = asyncio.ensure_future(database.write(lambda _: hold.wait()))
            while not database.running:
                await asyncio.sleep(0)
            rest = [asyncio.ensure_future(database.write(put(i))) for i in range(15)]
            await asyncio.sleep(0)
            refused = [each for each in rest if each.done()]
            assert len(refused) == 5
            for each in refused:
                assert isinstance(each.exception(), StorageBusy)
            hold.set()
            await first
            assert await database.read(count) <= 10

    asyncio.run(main())


def test_somebody_who_has_gone_interrupts_what_runs(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(at(tmp_path)) as database:
            watch, began = Watch(60_000), threading.Event()

            def forever(connection: sqlite3.Connection) -> None:
                with watch.over(connection):
                    began.set()
                    connection.execute(FOREVER).fetchall()

            waiting = asyncio.ensure_future(database.read(forever, watch))
            await asyncio.to_thread(began.wait)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert watch.verdict == "gone"

    asyncio.run(main())


def test_a_store_that_is_full_keeps_what_it_has(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(at(tmp_path), size_mb=1) as database:
            await database.write(put("small", b"x"))
            with pytest.raises(StorageFull, match="size_mb"):
                await database.write(put("large", b"x" * (2 << 20)))
            hold = threading.Event()
            first = asyncio.ensure_future(database.write(lambda _: hold.wait()))
            while not database.running:
                await asyncio.sleep(0)
            together = [
                asyncio.ensure_future(database.write(put(i, b"x" * (2 << 20 if i == 3 else 1))))
                for i in range(6)
            ]
            await asyncio.sleep(0)
            hold.set()
            await first
            outcomes = await asyncio.gather(*together, return_exceptions=True)
            assert [type(each).__name__ for each in outcomes] == [
                "int",
                "int",
                "int",
                "StorageFull",
                "int",
                "int",
            ]
            assert await database.read(count) == 6

    asyncio.run(main())


def test_a_full_disk_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "ROOM", 1 << 62)

    async def main() -> None:
        async with opened(at(tmp_path), size_mb=1) as database:
            with pytest.raises(StorageFull, match="no room on the disk"):
                await database.write(put("large", b"x" * (2 << 20)))

    asyncio.run(main())


@pytest.mark.parametrize("damage", [b"this is no database at all" * 400, None])
def test_a_damaged_file_is_its_own_affair(tmp_path: Path, damage: bytes | None) -> None:
    bad, good = at(tmp_path, "bad"), at(tmp_path, "good")

    async def main() -> None:
        async with opened(bad) as database:
            await database.write(lambda c: [put(i, b"x" * 3000)(c) for i in range(500)])
        data = bytearray(bad.path.read_bytes())
        intact = bytes(data)
        data[4096 * 2 :] = b"\xa5" * (len(data) - 4096 * 2)
        bad.path.write_bytes(damage if damage is not None else bytes(data))
        stores = Stores()
        broken, sound = stores.use(bad, DESIGN), stores.use(good, DESIGN)
        for _ in range(2):
            with pytest.raises(StorageCorrupt, match="kv store 'bad' is damaged") as caught:
                await broken.write(lambda c: [put(i, b"y")(c) for i in range(500, 900)])
            assert str(tmp_path) not in str(caught.value)
        assert await sound.write(put(1)) == 1
        while broken._writer is not None:  # it lets go of what is damaged
            await asyncio.sleep(0)
        for each in bad.path.parent.glob(f"{bad.path.name}*"):
            each.unlink()
        bad.path.write_bytes(intact)  # the operator restores it
        assert await broken.read(count) == 500
        await stores.aclose()

    asyncio.run(main())


def test_a_file_that_cannot_be_opened_is_tried_again(tmp_path: Path) -> None:
    location = at(tmp_path)

    async def main() -> None:
        async with opened(location) as database:
            location.path.mkdir(parents=True)
            with pytest.raises(StorageError):
                await database.write(put(1))
            location.path.rmdir()
            assert await database.write(put(1)) == 1

    asyncio.run(main())


OTHER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
for i in range(200):
    connection.execute("INSERT INTO t VALUES (?, NULL)", (f"other {i}",))
"""


def test_several_processes_write_the_same_file(tmp_path: Path) -> None:
    location = at(tmp_path)

    async def main() -> None:
        async with opened(location) as database:
            await database.write(put("first"))
            other = subprocess.Popen([sys.executable, "-c", OTHER, str(location.path)])
            await asyncio.gather(*(database.write(put(i)) for i in range(200)))
            assert await asyncio.to_thread(other.wait) == 0
            assert await database.read(count) == 401

    asyncio.run(main())


def test_another_process_that_does_not_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BUSY_S", 0.05)
    location = at(tmp_path)

    async def main() -> None:
        async with opened(location) as database:
            await database.write(put(1))
            other = sqlite3.connect(location.path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageBusy, match="was busy"):
                await database.write(put(2))
            assert await database.read(count) == 1
            other.execute("ROLLBACK")
            other.close()
            assert await database.write(put(2)) == 2

    asyncio.run(main())


def test_closing_finishes_what_was_asked_for(tmp_path: Path) -> None:
    async def main() -> None:
        stores = Stores()
        database = stores.use(at(tmp_path), DESIGN)
        waiting = [asyncio.ensure_future(database.write(put(i))) for i in range(100)]
        await asyncio.sleep(0)
        await stores.let_go(database)
        await asyncio.gather(*waiting)
        with pytest.raises(StorageError, match="closed"):
            await database.write(put(200))
        database.leave(put(201))
        again = stores.use(at(tmp_path), DESIGN)
        assert await again.read(count) == 100
        await stores.aclose()

    asyncio.run(main())


def test_what_nobody_waits_for_is_written_as_well(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(at(tmp_path)) as database:
            database.leave(put(1))
            await database.write(put(2), relaxed=True)
            assert await database.read(count) == 2
            (level,) = await database.write(lambda c: c.execute("PRAGMA synchronous").fetchone())
            assert level == 2

    asyncio.run(main())
