"""What Durable Objects store, in a runtime: durable before it is told, bounded, and each object's own."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.errors import PyworkerdError, StorageFull
from pyworkerd.objects.storage import ObjectStorage
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd_config.model import Binding, Limits, ObjectClass

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from pyworkerd.loaded import LoadedWorker
    from pyworkerd_isolates.protocol import Commit

DEFAULTS = ObjectClass("Room")
ROOM = {
    "ROOM": Binding("ROOM", "durable_object", "Room"),
    "OTHER": Binding("OTHER", "durable_object", "Other"),
}
SOURCE = {
    "worker.py": """
import asyncio
from workers import DurableObject, Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def on(self, name, method, *arguments):
        return await getattr(self.env.ROOM.get_by_name(name), method)(*arguments)

    async def many(self, name, count):
        return await asyncio.gather(*(self.env.ROOM.get_by_name(name).add() for n in range(count)))

    async def other(self, method, *arguments):
        return await getattr(self.env.OTHER.get_by_name("a"), method)(*arguments)

    async def forged(self):
        from _pyworkerd import outbox
        outbox.effects.insert(0, ["commit", 1, [0], outbox.blob(bytes(4096)), None])

class Room(DurableObject):
    async def add(self):
        count = await self.ctx.storage.get("count") or 0
        await self.ctx.storage.put("count", count + 1)
        return count + 1

    async def put(self, key, value):
        self.ctx.storage.kv.put(key, value)

    async def get(self, key):
        return self.ctx.storage.kv.get(key)

    async def fill(self, first, count, size):
        for n in range(first, first + count):
            self.ctx.storage.kv.put(f"{n:09}", "x" * size)
        return len(self.ctx.storage.kv.list(limit=10))

    async def abort(self):
        self.ctx.storage.kv.put("aborted", True)
        self.ctx.abort("enough")

    async def later(self, key):
        self.ctx.wait_until(self.put_soon(key))

    async def put_soon(self, key):
        await asyncio.sleep(0.001)
        self.ctx.storage.kv.put(key, 1)

    async def loop(self):
        self.ctx.storage.kv.put("loop", True)
        while True:
            pass

    async def forge(self, size, numbers, pages):
        from _pyworkerd import outbox
        outbox.effects.insert(0, ["commit", size, numbers, outbox.blob(pages), None])

class Other(Room):
    pass
"""
}


def run(
    folder: Path,
    *tests: Callable[[LoadedWorker], Awaitable[None]],
    room: ObjectClass = DEFAULTS,
    **limits: int,
) -> None:
    """Each test in a runtime of its own, on the same folder."""

    async def main(test: Callable[[LoadedWorker], Awaitable[None]]) -> None:
        async with Runtime(options=RuntimeOptions(state_dir=folder)) as runtime:
            limits_ = Limits(**{"cpu_ms": 2000, **limits})
            worker = await runtime.load(
                SOURCE, name="shop", bindings=ROOM, limits=limits_, durable_objects=[room]
            )
            await test(worker)

    for test in tests:
        asyncio.run(main(test))


def test_what_is_stored_is_there_in_the_next_process(tmp_path: Path) -> None:
    async def first(worker: LoadedWorker) -> None:
        assert [await worker.call("on", "a", "add") for _ in range(3)] == [1, 2, 3]
        assert await worker.call("on", "b", "add") == 1

    async def second(worker: LoadedWorker) -> None:
        assert await worker.call("on", "a", "add") == 4
        assert await worker.call("on", "c", "get", "count") is None
        assert await worker.call("other", "get", "count") is None

    run(tmp_path, first, second)
    files = sorted(path.relative_to(tmp_path).parts[:2] for path in tmp_path.rglob("*.sqlite3"))
    assert files == [("do", "shop-%52oom")] * 2


def test_read_and_write_are_one_for_all_that_call_at_once(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        answers = await asyncio.gather(*(worker.call("many", "a", 20) for _ in range(10)))
        assert sorted(n for answer in answers for n in answer) == list(range(1, 201))

    run(tmp_path, test)


def test_nothing_leaves_before_it_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The output gate: while the disk has not said so, no answer is given and no other step begins."""

    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "add")
        gate, entered = asyncio.Event(), asyncio.Event()
        keep = ObjectStorage.keep

        async def slow(self: ObjectStorage, commit: Commit, *before: Any) -> None:
            entered.set()
            await gate.wait()
            await keep(self, commit, *before)

        monkeypatch.setattr(ObjectStorage, "keep", slow)
        first = asyncio.create_task(worker.call("on", "a", "add"))
        await entered.wait()
        second = asyncio.create_task(worker.call("on", "a", "get", "count"))
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not first.done()
        assert not second.done()
        gate.set()
        assert (await first, await second) == (2, 2)

    run(tmp_path, test)


def test_what_cannot_be_kept_was_never_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "add")
        keep = ObjectStorage.keep

        async def full(self: ObjectStorage, commit: Commit, *_: object) -> None:
            raise StorageFull("there is no room on the disk")

        monkeypatch.setattr(ObjectStorage, "keep", full)
        with pytest.raises(PyworkerdError, match="no room on the disk"):
            await worker.call("on", "a", "add")
        monkeypatch.setattr(ObjectStorage, "keep", keep)
        assert await worker.call("on", "a", "add") == 2

    run(tmp_path, test)


def test_a_class_has_no_more_objects_that_store_something_than_it_may(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        found = await asyncio.gather(
            *(worker.call("on", f"{n}", "add") for n in range(6)), return_exceptions=True
        )
        refused = [each for each in found if isinstance(each, PyworkerdError)]
        assert sorted(each for each in found if isinstance(each, int)) == [1, 1, 1]
        assert ["max_objects" in str(each) for each in refused] == [True] * 3
        kept = found.index(1)
        assert await worker.call("on", f"{kept}", "add") == 2, "those that are there go on"
        assert await worker.call("on", "new", "get", "count") is None, (
            "one that stores nothing is none of them"
        )
        assert await worker.call("other", "add") == 1, "and each class has its own"
        assert len([*(tmp_path / "do").glob("shop-%52oom/*.sqlite3")]) == 3

    async def later(worker: LoadedWorker) -> None:
        with pytest.raises(PyworkerdError, match="max_objects"):
            await worker.call("on", "another", "add")

    run(tmp_path, test, later, room=ObjectClass("Room", max_objects=3))


def test_it_is_there_again_after_eviction(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        for expected in (1, 2, 3):
            assert await worker.call("on", "a", "add") == expected
            while len(worker.service.objects):
                await asyncio.sleep(0.005)

    run(tmp_path, test, room=ObjectClass("Room", hibernate=False, idle_ms=20))


def test_what_an_aborted_or_looping_step_wrote_is_dropped(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "add")
        for method in ("abort", "loop"):
            with pytest.raises(PyworkerdError):
                await worker.call("on", "a", method)
        assert [await worker.call("on", "a", "get", key) for key in ("aborted", "loop")] == [None, None]
        assert await worker.call("on", "a", "add") == 2

    run(tmp_path, test, cpu_ms=100)


def test_what_is_written_after_the_answer_is_kept_too(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "later", "k")
        while await worker.call("on", "a", "get", "k") is None:
            await asyncio.sleep(0.001)

    async def again(worker: LoadedWorker) -> None:
        assert await worker.call("on", "a", "get", "k") == 1

    run(tmp_path, test, again)


def test_many_keys_up_to_what_there_is_room_for(tmp_path: Path) -> None:
    """A hundred thousand keys fit, and what has no room any more is refused: the object hears it, and lives on."""

    async def test(worker: LoadedWorker) -> None:
        many = 100_000
        for first in range(0, many, 20_000):
            assert await worker.call("on", "a", "fill", first, 20_000, 20) == 10
        with pytest.raises(PyworkerdError, match="full"):
            for first in range(many, many + 2000, 100):
                await worker.call("on", "a", "fill", first, 100, 10_000)
        await worker.call("on", "a", "put", "000000000", "replaced")
        assert await worker.call("on", "a", "get", "000000000") == "replaced"

    run(tmp_path, test, cpu_ms=20_000)


@pytest.mark.parametrize(
    ("size", "numbers", "pages"),
    [
        (1, [0], bytes(4095)),
        (1, [1], bytes(4096)),
        (2, [0, 0], bytes(8192)),
        (4097, [0], bytes(4096)),
        (1, [-1], bytes(4096)),
        (1, [0.5], bytes(4096)),
        (1, "0", bytes(4096)),
    ],
)
def test_forged_pages_end_the_object_alone(tmp_path: Path, size: int, numbers: Any, pages: bytes) -> None:
    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "add")
        with pytest.raises(PyworkerdError):
            await worker.call("on", "a", "forge", size, numbers, pages)
        assert await worker.call("on", "a", "add") == 2

    run(tmp_path, test)


def test_pages_that_are_no_database_spoil_nothing_but_their_object(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "bad", "add")
        await worker.call("on", "bad", "forge", 2, [0, 1], b"\xff" * 8192)
        await worker.call("on", "good", "add")

    async def again(worker: LoadedWorker) -> None:
        with pytest.raises(PyworkerdError):
            await worker.call("on", "bad", "add")
        assert await worker.call("on", "good", "add") == 2

    run(tmp_path, test, again)


def test_a_worker_that_is_no_object_stores_nothing(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        with pytest.raises(PyworkerdError, match="no Durable Object"):
            await worker.call("forged")

    run(tmp_path, test)
    assert list(tmp_path.rglob("*.sqlite3")) == []


def test_a_damaged_file_is_an_error_of_its_object_alone(tmp_path: Path) -> None:
    async def first(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "add")
        await worker.call("on", "b", "add")

    run(tmp_path, first)
    damaged, sound = sorted(tmp_path.rglob("*.sqlite3"))
    with sqlite3.connect(damaged) as connection:
        connection.execute("DELETE FROM pages WHERE number = 1")
    connection.close()

    async def second(worker: LoadedWorker) -> None:
        outcomes = await asyncio.gather(
            worker.call("on", "a", "add"), worker.call("on", "b", "add"), return_exceptions=True
        )
        assert sorted(type(each).__name__ for each in outcomes) == ["WorkerException", "int"]

    run(tmp_path, second)
    assert sound.exists()


def test_killed_at_any_moment_no_acknowledged_write_is_lost(tmp_path: Path) -> None:
    """What a copy of the files, taken while it runs, says is at least what was acknowledged before."""

    async def test(worker: LoadedWorker) -> None:
        for expected in range(1, 6):
            assert await worker.call("on", "a", "add") == expected
            (file,) = (tmp_path / "do").rglob("*.sqlite3")
            copy = tmp_path / f"copy{expected}"
            copy.mkdir()
            for part in file.parent.glob(f"{file.name}*"):
                (copy / part.name).write_bytes(part.read_bytes())
            connection = sqlite3.connect(copy / file.name)
            pages = b"".join(data for (data,) in connection.execute("SELECT data FROM pages ORDER BY number"))
            connection.close()
            kept = sqlite3.connect(":memory:")
            kept.deserialize(pages)
            ((value,),) = kept.execute("SELECT value FROM _cf_KV")
            kept.close()
            assert value.endswith(f",{expected}]".encode())

    run(tmp_path, test)
