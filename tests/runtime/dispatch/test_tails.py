"""What invocations did is told to `tail` handlers, whatever language those are in, and to nobody twice."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.bindings.arguments import bounded
from pyworkerd.dispatch import tails
from pyworkerd.dispatch.worker import Worker
from pyworkerd.errors import ExceededCpu, NoHandler, WorkerException
from pyworkerd.observe.trace_item import TraceItem
from pyworkerd_config.model import Binding, Limits, ObjectClass
from pyworkerd_isolates import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyworkerd.loaded import LoadedWorker
    from pyworkerd.runtime import Runtime

PRODUCER = """
import asyncio
from workers import DurableObject, Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = request.url.split("worker", 1)[1]
        print("asked for", path)
        if path == "/raise":
            raise ValueError("no")
        while path == "/loop":
            pass
        if path == "/wait":
            await self.env.GATE()
        if path == "/later":
            self.ctx.wait_until(self.later())
        return Response("made", status=201)

    async def later(self):
        await asyncio.sleep(0)
        print("later")

    async def add(self, a, b):
        return a + b

    async def scheduled(self, controller):
        print("due")

    async def tail(self, events):
        print("tail of", len(events))
"""
PYTHON = """
import json
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def tail(self, events):
        for event in events:
            print(json.dumps(event))
"""
JAVASCRIPT = """
export default {
  async tail(events, env, ctx) {
    for (const event of events) console.log(JSON.stringify(event));
  },
};
"""


def told(worker: LoadedWorker) -> list[Any]:
    return [json.loads(entry.message) for entry in worker.logs]


async def loaded(runtime: Runtime, listeners: Sequence[str] = ("t",), **bindings: Any) -> LoadedWorker:
    limits = Limits(cpu_ms=50)
    return await runtime.load(
        {"w.py": PRODUCER}, name="shop", tails=listeners, bindings=bindings, limits=limits
    )


@pytest.mark.parametrize("sources", [{"t.py": PYTHON}, {"t.js": JAVASCRIPT}], ids=["python", "javascript"])
def test_requests_calls_and_handlers_are_told(
    with_runtime: Callable[..., None], sources: dict[str, str]
) -> None:
    async def main(runtime: Runtime) -> None:
        tail = await runtime.load(sources, name="t")
        shop = await loaded(runtime)
        await (await shop.fetch("/later", headers={"Cookie": "c", "Accept": "a"})).aclose()
        await runtime.quiet()
        with pytest.raises(WorkerException):
            await shop.fetch("/raise")
        assert await shop.call("add", 1, 2) == 3
        await shop.scheduled("0 3 * * *", datetime(2026, 1, 1, 3, tzinfo=UTC))
        await runtime.quiet()
        made, raised, called, due = told(tail)
        assert (made["scriptName"], made["outcome"], made["executionModel"]) == ("shop", "ok", "stateless")
        assert made["event"]["request"]["method"] == "GET"
        assert made["event"]["request"]["headers"] == {"cookie": "REDACTED", "accept": "a"}
        assert made["event"]["response"] == {"status": 201}
        assert [(log["level"], log["message"]) for log in made["logs"]] == [
            ("log", ["asked for /later"]), ("log", ["later"]),
        ]  # fmt: skip
        assert made["cpuTime"] > 0
        assert raised["outcome"] == "exception"
        (exception,) = raised["exceptions"]
        assert (exception["name"], exception["message"]) == ("ValueError", "no")
        assert 'raise ValueError("no")' in exception["stack"]
        assert [log["message"] for log in raised["logs"]] == [["asked for /raise"]]
        assert (called["event"], called["outcome"]) == ({"rpcMethod": "add"}, "ok")
        assert due["event"] == {"cron": "0 3 * * *", "scheduledTime": 1767236400000}

    with_runtime(main)


def test_how_an_invocation_ended(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        gate = asyncio.Event()
        tail = await runtime.load({"t.py": PYTHON}, name="t")
        shop = await loaded(runtime, GATE=gate.wait)
        with pytest.raises(ExceededCpu):
            await shop.fetch("/loop")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(shop.fetch("/wait"), 0.2)
        await runtime.quiet()
        assert [event["outcome"] for event in told(tail)] == ["exceededCpu", "canceled"]

    with_runtime(main)


def test_invocations_of_tail_handlers_are_told_to_nobody(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        shop = await loaded(runtime, ["shop"])
        await (await shop.fetch("/")).aclose()
        await runtime.quiet()
        assert [entry.message for entry in shop.logs] == ["asked for /", "tail of 1"]

    with_runtime(main)


def test_what_tail_handlers_cause_is_told_to_nobody(with_runtime: Callable[..., None]) -> None:
    calling = """
from workers import WorkerEntrypoint
times = []
class Default(WorkerEntrypoint):
    async def tail(self, events):
        print(len(events))
        times.append(len(events))
        if len(times) < 10:
            await self.env.SHOP.fetch("http://worker/again")
            await self.env.SHOP.add(1, 2)
"""

    async def main(runtime: Runtime) -> None:
        shop = await loaded(runtime)
        tail = await runtime.load({"t.py": calling}, name="t", bindings={"SHOP": shop})
        await (await shop.fetch("/")).aclose()
        await runtime.quiet()
        await (await shop.fetch("/")).aclose()
        await runtime.quiet()
        assert [entry.message for entry in shop.logs] == ["asked for /", "asked for /again"] * 2
        assert [entry.message for entry in tail.logs] == ["1", "1"]

    with_runtime(main)


def test_what_ends_while_the_tail_workers_are_busy_is_told_together_and_only_so_much_waits(
    with_runtime: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "MAX_WAITING", 3)
    slow = (
        "from workers import WorkerEntrypoint\nclass Default(WorkerEntrypoint):\n"
        "    async def tail(self, events):\n        print(len(events))\n        await self.env.GATE()\n"
    )

    async def main(runtime: Runtime) -> None:
        gate = asyncio.Event()
        tail = await runtime.load({"t.py": slow}, name="t", bindings={"GATE": gate.wait})
        shop = await loaded(runtime)
        await (await shop.fetch("/first")).aclose()
        while not tail.logs:
            await asyncio.sleep(0.001)
        for _ in range(5):
            await (await shop.fetch("/more")).aclose()
        await asyncio.sleep(0)
        gate.set()
        await runtime.quiet()
        assert [entry.message for entry in tail.logs] == ["1", "3"]
        assert [entry.message for entry in shop.logs if entry.level == "warning"] == [
            "2 invocations were not told to t: too slow to keep up"
        ]

    with_runtime(main)


def test_a_tail_worker_that_fails_or_is_none_harms_nobody(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        await runtime.load({"a.py": PRODUCER.replace("print(", "1 / 0, print(")}, name="a")
        await runtime.load({"b.js": "export default { fetch() {} };"}, name="b")
        tail = await runtime.load({"t.py": PYTHON}, name="t")
        shop = await loaded(runtime, ["a", "b", "nobody", "t"])
        assert (await shop.fetch("/")).status == 201
        await runtime.quiet()
        assert len(told(tail)) == 1
        assert [entry.message for entry in shop.logs if entry.level == "error"] == [
            "the tail worker 'a' failed: ZeroDivisionError: division by zero",
            "the tail worker 'b' failed: the entrypoint has no tail() handler",
            "the tail worker 'nobody' failed: there is no worker named 'nobody'; there are: none",
        ]

    with_runtime(main)


def test_of_a_batch_of_messages_its_size_is_told(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        tail = await runtime.load({"t.py": PYTHON}, name="t")
        shop = await loaded(runtime)
        batch = wire.dump_value({"queue": "jobs", "messages": []})
        with pytest.raises(NoHandler):
            await shop.service.handle("queue", batch, about={"queue": "jobs", "batchSize": 7})
        await runtime.quiet()
        assert [event["event"] for event in told(tail)] == [{"queue": "jobs", "batchSize": 7}]

    with_runtime(main)


def test_what_does_not_fit_is_left_out_and_the_rest_is_told(
    with_runtime: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "MAX_CHARACTERS", 400_000)
    # More than may wait, as exceptions, which no limit of a worker's log counts.
    verbose = """
from workers import Response, WorkerEntrypoint
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        from _pyworkerd import invocation, outbox
        (number,) = invocation.running
        for _ in range(10):
            outbox.effects.append(["fail", number, "exception", "E", "", "x" * 60_000])
        return Response("made")
"""

    async def main(runtime: Runtime) -> None:
        counting = PYTHON.replace("event))", '[len(event["exceptions"]), event["truncated"]]))')
        tail = await runtime.load({"t.py": counting}, name="t")
        shop = await runtime.load({"w.py": verbose}, name="shop", tails=["t"])
        with pytest.raises(WorkerException):
            await shop.fetch("/")
        await runtime.quiet()
        assert told(tail) == [[4, True]]

    with_runtime(main)


def test_once_it_is_closed_nothing_is_told_any_more(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        tail = await runtime.load({"t.py": PYTHON}, name="t")
        shop = await loaded(runtime)
        worker, listeners = shop.service, shop.service.options.tails
        assert isinstance(worker, Worker)
        assert listeners is not None
        listeners.ended(worker, TraceItem("shop", None, {}, "stateless", 0), 0.0)
        await listeners.aclose()  # its task has not begun
        listeners.ended(worker, TraceItem("shop", None, {}, "stateless", 0), 0.0)
        assert not listeners.telling
        await listeners.quiet()
        assert not tail.logs

    with_runtime(main)


@pytest.mark.parametrize("path", ["tailed", "works on"])
def test_a_worker_with_objects_in_memory_comes_to_rest(with_runtime: Callable[..., None], path: str) -> None:
    """Whether the last request ends while tail workers are told, or while an object goes on by itself."""
    source = """
import asyncio
from workers import DurableObject, Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        await self.env.ROOM.get_by_name("a").enter(False)
        await self.env.GATE()
        await self.env.ROOM.get_by_name("a").enter(request.url.endswith("on"))
        return Response("made")

class Room(DurableObject):
    async def enter(self, stays):
        if stays:
            self.ctx.wait_until(asyncio.sleep(0.05))
"""

    async def main(runtime: Runtime) -> None:
        arrived, opened = asyncio.Event(), asyncio.Event()

        async def gate() -> None:
            arrived.set()
            await opened.wait()

        await runtime.load({"t.py": PYTHON}, name="t")
        bindings = {"GATE": gate, "ROOM": Binding("ROOM", "durable_object", "Room")}
        listeners = ["t"] if path == "tailed" else []
        shop = await runtime.load(
            {"w.py": source}, bindings=bindings, durable_objects=[ObjectClass("Room")], tails=listeners
        )
        asking = asyncio.create_task(shop.fetch(f"/{path[-2:]}"))
        await arrived.wait()
        await asyncio.sleep(0.02)  # the object's own call has ended, and was told
        resting = asyncio.create_task(runtime.quiet())
        await asyncio.sleep(0)
        opened.set()
        await (await asking).aclose()
        await resting
        assert not shop.service.busy

    with_runtime(main)


def item(*messages: str) -> dict[str, Any]:
    gathered = TraceItem("shop", None, {}, "stateless", 0)
    for message in messages:
        gathered.log("info", message, 0)
    return gathered.finish(0, 0)


@pytest.mark.parametrize(
    "items",
    [
        [item("hello"), item()],
        [item("x" * 200_000)] * 8,
        [item("\u044f" * 100_000, "\u044f" * 100_000)] * 2,
        [item(*[""] * 4000)] * 5,
        [item(*['"[{,'] * 3000)] * 3,
    ],
    ids=["few", "long", "foreign", "many", "marks"],
)
def test_whatever_was_gathered_is_written_so_that_a_handler_may_be_given_it(
    items: list[dict[str, Any]],
) -> None:
    values = tails.written(items)
    told = [each for value in values for each in wire.load_value(bounded(value, "it"), max_size=1 << 24)]
    assert len(told) == len(items)
    for before, after in zip(items, told, strict=True):
        assert after["logs"] == before["logs"][: len(after["logs"])]
        assert bool(after["logs"]) == bool(before["logs"])
        assert after["truncated"] == (len(after["logs"]) < len(before["logs"]))
    assert len(values) <= len(items)
