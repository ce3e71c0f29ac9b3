"""The pool's shell: who gets an isolate, who waits, who is refused; and the end of it all."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from pyworkerd.dispatch.fleet import FleetLimits
from pyworkerd.dispatch.invocation import Invocation
from pyworkerd.errors import (
    BodyTooLarge,
    ConfigurationError,
    ExceededCpu,
    ExceededWallTime,
    NoSuchEntrypoint,
    Overloaded,
    PyworkerdError,
)
from pyworkerd.messages import Body, Request
from pyworkerd.runtime import RuntimeOptions
from pyworkerd_config.model import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pyworkerd.runtime import Runtime

SOURCE = {
    "worker.py": """
import asyncio
from workers import Response, WorkerEntrypoint

counter = 0

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        global counter
        counter += 1
        path = request.url.split("worker", 1)[1]
        while path == "/loop":
            pass
        if path == "/wait":
            await self.env.GATE()
        if path == "/echo":
            return Response(request.body)
        return Response(str(counter))

    async def name(self):
        return self.env.NAME
"""
}


class Gate:
    """A binding that answers when the test says so."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.waiting = 0

    async def __call__(self) -> None:
        self.waiting += 1
        await self.opened.wait()


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until it is so; the test's own time limit ends it otherwise."""
    while not condition():
        await asyncio.sleep(0)


async def outcomes(*fetches: Any) -> list[Any]:
    """Texts and exceptions."""
    answers = await asyncio.gather(*fetches, return_exceptions=True)
    return [answer if isinstance(answer, BaseException) else await answer.text() for answer in answers]


# reuse --------------------------------------------------------------------------------------------------------------


def test_an_isolate_is_reused(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        assert [await (await worker.fetch("/")).text() for _ in range(20)] == [str(i) for i in range(1, 21)]
        assert runtime.statistics().started == 1

    with_runtime(main)


def test_with_reuse_request_every_request_has_its_own_isolate(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE, reuse="request")
        assert await outcomes(*(worker.fetch("/") for _ in range(30))) == ["1"] * 30
        await until(lambda: runtime.statistics().isolates == 0)
        assert runtime.statistics().started == 30

    with_runtime(main)


def test_fresh_isolates_leave_no_memory_behind(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE, reuse="request")
        process = psutil.Process(os.getpid())

        async def some(count: int) -> int:
            for _ in range(count):
                assert await (await worker.fetch("/")).text() == "1"
            return int(process.memory_info().rss)

        before = await some(100)
        after = await some(400)
        assert after - before < 400 * 40_000  # an isolate has 200 KB and more of its own

    with_runtime(main)


# overload -----------------------------------------------------------------------------------------------------------


def test_more_than_isolates_and_queue_hold_is_refused_at_once(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        gate = Gate()
        limits = Limits(isolates=2, concurrency=3, queue=4)
        worker = await runtime.load(SOURCE, bindings={"GATE": gate}, limits=limits)
        tasks = [asyncio.create_task(worker.fetch("/wait")) for _ in range(12)]
        await until(lambda: gate.waiting == 6 and sum(task.done() for task in tasks) == 2)
        refused = [task.exception() for task in tasks if task.done()]
        assert [type(error) for error in refused] == [Overloaded, Overloaded]
        assert [(error.status, error.retry_after) for error in refused if isinstance(error, Overloaded)] == [
            (503, 1)
        ] * 2
        gate.opened.set()
        assert len([out for out in await outcomes(*tasks) if isinstance(out, str)]) == 10

    with_runtime(main)


def test_who_waits_gets_the_place_of_the_first_that_is_done(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        gates = [Gate(), Gate()]
        calls = iter(gates)

        async def gate() -> None:
            await next(calls, gates[1])()

        limits = Limits(isolates=1, concurrency=2)
        worker = await runtime.load(SOURCE, bindings={"GATE": gate}, limits=limits)
        first, second, third = (asyncio.create_task(worker.fetch(path)) for path in ("/wait", "/wait", "/"))
        await until(lambda: gates[0].waiting == gates[1].waiting == 1)
        gates[0].opened.set()
        # The second still holds the isolate: it never rests, and yet there is room.
        assert await (await first).text() == "2"
        assert await (await third).text() == "3"
        assert not second.done()
        gates[1].opened.set()
        await second

    with_runtime(main)


def test_who_waits_for_too_long_is_refused(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        gate = Gate()
        limits = Limits(isolates=1, concurrency=1, queue_ms=30)
        worker = await runtime.load(SOURCE, bindings={"GATE": gate}, limits=limits)
        holding = asyncio.create_task(worker.fetch("/wait"))
        await until(lambda: gate.waiting == 1)
        with pytest.raises(Overloaded):
            await worker.fetch("/")
        assert not holding.done()
        gate.opened.set()
        await holding

    with_runtime(main)


@pytest.mark.parametrize("limits", [Limits(queue_ms=0), Limits(queue=0)])
def test_without_a_queue_what_finds_room_is_served(limits: Limits, with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        gate = Gate()
        worker = await runtime.load(SOURCE, bindings={"GATE": gate}, limits=limits)
        tasks = [asyncio.create_task(worker.fetch("/wait")) for _ in range(500)]
        await until(lambda: gate.waiting + sum(task.done() for task in tasks) == 500)
        assert gate.waiting >= 100
        gate.opened.set()
        served = [out for out in await outcomes(*tasks) if isinstance(out, str)]
        assert len(served) == gate.waiting

    with_runtime(main)


def test_a_caller_who_leaves_the_queue_makes_room(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        gate = Gate()
        limits = Limits(isolates=1, concurrency=1, queue=1)
        worker = await runtime.load(SOURCE, bindings={"GATE": gate}, limits=limits)
        holding = asyncio.create_task(worker.fetch("/wait"))
        queued = asyncio.create_task(worker.fetch("/"))
        await until(lambda: gate.waiting == 1 and bool(worker.service._waiting))
        queued.cancel()
        await asyncio.wait([queued])
        after = asyncio.create_task(worker.fetch("/"))
        await until(lambda: bool(worker.service._waiting))
        gate.opened.set()
        assert await outcomes(holding, after) == ["1", "2"]

    with_runtime(main)


def test_wall_time_frees_the_isolate_for_who_waits(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        gate = Gate()
        limits = Limits(isolates=2, concurrency=1, wall_ms=200, cpu_ms=1000)
        worker = await runtime.load(SOURCE, bindings={"GATE": gate}, limits=limits)
        service = worker.service
        held = [asyncio.create_task(worker.fetch("/wait")) for _ in range(3)]
        results = await outcomes(*held)
        assert {type(result) for result in results} <= {ExceededWallTime}
        await until(lambda: not service._waiting)

    with_runtime(main)


# what all workers share ---------------------------------------------------------------------------------------------


def test_an_idle_isolate_makes_room_for_another_worker(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        workers = [await runtime.load(SOURCE) for _ in range(4)]
        for worker in workers:
            assert await (await worker.fetch("/")).text() == "1"
        assert runtime.statistics().isolates == 2
        assert await (await workers[3].fetch("/")).text() == "2"
        assert await (await workers[0].fetch("/")).text() == "1"

    with_runtime(main, options=RuntimeOptions(fleet=FleetLimits(isolates=2)))


def test_who_waits_for_room_gets_it_when_another_worker_rests(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        gate = Gate()
        holder = await runtime.load(SOURCE, bindings={"GATE": gate})
        hungry = await runtime.load(SOURCE, limits=Limits(queue_ms=60_000))
        holding = asyncio.create_task(holder.fetch("/wait"))
        await until(lambda: gate.waiting == 1)
        waiting = asyncio.create_task(hungry.fetch("/"))
        await until(lambda: bool(hungry.service._waiting))
        gate.opened.set()
        assert await outcomes(holding, waiting) == ["1", "1"]

    with_runtime(main, options=RuntimeOptions(fleet=FleetLimits(isolates=1)))


def test_many_starts_at_once_keep_the_maximum(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        gate = Gate()
        workers = [await runtime.load(SOURCE, bindings={"GATE": gate}, reuse="request") for _ in range(3)]
        tasks = [asyncio.create_task(worker.fetch("/wait")) for worker in workers for _ in range(5)]
        await until(lambda: gate.waiting == 4)
        assert runtime.statistics().isolates == 4
        gate.opened.set()
        assert await outcomes(*tasks) == ["1"] * 15

    with_runtime(main, options=RuntimeOptions(fleet=FleetLimits(isolates=4)))


# bodies and targets -------------------------------------------------------------------------------------------------


def test_a_body_beyond_its_limit_is_refused(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE, limits=Limits(request_body_mb=1))
        closed = asyncio.Event()

        async def chunks() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x" * 100_000
            finally:
                closed.set()

        with pytest.raises(BodyTooLarge):
            await worker.fetch("/echo", method="POST", body=b"x" * (1024 * 1024 + 1))
        response = await worker.fetch("/echo", method="POST", body=chunks())
        with pytest.raises(BodyTooLarge):
            await response.read()
        assert closed.is_set()

    with_runtime(main)


def test_an_entrypoint_that_does_not_exist(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        with pytest.raises(NoSuchEntrypoint):
            await worker.fetch("/", entrypoint="Nobody")
        assert runtime.statistics().started == 0

    with_runtime(main)


def test_props_that_cannot_be_sent_reach_no_isolate(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        with pytest.raises(TypeError, match="props"):
            await worker.fetch("/", props={"object": object()})
        assert runtime.statistics().started == 0

    with_runtime(main)


# the end ------------------------------------------------------------------------------------------------------------


def test_closing_answers_whoever_waits(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        gate = Gate()
        limits = Limits(isolates=1, concurrency=2)
        worker = await runtime.load(SOURCE, bindings={"GATE": gate}, limits=limits)
        tasks = [asyncio.create_task(worker.fetch("/wait")) for _ in range(4)]
        await until(lambda: gate.waiting == 2)
        await worker.aclose()
        results = await outcomes(*tasks)
        assert all(isinstance(result, PyworkerdError) and result.status == 503 for result in results)
        await worker.aclose()
        with pytest.raises(Overloaded):
            await worker.fetch("/")

    with_runtime(main)


def test_closing_the_runtime_while_everything_runs(with_runtime: Callable[..., None]) -> None:
    tasks: list[asyncio.Task[Any]] = []

    async def main(runtime: Runtime) -> None:
        gate = Gate()
        worker = await runtime.load(SOURCE, bindings={"GATE": gate}, limits=Limits(cpu_ms=200))

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 10_000

        tasks.extend(
            [
                asyncio.create_task(worker.fetch("/wait")),
                asyncio.create_task(worker.fetch("/loop")),
                asyncio.create_task(worker.fetch("/echo", method="POST", body=endless())),
            ]
        )
        await until(lambda: gate.waiting == 1)
        await runtime.aclose()
        await runtime.aclose()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result).__name__ for result in results[:2]] == ["IsolateLost", "IsolateLost"]

    with_runtime(main)


def test_a_name_is_given_once(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        first = await runtime.load(SOURCE, name="same")
        with pytest.raises(ConfigurationError, match="same"):
            await runtime.load(SOURCE, name="same")
        assert await (await first.fetch("/")).text() == "1"
        await first.aclose()
        again = await runtime.load(SOURCE, name="same")
        await first.aclose()
        assert await (await again.fetch("/")).text() == "1"

    with_runtime(main)


def test_an_answer_that_comes_as_its_caller_leaves_is_closed(
    with_runtime: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        closed = asyncio.Event()
        give = Invocation.succeed

        def succeed(self: Invocation, value: Any) -> None:
            give(self, value)
            task.cancel()

        class Source:
            def __aiter__(self) -> Any:
                return self

            async def __anext__(self) -> bytes:
                return b"x"

            async def aclose(self) -> None:
                closed.set()

        monkeypatch.setattr(Invocation, "succeed", succeed)
        request = Request("POST", "http://worker/echo", (), Body(chunks=Source()))
        task = asyncio.create_task(worker.fetch(request))
        with pytest.raises(asyncio.CancelledError):
            await task
        await closed.wait()
        await until(lambda: runtime.statistics().idle == 1)

    with_runtime(main)


def test_loops_leave_no_isolate_behind(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE, limits=Limits(cpu_ms=10))
        results = await outcomes(*(worker.fetch("/loop") for _ in range(10)), worker.fetch("/"))
        assert {type(result) for result in results[:10]} == {ExceededCpu}
        assert results[10] == "1"
        assert runtime.statistics().isolates <= 4

    with_runtime(main)
