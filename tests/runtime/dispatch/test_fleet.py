"""What all workers share: engine, threads, and the account of isolates and memory."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest
from pyworkerd.dispatch.fleet import FED, Fleet, FleetLimits
from pyworkerd.dispatch.threads import CORES
from pyworkerd.errors import Overloaded
from pyworkerd_isolates.bundle import Bundle
from pyworkerd_isolates.component import compiler
from pyworkerd_isolates.component.compiler import compiled
from pyworkerd_isolates.errors import IsolateError
from pyworkerd_isolates.limits import Limits

from tests.isolates.component.programs import HELLO, compiled_here

if TYPE_CHECKING:
    from pyworkerd_isolates.image import Image


class Timers:
    """An event loop that never calls."""

    def call_later(self, *_: object) -> None:
        """Forget it."""


class Isolate:
    """As much of one as the account knows."""

    loop = Timers()

    def __init__(self, number: int, idle_since: float = 0.0) -> None:
        self.id = number
        self.idle_since = idle_since
        self.ended = 0

    def give_way(self) -> None:
        self.ended += 1


class Hungry:
    """A worker that waits for room."""

    cost = 1

    def __init__(self) -> None:
        self.called = 0

    def plan_soon(self) -> None:
        self.called += 1


def lives(count: int) -> list[Any]:
    return [Isolate(number, float(number)) for number in range(1, count + 1)]


def test_the_account() -> None:
    fleet = Fleet(FleetLimits(isolates=10, memory=1000))
    first, second = lives(2)
    fleet.born(first, 100)
    fleet.born(second, 100)
    fleet.grown(first, 240)
    fleet.holds(first.id, 15)
    fleet.holds(first.id, -5)
    assert fleet.cost_of(first) == 250
    fleet.rests(first)
    shared = fleet.shared()
    assert (shared.isolates, shared.maximum, shared.used, shared.budget) == (2, 10, 350, 1000)
    statistics = fleet.statistics()
    assert (statistics.isolates, statistics.idle, statistics.memory, statistics.started) == (2, 1, 350, 2)
    fleet.died(first)
    fleet.died(first)
    fleet.grown(first, 999)
    fleet.holds(first.id, 999)
    assert fleet.statistics().memory == 100
    assert fleet.statistics().idle == 0
    fleet.close()


def test_the_least_recently_used_come_first() -> None:
    fleet = Fleet()
    first, second, third = lives(3)
    for live in (first, second, third):
        fleet.born(live, 1)
        fleet.rests(live)
    fleet.works(first)
    fleet.rests(first)
    idle = fleet.shared().idle
    assert [one.id for one in idle] == [2, 3, 1]
    assert [one.id for one in idle] == [2, 3, 1]
    fleet.close()


def test_only_the_idle_are_evicted() -> None:
    fleet = Fleet()
    idle, busy = lives(2)
    for live in (idle, busy):
        fleet.born(live, 1)
        fleet.rests(live)
    fleet.works(busy)
    fleet.evict(idle.id)
    fleet.evict(busy.id)
    fleet.evict(4711)
    assert (idle.ended, busy.ended) == (1, 0)
    fleet.close()


def test_who_waits_for_room_hears_of_it() -> None:
    fleet = Fleet()
    (live,) = lives(1)
    worker = Hungry()
    hungry = cast("Any", worker)
    fleet.born(live, 1)
    fleet.hungers(hungry, True)
    fleet.rests(live)
    assert worker.called == 1
    fleet.died(live)
    assert worker.called == 2
    fleet.hungers(hungry, False)
    fleet.hungers(hungry, False)
    fleet.rests(live)
    assert worker.called == 2
    fleet.close()


def test_some_of_those_that_wait_for_room_look_again_and_next_time_others() -> None:
    fleet = Fleet()
    (live,) = lives(1)
    waiting = [Hungry() for _ in range(2 * FED + 1)]
    for worker in waiting:
        fleet.hungers(cast("Any", worker), True)
    fleet.rests(live)
    assert [worker.called for worker in waiting] == [1] * FED + [0] * (FED + 1)
    fleet.rests(live)
    fleet.rests(live)
    assert [worker.called for worker in waiting] == [2] * (FED - 1) + [1] * (FED + 2)
    fleet.close()


def test_the_engine_is_loaded_once() -> None:
    async def main() -> None:
        fleet = Fleet()
        engines = await asyncio.gather(*(fleet.open() for _ in range(4)))
        assert len(set(map(id, engines))) == 1
        await asyncio.to_thread(fleet.close)
        with pytest.raises(Overloaded):
            await fleet.run(int)

    asyncio.run(main())


def test_an_image_that_nobody_waits_for_any_more_when_the_end_comes() -> None:
    async def main() -> None:
        failures: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        fleet, asked, go_on = Fleet(), threading.Event(), threading.Event()
        await fleet.open()
        assert fleet.images is not None
        real = fleet.images.get

        def get(*arguments: Any) -> Any:
            asked.set()
            go_on.wait()
            return real(*arguments)

        fleet.images.get = get  # type: ignore[method-assign]
        asking = asyncio.create_task(fleet.image(Bundle.of({"w.py": "value = 1"}), Limits(startup_ms=10_000)))
        await asyncio.sleep(0)
        while not asked.is_set():
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        go_on.set()
        fleet.close()  # on this thread: what the other one has left for the loop comes after it
        for _ in range(10):
            await asyncio.sleep(0)
        assert failures == []

    asyncio.run(main())


def test_nothing_waits_for_a_compiler_and_it_ends_with_the_fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "compiled", compiled_here)
    binaries = [b"\0asm\1\0\0\0" + bytes((number,)) for number in range(2 * CORES)]
    limits = Limits()

    async def get(fleet: Fleet, binary: bytes) -> Image:
        return await fleet.image(Bundle.of({"a.wasm": binary}), limits)

    async def main() -> None:
        fleet = Fleet()
        assert (await get(fleet, HELLO)).memory_size
        assert fleet.images is not None
        monkeypatch.setattr(compiler, "compiled", compiled)
        monkeypatch.setattr(compiler, "_RUN", "import time; time.sleep(600)")
        waiting = [asyncio.create_task(get(fleet, binary)) for binary in binaries]
        while len(fleet.images._children._running) < CORES:
            assert not any(each.done() for each in waiting)
            await asyncio.sleep(0.01)
        assert await fleet.run(str, 5) == "5"
        assert not (await get(fleet, HELLO)).built
        await asyncio.to_thread(fleet.close)
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(end, IsolateError) for end in ends)

    asyncio.run(main())
