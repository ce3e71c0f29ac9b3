"""Durable Objects that hibernate, in a runtime: what they had in memory is there when somebody asks for them again."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import random
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.dispatch import hibernation, resident
from pyworkerd.dispatch.fleet import FleetLimits
from pyworkerd.errors import Overloaded, PyworkerdError
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd.services.base import Target
from pyworkerd.websocket.base import WebSocketClosed
from pyworkerd_config.model import Binding, Limits, ObjectClass
from pyworkerd_isolates import wire
from pyworkerd_isolates.blocks import BLOCK
from pyworkerd_isolates.errors import HeapError
from pyworkerd_isolates.heaps import Heaps
from pyworkerd_isolates.lifecycle import State

from tests.runtime.objects.other_process import ROOM as OTHER_ROOM
from tests.runtime.objects.other_process import SOURCE as OTHER_SOURCE
from tests.runtime.objects.test_peers import another

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from pyworkerd.dispatch.live import Live
    from pyworkerd.loaded import LoadedWorker

NOTHING = wire.dump_value([[], {}])
ROOM = {"ROOM": Binding("ROOM", "durable_object", "Room"), "SECRET": Binding("SECRET", "text", "hush")}
SOURCE = {
    "worker.py": """
import asyncio, os
from workers import DurableObject, Response, WebSocketPair, WorkerEntrypoint

VERSION = 1

class Default(WorkerEntrypoint):
    async def on(self, name, method, *arguments):
        return await getattr(self.env.ROOM.get_by_name(name), method)(*arguments)

    async def fetch(self, request):
        return await self.env.ROOM.get_by_name("a").fetch(request)

    async def slowly(self):
        await asyncio.sleep(0.3)
        return "slow"

class Room(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.guests, self.fired = [], []

    async def enter(self, guest=None):
        self.guests.append(guest)
        return len(self.guests)

    async def store(self):
        count = (await self.ctx.storage.get("count") or 0) + 1
        await self.ctx.storage.put("count", count)
        self.guests.append(count)
        return [count, len(self.guests)]

    async def numbers(self):
        return os.urandom(16).hex()

    async def later(self, seconds):
        asyncio.get_running_loop().call_later(seconds, self.fired.append, seconds)

    async def timers(self):
        await asyncio.sleep(0)
        return self.fired

    async def sleep(self, seconds):
        self.guests.append("slept")
        await asyncio.sleep(seconds)
        return self.guests

    async def promise(self, seconds):
        async def keep():
            await asyncio.sleep(seconds)
            self.guests.append("kept")
        self.ctx.wait_until(keep())

    async def other(self, seconds):
        self.guests.append("asked")
        answer = await self.env.ROOM.get_by_name("b").sleep(seconds)
        return [answer, self.guests]

    async def alarm_in(self, milliseconds):
        import time
        await self.ctx.storage.set_alarm(time.time() * 1000 + milliseconds)

    async def alarm(self, info=None):
        self.fired.append("alarm")

    async def version(self):
        return [VERSION, self.guests, await self.ctx.storage.get("count")]

    async def grow(self, megabytes):
        self.much = bytearray(b"x" * (megabytes << 20))

    async def fetch(self, request):
        client, server = WebSocketPair().object_values()
        if request.url.endswith("/own"):
            server.accept()
            server.addEventListener("message", lambda event: server.send(f"{len(self.guests)} {event.data}"))
        else:
            self.ctx.accept_web_socket(server)
        self.guests.append("socket")
        return Response(None, status=101, web_socket=client)

    async def web_socket_message(self, socket, message):
        self.guests.append(message)
        socket.send(f"{len(self.guests)} {message}")
"""
}


def run(
    folder: Path,
    test: Callable[[LoadedWorker], Awaitable[None]],
    room: ObjectClass | None = None,
    fleet: FleetLimits | None = None,
    **limits: int,
) -> None:
    async def main() -> None:
        options = RuntimeOptions(fleet or FleetLimits(), state_dir=folder)
        async with Runtime(options=options) as runtime:
            worker = await load(runtime, room, **limits)
            await test(worker)
        left = runtime.statistics()
        assert (left.isolates, left.hibernated, left.memory) == (0, 0, 0)
        assert len(runtime.fleet.hibernation) == 0

    asyncio.run(main())


async def load(
    runtime: Runtime,
    room: ObjectClass | None = None,
    source: dict[str, str] = SOURCE,
    name: str = "shop",
    **limits: int,
) -> LoadedWorker:
    return await runtime.load(
        source,
        name=name,
        bindings=ROOM,
        limits=Limits(**{"cpu_ms": 2000, **limits}),
        durable_objects=[room or ObjectClass("Room", idle_ms=20)],
    )


async def until(reached: Callable[[], object]) -> None:
    while not reached():
        await asyncio.sleep(0.002)


def lives(worker: LoadedWorker) -> list[Live]:
    return [live for each in worker.service.objects._residents.values() for live in each._members.values()]


def states(worker: LoadedWorker) -> list[State]:
    return [live.state for live in lives(worker)]


async def asleep(worker: LoadedWorker, count: int = 1) -> None:
    await until(lambda: states(worker).count(State.HIBERNATED) == count)


async def sockets_of(worker: LoadedWorker, path: str) -> Any:
    return await worker.web_socket(path)


def test_what_it_has_in_memory_is_there_when_it_wakes(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        for number in range(1, 5):
            assert await worker.call("on", "a", "enter", number) == number
            await asleep(worker)
        counters = worker.service.counters
        assert (counters.cold_starts, counters.hibernations, counters.wakes) == (2, 4, 3)

    run(tmp_path, test)


def test_its_memory_is_given_back(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        fleet = worker.service.fleet
        await worker.call("on", "a", "grow", 8)
        before = fleet.statistics()
        (live,) = lives(worker)
        assert fleet.cost_of(live) > 8 << 20
        await asleep(worker)
        after = fleet.statistics()
        assert after.isolates == before.isolates - 1
        assert after.hibernated == 1
        assert before.memory - after.memory > 8 << 20
        assert fleet.cost_of(live) == hibernation.COST
        assert len(fleet.hibernation) > 8 << 20
        assert live._isolate is not None
        assert live._isolate._instance is None
        await worker.call("on", "a", "enter")
        assert fleet.cost_of(live) > 8 << 20
        assert fleet.statistics().hibernated == 0
        assert len(fleet.hibernation) == 0

    run(tmp_path, test)


def test_what_it_stored_and_what_it_knows_stay_together(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        for number in range(1, 4):
            assert await worker.call("on", "a", "store") == [number, number]
            await asleep(worker)

    run(tmp_path, test)


def test_its_random_numbers_are_new(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        seen = []
        for _ in range(4):
            seen.append(await worker.call("on", "a", "numbers"))
            await asleep(worker)
        assert len(set(seen)) == 4

    run(tmp_path, test)


def test_a_timer_is_there_and_runs_with_the_next_call(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "later", 0.05)
        await asleep(worker)
        await asyncio.sleep(0.06)
        assert states(worker) == [State.HIBERNATED], "nothing runs without an invocation"
        assert await worker.call("on", "a", "timers") == [0.05]

    run(tmp_path, test)


@pytest.mark.parametrize("method", ["sleep", "other"])
def test_one_that_waits_for_long_hibernates_meanwhile(tmp_path: Path, method: str) -> None:
    async def test(worker: LoadedWorker) -> None:
        call = asyncio.create_task(worker.call("on", "a", method, 0.5))
        await asleep(worker, 2 if method == "other" else 1)
        assert not call.done()
        answer = await call
        assert answer == (["slept"] if method == "sleep" else [["slept"], ["asked"]])

    run(tmp_path, test)


def test_what_it_promised_to_finish_is_finished(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "promise", 0.3)
        await asleep(worker)
        (live,) = lives(worker)
        await until(lambda: not live.invocations)
        assert (await worker.call("on", "a", "version"))[1] == ["kept"]

    run(tmp_path, test)


def test_one_that_goes_on_soon_stays_in_memory(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        call = asyncio.create_task(worker.call("on", "a", "sleep", 0.3))
        await until(lambda: State.BUSY in states(worker))
        await asyncio.sleep(0.1)
        assert states(worker) == [State.BUSY]
        await call

    run(tmp_path, test, ObjectClass("Room", idle_ms=400))


@pytest.mark.parametrize("path", ["/own", "/objects"])
def test_a_message_wakes_it(tmp_path: Path, path: str) -> None:
    async def test(worker: LoadedWorker) -> None:
        socket = await worker.web_socket(path)
        for number in range(1, 4):
            await asleep(worker)
            assert worker.service.objects.busy
            await socket.send("hello")
            assert await socket.receive() == f"{1 if path == '/own' else number + 1} hello"
        await asleep(worker)
        await socket.close()
        (live,) = lives(worker)
        await until(lambda: not live.invocations)
        assert (await worker.call("on", "a", "version"))[1][0] == "socket"

    run(tmp_path, test)


def test_many_with_open_sockets_all_wake(tmp_path: Path) -> None:
    source = {"worker.py": SOURCE["worker.py"].replace('get_by_name("a")', "get_by_name(request.url)")}

    async def main() -> None:
        async with Runtime(options=RuntimeOptions(state_dir=tmp_path)) as runtime:
            worker = await load(runtime, source=source)
            sockets = [await worker.web_socket(f"/{number}") for number in range(40)]
            await asleep(worker, 40)
            assert runtime.statistics().isolates == 1
            await asyncio.gather(*(socket.send("x") for socket in sockets))
            assert [await socket.receive() for socket in sockets] == ["2 x"] * 40
            for socket in sockets:
                await socket.close()

    asyncio.run(main())


def test_those_with_open_sockets_give_way_to_each_other(tmp_path: Path) -> None:
    """Far more of them than there is room for in memory, and none of them is quiet for long."""
    source = {"worker.py": SOURCE["worker.py"].replace('get_by_name("a")', "get_by_name(request.url)")}

    async def main() -> None:
        limits = FleetLimits(isolates=4)
        async with Runtime(options=RuntimeOptions(limits, state_dir=tmp_path)) as runtime:
            worker = await load(runtime, ObjectClass("Room"), source)
            sockets = []
            for number in range(12):
                sockets.append(await worker.web_socket(f"/{number}"))
                assert runtime.statistics().isolates <= 4
            for expected in (2, 3, 4):
                await asyncio.gather(*(socket.send("x") for socket in sockets))
                assert [await socket.receive() for socket in sockets] == [f"{expected} x"] * 12
                assert runtime.statistics().isolates <= 4
            assert worker.service.counters.lost == 0
            for socket in sockets:
                await socket.close()

    asyncio.run(main())


def test_one_that_waits_for_another_makes_room_for_it(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "b", "enter")
        (live,) = lives(worker)
        worker.service.fleet.evict(live.id)
        await asleep(worker)
        assert await worker.call("on", "a", "other", 0) == [[None, "slept"], ["asked"]]

    run(tmp_path, test, ObjectClass("Room"), FleetLimits(isolates=2))


def test_an_alarm_wakes_it(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "enter")
        await worker.call("on", "a", "alarm_in", 300)
        await asleep(worker)
        await until(lambda: worker.service.counters.wakes)
        while not await worker.call("on", "a", "timers"):
            await asyncio.sleep(0.01)
        assert (await worker.call("on", "a", "version"))[1] == [None]

    run(tmp_path, test)


def test_what_comes_while_it_is_written_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading  # noqa: PLC0415

    begun, go_on = threading.Event(), threading.Event()
    put = Heaps.put

    def slowly(self: Heaps, *arguments: Any) -> Any:
        begun.set()
        assert go_on.wait(10)
        return put(self, *arguments)

    monkeypatch.setattr(Heaps, "put", slowly)

    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "enter")
        await until(begun.is_set)
        call = asyncio.create_task(worker.call("on", "a", "enter"))
        await asyncio.sleep(0.02)
        assert not call.done(), "no step begins while its memory is read"
        go_on.set()
        assert await call == 2
        assert worker.service.counters.hibernations == 0
        assert worker.service.fleet.statistics().hibernated == 0

    run(tmp_path, test)


def test_one_that_ends_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading  # noqa: PLC0415

    begun, go_on = threading.Event(), threading.Event()
    put = Heaps.put

    def slowly(self: Heaps, *arguments: Any) -> Any:
        begun.set()
        assert go_on.wait(10)
        return put(self, *arguments)

    monkeypatch.setattr(Heaps, "put", slowly)

    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "enter")
        await until(begun.is_set)
        (live,) = lives(worker)
        live.evict()
        call = asyncio.create_task(worker.call("on", "a", "enter"))
        go_on.set()
        assert await call == 1

    run(tmp_path, test)


def test_a_class_that_does_not_hibernate_is_evicted(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "store")
        await until(lambda: not len(worker.service.objects))
        assert await worker.call("on", "a", "store") == [2, 1]
        assert worker.service.counters.hibernations == 0

    run(tmp_path, test, ObjectClass("Room", hibernate=False, idle_ms=20))


def test_nothing_hibernates_where_there_is_no_room_for_it_at_all(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "enter")
        await until(lambda: not len(worker.service.objects))
        assert await worker.call("on", "a", "enter") == 1

    run(tmp_path, test, fleet=FleetLimits(heaps=0))


def test_one_that_stays_hibernates_for_others_alone(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        fleet = worker.service.fleet
        await worker.call("on", "a", "enter")
        (live,) = lives(worker)
        await asyncio.sleep(0.05)
        assert live.state is State.IDLE
        fleet.evict(live.id)
        assert fleet.statistics().hibernated == 1, "it counts no more at once"
        await asleep(worker)
        assert await worker.call("on", "a", "enter") == 2

    run(tmp_path, test, ObjectClass("Room", prevent_eviction=True, idle_ms=1))


def test_objects_give_way_to_each_other_and_lose_nothing(tmp_path: Path) -> None:
    """Room for three isolates, the worker's own among them, and ten objects."""

    async def test(worker: LoadedWorker) -> None:
        for expected in (1, 2, 3):
            for name in "abcdefghij":
                assert await worker.call("on", name, "enter") == expected
                assert worker.service.fleet.statistics().isolates <= 3
        assert worker.service.counters.cold_starts == 11

    run(tmp_path, test, ObjectClass("Room"), FleetLimits(isolates=3))


@pytest.mark.parametrize("isolates", [3, 1000])
def test_whoever_is_asked_in_whatever_order_nothing_is_lost(tmp_path: Path, isolates: int) -> None:
    """What it has stored and what it has in memory tell the same all the time, with room for few and for all."""
    order = random.Random(isolates)
    answers: dict[str, list[int]] = {name: [] for name in "abcdefgh"}

    async def ask(worker: LoadedWorker) -> None:
        for _ in range(20):
            name = order.choice("abcdefgh")
            stored, in_memory = await worker.call("on", name, "store")
            assert stored == in_memory
            answers[name].append(stored)
            await asyncio.sleep(order.choice((0, 0.001, 0.01)))

    async def test(worker: LoadedWorker) -> None:
        await asyncio.gather(*(ask(worker) for _ in range(12)))
        assert worker.service.counters.hibernations > 0
        for given in answers.values():
            assert sorted(given) == list(range(1, len(given) + 1))

    run(tmp_path, test, ObjectClass("Room", idle_ms=1), FleetLimits(isolates=isolates), queue_ms=30_000)


def test_who_cannot_wake_in_time_is_told_so(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "enter")
        (live,) = lives(worker)
        worker.service.fleet.evict(live.id)
        await asleep(worker)
        (sleeper,) = worker.service.objects._residents.values()
        busy = asyncio.create_task(
            worker.call("on", "b", "sleep", 0.9)
        )  # too short to be put away for others
        await until(lambda: State.BUSY in states(worker))
        target = Target("Room", {}, sleeper.object_id)
        with pytest.raises(Overloaded, match="no room for the object to wake"):
            await worker.service.call("enter", NOTHING, target)
        await busy
        assert await worker.call("on", "a", "enter") == 2

    run(tmp_path, test, ObjectClass("Room"), FleetLimits(isolates=2), queue_ms=100)


def test_when_there_is_room_who_waits_for_it_wakes(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "enter")
        await asleep(worker)
        (sleeper,) = worker.service.objects._residents.values()
        busy = asyncio.create_task(worker.call("on", "b", "sleep", 0.2))
        await until(lambda: State.BUSY in states(worker))
        target = Target("Room", {}, sleeper.object_id)
        assert wire.load_value(await worker.service.call("enter", NOTHING, target)) == 2
        await busy

    run(tmp_path, test, ObjectClass("Room", idle_ms=150), FleetLimits(isolates=2))


def test_a_new_version_begins_with_what_is_stored(tmp_path: Path) -> None:
    newer = {"worker.py": SOURCE["worker.py"].replace("VERSION = 1", "VERSION = 2")}

    async def main() -> None:
        room = ObjectClass("Room", "rooms", idle_ms=20)
        async with Runtime(options=RuntimeOptions(state_dir=tmp_path)) as runtime:
            old = await load(runtime, room, name="old")
            new = await load(runtime, room, newer, "new")
            target = Target("Room", {}, "0" * 64)
            await old.service.call("store", NOTHING, target)
            await asleep(old)
            assert len(runtime.fleet.hibernation) > 0
            answer = wire.load_value(await new.service.call("version", NOTHING, target))
            assert answer == [2, [], 1]
            assert lives(old) == []
            await until(lambda: runtime.statistics().hibernated == 0 or states(new) == [State.HIBERNATED])

    asyncio.run(main())


def test_when_the_store_is_full_the_one_that_sleeps_longest_is_forgotten(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        for name in "ab":
            assert await worker.call("on", name, "store") == [1, 1]
            await until(lambda: State.IDLE not in states(worker))
        size = len(worker.service.fleet.hibernation) // 2
        worker.service.fleet.hibernation._heaps.limit = 0  # what is there is too much
        worker.service.fleet.hibernation._heaps._blocks._most = 2 * size // BLOCK
        worker.service.fleet.hibernation._heaps.limit = 2 * size
        for name in "cde":
            assert await worker.call("on", name, "store") == [1, 1]
            await until(lambda: State.IDLE not in states(worker))
        assert len(worker.service.fleet.hibernation) <= 2 * size
        assert await worker.call("on", "e", "store") == [2, 2]
        await until(lambda: State.IDLE not in states(worker))
        assert await worker.call("on", "a", "store") == [2, 1], "it was forgotten, and what it stored was not"

    run(tmp_path, test)


def test_nobody_is_forgotten_for_one_that_cannot_fit(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        for name in "ab":
            assert await worker.call("on", name, "store") == [1, 1]
            await until(lambda: State.IDLE not in states(worker))
        heaps = worker.service.fleet.hibernation._heaps
        heaps.limit = len(worker.service.fleet.hibernation) + BLOCK
        heaps._blocks._most = heaps.limit // BLOCK
        await worker.call("on", "large", "grow", 8)
        await until(lambda: State.IDLE not in states(worker) and len(lives(worker)) == 2)
        for name in "ab":
            assert await worker.call("on", name, "store") == [2, 2], "it was not forgotten"

    run(tmp_path, test)


def test_one_with_an_open_socket_is_never_forgotten(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        socket = await worker.web_socket("/own")
        await asleep(worker)
        fleet = worker.service.fleet
        heaps = fleet.hibernation._heaps
        heaps.limit = len(fleet.hibernation)
        heaps._blocks._most = heaps.limit // BLOCK
        await worker.call("on", "b", "enter")
        await until(lambda: len(lives(worker)) == 1)
        assert states(worker) == [State.HIBERNATED], (
            "the other one was evicted, as it had been without a store"
        )
        await socket.send("x")
        assert await socket.receive() == "1 x"
        await socket.close()

    run(tmp_path, test)


def test_one_that_nobody_waits_for_any_more_may_be_forgotten(tmp_path: Path) -> None:
    """It was asked for while it was written, and there was no room for it to go on."""

    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "enter")
        hibernating = worker.service.fleet.hibernation
        worker.service.fleet.has_room = lambda _: False  # type: ignore[method-assign]
        (sleeper,) = worker.service.objects._residents.values()
        (live,) = lives(worker)
        worker.service.fleet.evict(live.id)
        target = Target("Room", {}, sleeper.object_id)
        call = asyncio.create_task(worker.service.call("enter", NOTHING, target))
        await asleep(worker)
        assert not hibernating._forgettable
        call.cancel()
        await asyncio.wait((call,))
        await until(lambda: live.id in hibernating._forgettable)
        assert not hibernating.waking

    run(tmp_path, test, ObjectClass("Room"))


def test_one_with_an_open_socket_that_finds_no_room_stays_in_memory(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        socket = await worker.web_socket("/own")
        await asyncio.sleep(0.1)
        assert states(worker) == [State.BUSY]
        assert worker.service.fleet.statistics().hibernated == 0
        await socket.send("x")
        assert await socket.receive() == "1 x"
        await socket.close()

    run(tmp_path, test, fleet=FleetLimits(heaps=BLOCK))


def test_a_full_disk_evicts_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def test(worker: LoadedWorker) -> None:
        monkeypatch.setattr(os, "pwritev", refuse)
        for name in "ab":
            assert await worker.call("on", name, "store") == [1, 1]
        await until(lambda: not len(worker.service.objects))
        monkeypatch.undo()
        assert await worker.call("on", "a", "store") == [2, 1]

    with caplog.at_level(logging.WARNING):
        run(tmp_path, test)
    (line,) = [record for record in caplog.records if "cannot hibernate" in record.message]
    assert "No space left on device" in line.message


def test_a_heap_that_cannot_be_read_begins_again_with_what_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bool:
        raise HeapError("a heap of 1 bytes cannot be read: Input/output error")

    async def test(worker: LoadedWorker) -> None:
        assert await worker.call("on", "a", "store") == [1, 1]
        await asleep(worker)
        for way in ("fill_now", "fill"):  # on the loop's own thread, or on another
            monkeypatch.setattr(Heaps, way, refuse)
        assert await worker.call("on", "a", "store") == [2, 1]
        assert any("had in memory is lost" in entry.message for entry in worker.logs)
        assert worker.service.counters.lost == 1

    run(tmp_path, test)


def test_a_heap_that_cannot_be_read_ends_what_was_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bool:
        raise HeapError("a heap of 1 bytes cannot be read: Input/output error")

    async def test(worker: LoadedWorker) -> None:
        socket = await worker.web_socket("/own")
        slept = asyncio.create_task(worker.call("on", "a", "sleep", 60))
        await until(lambda: len(lives(worker)[0].invocations) == 2)
        await asleep(worker)
        monkeypatch.setattr(Heaps, "fill_now", refuse)
        assert await worker.call("on", "a", "enter") == 2, "the other call has begun again as well"
        slept.cancel()
        await asyncio.wait((slept,))
        with pytest.raises(WebSocketClosed) as caught:
            await socket.receive()
        assert caught.value.code == 1012

    run(tmp_path, test)


@pytest.mark.parametrize("megabytes", [0, 20])
def test_what_would_wait_for_the_disk_or_takes_long_is_read_on_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, megabytes: int
) -> None:
    import threading  # noqa: PLC0415

    here = []
    fill = Heaps.fill

    def watched(self: Heaps, *arguments: Any) -> Any:
        for _ in fill(self, *arguments):
            here.append(threading.current_thread() is threading.main_thread())
            yield
        here.append(threading.current_thread() is threading.main_thread())

    monkeypatch.setattr(Heaps, "fill", watched)
    if not megabytes:
        monkeypatch.setattr(Heaps, "fill_now", lambda *_: False)

    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "grow", megabytes)
        await asleep(worker)
        assert await worker.call("on", "a", "enter") == 1
        assert len(here) > megabytes // 5
        assert not any(here)

    run(tmp_path, test)


def test_a_bounded_number_is_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hibernation, "MOST_WRITING", 1)

    async def test(worker: LoadedWorker) -> None:
        for name in "abcdef":
            await worker.call("on", name, "enter")
        await asleep(worker, 6)
        for name in "abcdef":
            assert await worker.call("on", name, "enter") == 2

    run(tmp_path, test)


def test_a_closed_runtime_ends_those_that_hibernate(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        await worker.web_socket("/own")
        waits = asyncio.create_task(worker.call("on", "b", "sleep", 60))
        await asleep(worker, 2)
        await worker.aclose()
        with pytest.raises(PyworkerdError, match="its isolate was ended"):
            await waits

    run(tmp_path, test)


def test_it_leaves_no_name_and_no_secret_behind(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "enter", "MARKER-4711")
        await asleep(worker)
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert not any("heap" in path.name for path in files)
        for path in files:
            data = path.read_bytes()
            assert b"hush" not in data
            assert b"MARKER-4711" not in data

    run(tmp_path, test)


def test_another_process_wakes_it(tmp_path: Path) -> None:
    """It stays with the process that has it, and answers the other one."""

    async def main(other: Any) -> None:
        async with Runtime(options=RuntimeOptions(state_dir=tmp_path)) as runtime:
            worker = await runtime.load(
                OTHER_SOURCE,
                name="shop",
                bindings=OTHER_ROOM,
                limits=Limits(cpu_ms=5000),
                durable_objects=[ObjectClass("Room", idle_ms=20)],
            )
            assert await worker.call("on", "a", "add") == 1
            await asleep(worker)
            assert await other.does("on", "a", "add") == 2
            await asleep(worker)
            assert await other.does("on", "a", "in_memory") == 2
            assert worker.service.counters.wakes == 2

    with another(tmp_path) as other:
        asyncio.run(main(other))


def test_one_that_leaves_does_not_hibernate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resident, "LEAVE_S", 0.3)

    async def test(worker: LoadedWorker) -> None:
        slept = asyncio.create_task(worker.call("on", "a", "sleep", 60))
        await until(lambda: State.BUSY in states(worker))
        (there,) = worker.service.objects._residents.values()
        there.leave()
        with pytest.raises(PyworkerdError):
            await slept
        assert worker.service.counters.hibernations == 0

    run(tmp_path, test)
