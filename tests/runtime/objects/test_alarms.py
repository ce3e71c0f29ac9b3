"""Alarms: rung once they are due, by one process, tried again, and never lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.objects import alarms
from pyworkerd.objects.alarms import backoff
from pyworkerd.observe.scope import begin, scope
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd_config.model import Binding, Limits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pyworkerd.loaded import LoadedWorker

ROOM = {"ROOM": Binding("ROOM", "durable_object", "Room"), "DEAF": Binding("DEAF", "durable_object", "Deaf")}
SOURCE = {
    "worker.py": """
import time
from datetime import datetime, UTC
from workers import DurableObject, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def on(self, name, method, *arguments):
        return await getattr(self.env.ROOM.get_by_name(name), method)(*arguments)

    async def by_id(self, name, method, *arguments):
        id = self.env.ROOM.id_from_string(str(self.env.ROOM.id_from_name(name)))
        return await getattr(self.env.ROOM.get(id), method)(*arguments)

    async def deaf(self):
        await self.env.DEAF.get_by_name("a").set()

class Room(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.name = ctx.id.name

    async def called(self):
        return self.name

    async def set(self, seconds, fails=0, again=0, as_date=False):
        self.ctx.storage.kv.put("plan", [fails, again])
        when = time.time() + seconds
        await self.ctx.storage.set_alarm(datetime.fromtimestamp(when, UTC) if as_date else when * 1000)
        return await self.ctx.storage.get_alarm()

    async def delete(self):
        await self.ctx.storage.delete_alarm()

    async def rung(self):
        return [self.ctx.storage.kv.get("rung") or [], await self.ctx.storage.getAlarm()]

    async def alarm(self, info):
        kv = self.ctx.storage.kv
        print(f"rung {self.name}")
        assert await self.ctx.storage.get_alarm() is None
        fails, again = kv.get("plan")
        if info.retry_count < fails:
            kv.put("failed", info.retryCount)
            raise ValueError("not yet")
        kv.put("rung", [*(kv.get("rung") or []), [info.scheduled_time, info.isRetry, info.retry_count]])
        if again:
            await self.env.ROOM.get_by_name("other").called()
            kv.put("plan", [fails, again - 1])
            await self.ctx.storage.set_alarm(info.scheduledTime)

class Deaf(DurableObject):
    async def set(self):
        await self.ctx.storage.set_alarm(1)
"""
}
ROOT = Path(__file__).parents[3]


def run(folder: Path, test: Callable[[LoadedWorker], Awaitable[None]]) -> None:
    async def main() -> None:
        async with Runtime(options=RuntimeOptions(state_dir=folder)) as runtime:
            await test(await runtime.load(SOURCE, name="shop", bindings=ROOM, limits=Limits(cpu_ms=2000)))

    asyncio.run(main())


async def rung(worker: LoadedWorker, name: str, times: int) -> list[Any]:
    while len((await worker.call("on", name, "rung"))[0]) < times:
        await asyncio.sleep(0.01)
    calls, left = await worker.call("on", name, "rung")
    assert left is None
    return list(calls)


def test_an_alarm_rings_when_it_is_due_and_is_gone(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        when = await worker.call("on", "a", "set", 0.05, 0, 0, True)
        await worker.call("on", "b", "set", -10)
        await worker.call("on", "c", "set", 3600)
        assert await rung(worker, "a", 1) == [[when, False, 0]]
        assert len(await rung(worker, "b", 1)) == 1
        calls, left = await worker.call("on", "c", "rung")
        assert calls == []
        assert left > 0

    run(tmp_path, test)


def test_alarms_are_no_part_of_the_request_that_first_wanted_them(tmp_path: Path) -> None:
    """As where it wakes the worker. All that it causes may make so many calls, which alarms would use up."""

    async def main() -> None:
        async with Runtime(options=RuntimeOptions(state_dir=tmp_path)) as runtime:
            scope.set(begin()[0])
            limits = Limits(cpu_ms=2000, calls=3)
            worker = await runtime.load(SOURCE, name="shop", bindings=ROOM, limits=limits)
            scope.set(None)
            await worker.call("on", "a", "set", -10, 0, 5)
            assert [tries for _, _, tries in await rung(worker, "a", 6)] == [0] * 6

    asyncio.run(main())


def test_they_end_also_when_something_has_just_changed(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        stores = worker.service.objects.storage
        assert stores is not None
        for turns in range(4):
            looking = asyncio.create_task(stores.alarms._look())
            while stores.alarms._changed.is_set() or not stores.alarms._changed._waiters:  # type: ignore[attr-defined]
                await asyncio.sleep(0)
            stores.alarms._changed.set()
            for _ in range(turns):
                await asyncio.sleep(0)
            looking.cancel()
            await asyncio.wait((looking,), timeout=10)
            assert looking.cancelled()

    run(tmp_path, test)


def test_an_alarm_finds_the_object_by_its_name(tmp_path: Path) -> None:
    """Also in another process's life, and where nobody else has called the object by it."""

    async def sets(worker: LoadedWorker) -> None:
        await worker.call("on", "né", "set", 0.5)
        await worker.call("by_id", "unnamed", "set", 0.5)

    async def rings(worker: LoadedWorker) -> None:
        async with asyncio.timeout(20):
            while len(worker.logs) < 2:
                await asyncio.sleep(0.01)
        assert {entry.message for entry in worker.logs} == {"rung né", "rung None"}

    run(tmp_path, sets)
    run(tmp_path, rings)


def test_an_object_knows_the_name_that_it_was_first_called_by(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        for name in ("a", "x" * 1024):
            assert await worker.call("on", name, "called") == name
        for name in ("x" * 1025, "é" * 513, "\ud800"):
            assert await worker.call("on", name, "called") is None
        assert await worker.call("by_id", "b", "called") is None
        assert await worker.call("by_id", "a", "called") == "a"

    run(tmp_path, test)


def test_one_that_was_deleted_or_moved_does_not_ring(tmp_path: Path) -> None:
    """Also where the table still has it: the object knows."""

    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "set", 3600)
        await worker.call("on", "a", "delete")
        await worker.call("on", "b", "set", 3600)
        later = await worker.call("on", "b", "set", 0.05)
        assert await rung(worker, "b", 1) == [[later, False, 0]]
        table = sqlite3.connect(tmp_path / "do" / ".run" / "alarms.sqlite3", isolation_level=None)
        assert table.execute("UPDATE alarms SET due = 0").rowcount == 1
        while table.execute("SELECT count(*) FROM alarms").fetchone() != (0,):
            await asyncio.sleep(0.01)
        table.close()
        assert await worker.call("on", "a", "rung") == [[], None]

    run(tmp_path, test)


def test_one_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "FIRST_S", 0.01)

    async def test(worker: LoadedWorker) -> None:
        when = await worker.call("on", "a", "set", 0, 3)
        assert await rung(worker, "a", 1) == [[when, True, 3]]

    run(tmp_path, test)


def test_one_that_always_fails_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "FIRST_S", 0.001)

    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "set", 0, 100)
        while (await worker.call("on", "a", "rung"))[1] is not None:
            await asyncio.sleep(0.01)
        assert (await worker.call("on", "a", "rung"))[0] == []

    run(tmp_path, test)


def test_a_handler_may_set_the_next_one_even_for_the_same_time(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        when = await worker.call("on", "a", "set", 0, 0, 2)
        assert [call[0] - when for call in await rung(worker, "a", 3)] == [0, 1, 2]

    run(tmp_path, test)


def test_a_class_without_a_handler_has_no_alarm(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        with pytest.raises(Exception, match="must have an alarm"):
            await worker.call("deaf")
        with pytest.raises(Exception, match="<= 0"):
            await worker.call("on", "a", "set", -(10**12))

    run(tmp_path, test)


def test_it_survives_a_kill_and_rings_in_whoever_is_there(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import asyncio, sys
        from pathlib import Path
        from tests.runtime.objects.test_alarms import ROOM, SOURCE
        from pyworkerd.runtime import Runtime, RuntimeOptions

        async def main():
            async with Runtime(options=RuntimeOptions(state_dir=Path(sys.argv[1]))) as runtime:
                worker = await runtime.load(SOURCE, name="shop", bindings=ROOM)
                print(await worker.call("on", "a", "set", 1.5), flush=True)
                await asyncio.Event().wait()

        asyncio.run(main())
    """)
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        when = json.loads(other.stdout.readline())

        async def test(worker: LoadedWorker) -> None:
            os.kill(other.pid, signal.SIGKILL)
            other.wait()
            assert await rung(worker, "a", 1) == [[when, False, 0]]

        run(tmp_path, test)


def test_each_try_waits_twice_as_long_a_quarter_more_or_less() -> None:
    assert [backoff(tries, 0.5) for tries in range(4)] == [2, 4, 8, 16]
    assert (backoff(0, 0.0), backoff(0, 1.0)) == (1.5, 2.5)
    assert backoff(100, 0.5) == 1024
