"""Durable Objects in a runtime: one live instance, in order, bounded like any worker, and gone when they are idle."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.dispatch import resident
from pyworkerd.dispatch.fairness import Account
from pyworkerd.dispatch.invocation import CallWork
from pyworkerd.errors import (
    ExceededCpu,
    ExceededWallTime,
    NoSuchEntrypoint,
    Overloaded,
    PyworkerdError,
    WorkerException,
)
from pyworkerd.observe.scope import begin
from pyworkerd.services.base import Target
from pyworkerd_config.model import Binding, Limits, ObjectClass
from pyworkerd_isolates import wire
from pyworkerd_isolates.lifecycle import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.dispatch.resident import Resident
    from pyworkerd.loaded import LoadedWorker
    from pyworkerd.runtime import Runtime

DEFAULTS = ObjectClass("Room")
NOTHING = wire.dump_value([[], {}])
ROOM = {"ROOM": Binding("ROOM", "durable_object", "Room")}
SOURCE = {
    "worker.py": """
import asyncio
from workers import DurableObject, Response, WorkerEntrypoint

VERSION = 1

class Default(WorkerEntrypoint):
    async def on(self, name, method, *arguments):
        return await getattr(self.env.ROOM.get_by_name(name), method)(*arguments)

    async def many(self, name, count):
        return await asyncio.gather(*(self.env.ROOM.get_by_name(name).enter(n) for n in range(count)))

    async def send(self, name, body):
        answer = await self.env.ROOM.get_by_name(name).fetch("http://room/", method="POST", body=body)
        return [answer.status, await answer.text()]

    async def forged(self, text):
        from _pyworkerd import calls
        from workers import python_to_rpc
        index = self.env.ROOM._index
        return await calls.call([index, text], "enter", python_to_rpc([[], {}]))

    async def undivided(self):
        from _pyworkerd import calls
        return await calls.call([0, "0" * 64], "enter", b"")

class Room(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.guests = []

    async def fetch(self, request):
        return Response(f"{self.ctx.id} read {await request.text()}", status=201)

    async def enter(self, guest=None):
        self.guests.append(guest)
        return len(self.guests)

    async def list(self):
        return self.guests

    async def version(self):
        return VERSION

    async def twice(self, guest):
        self.guests.append(guest)
        await asyncio.sleep(0.01)
        return self.guests

    async def abort(self):
        self.ctx.abort("enough")

    async def spin(self):
        while True:
            pass

    async def trap(self):
        import _pyworkerd.outbox as outbox
        outbox.effects.append(["nonsense"])

    async def wait(self):
        await asyncio.Event().wait()

    async def other(self):
        return await self.env.ROOM.get_by_name("other").enter("from " + str(self.ctx.id)[:4])

class Loop(DurableObject):
    def __init__(self, ctx, env):
        while True:
            pass

    async def enter(self):
        pass
"""
}


def with_room(
    with_runtime: Callable[..., None],
    test: Callable[[LoadedWorker], Any],
    room: ObjectClass = DEFAULTS,
    **limits: int,
) -> None:
    async def main(runtime: Runtime) -> None:
        limits_ = Limits(**{"cpu_ms": 1000, **limits})
        worker = await runtime.load(SOURCE, bindings=ROOM, limits=limits_, durable_objects=[room])
        await test(worker)

    with_runtime(main)


def residents(worker: LoadedWorker) -> list[Resident]:
    return list(worker.service.objects._residents.values())


def test_an_object_is_one_and_keeps_what_it_has_in_memory(with_runtime: Callable[..., None]) -> None:
    async def test(worker: LoadedWorker) -> None:
        assert [await worker.call("on", "a", "enter", n) for n in range(3)] == [1, 2, 3]
        assert await worker.call("on", "b", "enter", 7) == 1
        assert await worker.call("on", "a", "list") == [0, 1, 2]
        status, text = await worker.call("send", "a", "this")
        assert status == 201
        assert text.endswith(" read this")
        assert len(residents(worker)) == 2

    with_room(with_runtime, test)


def test_calls_are_delivered_in_order_of_arrival(with_runtime: Callable[..., None]) -> None:
    async def test(worker: LoadedWorker) -> None:
        assert await worker.call("many", "a", 200) == list(range(1, 201))
        assert await worker.call("on", "a", "list") == list(range(200))
        answers = await asyncio.gather(*(worker.call("many", "b", 20) for _ in range(10)))
        assert sorted(n for answer in answers for n in answer) == list(range(1, 201))
        assert len(residents(worker)) == 2
        assert all(len(each._members) == 1 for each in residents(worker))

    with_room(with_runtime, test)


def test_objects_have_no_turns_besides_their_workers(with_runtime: Callable[..., None]) -> None:
    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "enter")
        (room,), home = residents(worker), worker.service
        accounts = {name: value for name, value in vars(home).items() if isinstance(value, Account)}
        assert len(accounts) == 4
        assert {name: getattr(room, name) for name in accounts} == accounts

    with_room(with_runtime, test)


def test_objects_call_each_other(with_runtime: Callable[..., None]) -> None:
    async def test(worker: LoadedWorker) -> None:
        assert await worker.call("on", "a", "other") == 1
        assert await worker.call("on", "other", "list") == [f"from {residents(worker)[0].object_id[:4]}"]

    with_room(with_runtime, test)


@pytest.mark.parametrize("text", ["0" * 64, "f" * 64, "ff" * 16 + "00" * 16])
def test_a_forged_id_finds_nothing(with_runtime: Callable[..., None], text: str) -> None:
    async def test(worker: LoadedWorker) -> None:
        with pytest.raises(WorkerException, match="not valid for this namespace"):
            await worker.call("forged", text)
        assert residents(worker) == []

    with_room(with_runtime, test)


@pytest.mark.parametrize("text", ["../../etc", "0" * 63, "A" * 64, ""])
def test_what_is_no_id_breaks_the_protocol(with_runtime: Callable[..., None], text: str) -> None:
    async def test(worker: LoadedWorker) -> None:
        with pytest.raises(PyworkerdError) as caught:
            await worker.call("forged", text)
        assert caught.value.code == "bad_effect"

    with_room(with_runtime, test)


def test_a_capability_without_parts_has_none(with_runtime: Callable[..., None]) -> None:
    async def test(worker: LoadedWorker) -> None:
        with pytest.raises(PyworkerdError):
            await worker.call("undivided")

    with_room(with_runtime, test)


def test_a_class_that_is_not_exported(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        bindings = {"ROOM": Binding("ROOM", "durable_object", "Nobody")}
        worker = await runtime.load(SOURCE, bindings=bindings)
        with pytest.raises(WorkerException, match="exports no Durable Object class 'Nobody'"):
            await worker.call("on", "a", "enter")
        with pytest.raises(NoSuchEntrypoint):
            await worker.service.call("enter", b"", Target("Room"))

    with_runtime(main)


@pytest.mark.parametrize(("method", "error"), [("spin", "CPU time"), ("trap", "effect"), ("abort", "enough")])
def test_what_ends_an_object_ends_that_one_alone_and_the_next_call_makes_it_anew(
    with_runtime: Callable[..., None], method: str, error: str
) -> None:
    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "enter", 1)
        await worker.call("on", "b", "enter", 1)
        with pytest.raises(PyworkerdError, match=error):
            await worker.call("on", "a", method)
        assert await worker.call("on", "a", "enter", 2) == 1
        assert await worker.call("on", "b", "enter", 2) == 2

    with_room(with_runtime, test, cpu_ms=50)


def test_a_constructor_that_never_ends(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        bindings = {"ROOM": Binding("ROOM", "durable_object", "Loop")}
        worker = await runtime.load(SOURCE, bindings=bindings, limits=Limits(cpu_ms=30))
        for _ in range(2):
            with pytest.raises(PyworkerdError, match="CPU time"):
                await worker.call("on", "a", "enter")
        assert residents(worker) == []

    with_runtime(main)


def test_an_object_that_never_answers_is_bounded_like_a_worker(with_runtime: Callable[..., None]) -> None:
    async def test(worker: LoadedWorker) -> None:
        target = Target("Room", {}, _id(worker, await worker.call("on", "a", "enter")))
        with pytest.raises(ExceededWallTime):
            await worker.service.call("wait", NOTHING, target)
        assert await worker.call("on", "a", "enter") == 2

    with_room(with_runtime, test, wall_ms=300)


def _id(worker: LoadedWorker, _: object) -> str:
    return residents(worker)[0].object_id


def test_it_is_evicted_when_it_is_idle_and_leaves_nothing_behind(with_runtime: Callable[..., None]) -> None:
    async def test(worker: LoadedWorker) -> None:
        fleet = worker.service.fleet
        await worker.call("on", "a", "enter")
        gone = residents(worker)[0]
        while gone in fleet.workers:
            await asyncio.sleep(0.01)
        known = weakref.ref(gone)
        del gone
        gc.collect()
        assert known() is None, "what it was is kept by nothing, and by no timer"
        assert residents(worker) == []
        assert len(fleet.owners) == 0
        assert await worker.call("on", "a", "enter") == 1

    with_room(with_runtime, test, ObjectClass("Room", hibernate=False, idle_ms=50))


def test_it_is_looked_at_when_it_has_been_idle_long_enough_and_no_later(
    with_runtime: Callable[..., None],
) -> None:
    """The request that it began with waited for it, and might have until `queue_ms`: that is no time to look at it."""

    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "enter")
        (there,) = residents(worker)
        while there.busy:
            await asyncio.sleep(0)
        assert there._reaper.at <= asyncio.get_running_loop().time() + 1

    with_room(with_runtime, test, ObjectClass("Room", hibernate=False, idle_ms=1000))


@pytest.mark.parametrize("hibernate", [True, False])
def test_one_that_stays_gives_way_to_others_alone(with_runtime: Callable[..., None], hibernate: bool) -> None:
    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "enter")
        (there,) = residents(worker)
        there._reap()
        await asyncio.sleep(0.05)
        assert [live.state for live in there._members.values()] == [State.IDLE]
        assert await worker.call("on", "a", "enter") == 2

    room = ObjectClass("Room", prevent_eviction=True, hibernate=hibernate, idle_ms=1)
    with_room(with_runtime, test, room)


def test_too_many_wait(with_runtime: Callable[..., None]) -> None:
    async def test(worker: LoadedWorker) -> None:
        target = Target("Room", {}, "0" * 64)
        calls = [asyncio.create_task(worker.service.call("wait", NOTHING, target)) for _ in range(4)]
        done, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            assert isinstance(task.exception(), Overloaded)
        for task in waiting:
            task.cancel()
        await asyncio.wait(calls)

    with_room(with_runtime, test, concurrency=1, queue=1, queue_ms=100)


def test_one_whose_first_call_is_refused_leaves_nothing_behind(with_runtime: Callable[..., None]) -> None:
    async def test(worker: LoadedWorker) -> None:
        target = Target("Room", {}, "0" * 64)
        there = worker.service.objects.find(target)
        there.refused = True
        with pytest.raises(Overloaded):
            await worker.service.call("enter", NOTHING, target)
        assert residents(worker) == []

    with_room(with_runtime, test)


def test_a_caller_that_has_gone_is_forgotten(with_runtime: Callable[..., None]) -> None:
    async def test(worker: LoadedWorker) -> None:
        target = Target("Room", {}, "0" * 64)
        call = asyncio.create_task(worker.service.call("wait", NOTHING, target))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait((call,))
        while any(each.busy for each in residents(worker)):
            await asyncio.sleep(0.001)

    with_room(with_runtime, test)


def test_one_that_was_asked_for_elsewhere_has_all_of_its_time(with_runtime: Callable[..., None]) -> None:
    async def test(worker: LoadedWorker) -> None:
        target = Target("Room", {}, "0" * 64)
        there = worker.service.objects.find(target)
        answer = there.loop.create_future()
        work = CallWork("enter", NOTHING, target)
        invocation = there.invocation(work, answer, copy_context(), begin()[0])
        invocation.since -= 1000.0  # with another process
        there.take_over(invocation)
        assert wire.load_value(await answer) == 1
        assert there.counters.waited_ns < 900e9

    with_room(with_runtime, test)


def test_an_object_goes_over_to_a_newer_version(
    with_runtime: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two versions of a worker, as a reload makes them: the object is live in one of them at a time."""
    newer = {"worker.py": SOURCE["worker.py"].replace("VERSION = 1", "VERSION = 2")}
    monkeypatch.setattr(resident, "LEAVE_S", 0.2)

    async def main(runtime: Runtime) -> None:
        from pyworkerd.dispatch.options import ClassOptions  # noqa: PLC0415

        old = await runtime.load(SOURCE, name="old", bindings=ROOM)
        new = await runtime.load(newer, name="new", bindings=ROOM)
        for worker in (old, new):
            worker.service.objects._options = {"Room": ClassOptions("key")}
        target = Target("Room", {}, "0" * 64)

        async def call(worker: LoadedWorker, method: str) -> bytes:
            return await worker.service.call(method, NOTHING, target)

        assert (await call(old, "version")) == wire.dump_value(1)
        slow = asyncio.create_task(call(old, "wait"))
        await asyncio.sleep(0.01)
        assert (await call(new, "version")) == wire.dump_value(2)
        with pytest.raises(PyworkerdError):
            await slow
        assert residents(old) == []
        assert (await call(old, "version")) == wire.dump_value(2)
        assert residents(old) == []
        await new.aclose()
        assert (await call(old, "version")) == wire.dump_value(1)

    with_runtime(main)


def test_a_spoiled_step_makes_others_run_again(with_runtime: Callable[..., None]) -> None:
    """A neighbour in the same step traps: those that had not answered yet are run again, alone."""

    async def test(worker: LoadedWorker) -> None:
        await worker.call("on", "a", "enter")
        calls = [worker.call("on", "a", "trap"), *(worker.call("on", "a", "enter", n) for n in range(5))]
        first, *others = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(first, PyworkerdError)
        assert all(isinstance(each, int) for each in others)

    with_room(with_runtime, test)


def test_cpu_time_is_that_of_the_object(with_runtime: Callable[..., None]) -> None:
    async def test(worker: LoadedWorker) -> None:
        target = Target("Room", {}, "0" * 64)
        with pytest.raises(ExceededCpu):
            await worker.service.call("spin", NOTHING, target)

    with_room(with_runtime, test, cpu_ms=20)
