"""What an isolate lends and holds: whose it is, when it ends, where its calls arrive, and how much there may be."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd import Limits
from pyworkerd.dispatch import stubs
from pyworkerd.errors import WorkerException
from pyworkerd_config.model import Binding, ObjectClass

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.loaded import LoadedWorker
    from pyworkerd.runtime import Runtime

LENDER = {
    "lender.py": """
import asyncio

from workers import DurableObject, RpcTarget, WorkerEntrypoint

LIVES = []


class Thing(RpcTarget):
    def __init__(self):
        self.calls = 0

    def where(self):
        self.calls += 1
        return [id(LIVES), self.calls]

    async def slow(self):
        await asyncio.sleep(3600)

    def spin(self):
        while True:
            pass

    async def back(self, callback, level=0):
        return await callback(level + 1)

    def _disposed(self):
        print("disposed")


class Default(WorkerEntrypoint):
    async def thing(self):
        return Thing()

    async def where(self):
        return id(LIVES)

    async def many(self, number):
        return [Thing() for _ in range(number)]

    async def call(self, callback):
        return await callback()

    async def later(self, callback):
        self.ctx.waitUntil(self._later(callback.dup()))

    async def _later(self, callback):
        await self.env.PAUSE()
        try:
            print(await callback())
        except Exception as error:
            print(error.code)

    async def call_many(self, callbacks):
        return len(callbacks)

    async def echo(self, value):
        return value


class Room(DurableObject):
    async def thing(self):
        return Thing()
"""
}
BORROWER = {
    "borrower.py": """
import asyncio

from workers import Response, WorkerEntrypoint

KEPT = []


async def outcome(call):
    try:
        return await call
    except Exception as error:
        return [getattr(error, "code", type(error).__name__), str(error)]


class Default(WorkerEntrypoint):
    async def run(self, code):
        space = {"self": self, "S": self.env.S, "outcome": outcome, "asyncio": asyncio, "KEPT": KEPT, "env": self.env}
        exec("async def main():\\n" + "".join(f"    {line}\\n" for line in code.split("\\n")), space)
        return await space["main"]()
"""
}


def lives(worker: LoadedWorker) -> list[Any]:
    return list(worker.service._members.values())


def lent(worker: LoadedWorker) -> int:
    return sum(len(live.stubs._lent) for live in lives(worker))


async def pair(runtime: Runtime, **limits: Any) -> tuple[LoadedWorker, LoadedWorker]:
    lender = await runtime.load(LENDER, limits=Limits(**limits))
    return lender, await runtime.load(BORROWER, bindings={"S": lender})


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


def test_calls_arrive_in_the_isolate_that_lends_and_in_no_other(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        lender, borrower = await pair(runtime, concurrency=1)
        places = await borrower.call(
            "run",
            "things = await asyncio.gather(*(S.thing() for _ in range(2)))\n"
            "found = [await thing.where() for thing in things for _ in range(2)]\n"
            "return found",
        )
        assert len(lives(lender)) == 2
        assert [calls for _, calls in places] == [1, 2] * 2

    with_runtime(main)


def test_what_is_lent_keeps_its_invocation_and_its_isolate_busy(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        lender, borrower = await pair(runtime)
        holding = asyncio.create_task(
            borrower.call("run", "KEPT.append(await S.thing())\nawait asyncio.sleep(3600)")
        )
        await until(lambda: lent(lender) == 1)
        await asyncio.sleep(0.01)
        (live,) = lives(lender)
        assert (live.state.value, len(live.invocations), lender.logs) == ("busy", 1, [])
        holding.cancel()
        await until(lambda: live.state.value == "idle")
        assert lent(lender) == 0
        assert [entry.message for entry in lender.logs] == ["disposed"]
        late = await borrower.call("run", "return await outcome(KEPT[0].where())")
        assert late == ["RuntimeError", "RPC stub used after the request that it came with has ended."]

    with_runtime(main)


DISPOSERS = {
    "w.py": """
from workers import RpcTarget, WorkerEntrypoint

class Holder(RpcTarget):
    def _disposed(self):
        for each in self.kept:
            each.dispose()
        print("let go")
        raise SystemExit

class Default(WorkerEntrypoint):
    async def lend(self):
        holder = Holder()
        holder.kept = await self.env.S.many(20)
        await self.env.S.later(holder)
""",
    "w.js": """
import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

class Holder extends RpcTarget {
  [Symbol.dispose]() {
    for (const each of this.kept) each[Symbol.dispose]();
    console.log("let go");
    throw new Error();
  }
}
export default class extends WorkerEntrypoint {
  async lend() {
    const holder = new Holder();
    holder.kept = await this.env.S.many(20);
    await this.env.S.later(holder);
  }
}
""",
}


@pytest.mark.parametrize("name", DISPOSERS)
def test_what_is_disposed_of_with_its_invocation_may_let_go_of_others(
    name: str, with_runtime: Callable[..., None]
) -> None:
    async def main(runtime: Runtime) -> None:
        lender = await runtime.load(LENDER, bindings={"PAUSE": asyncio.Event().wait})
        worker = await runtime.load({name: DISPOSERS[name]}, bindings={"S": lender})
        await worker.call("lend")
        await until(lambda: not any(live.invocations for live in lives(worker)))
        assert worker.logs[0].message == "let go"
        assert lent(lender) == 0

    with_runtime(main)


def test_an_invocation_whose_loans_nobody_uses_is_ended(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        reached, go_on = asyncio.Event(), asyncio.Event()

        async def pause() -> None:
            reached.set()
            await go_on.wait()
            go_on.clear()

        lender = await runtime.load(LENDER)
        borrower = await runtime.load(BORROWER, bindings={"S": lender, "PAUSE": pause})
        code = (
            "thing = await S.thing()\n"
            "for _ in range(2):\n    await env.PAUSE()\n    KEPT.append(await outcome(thing.where()))\n"
            "return KEPT"
        )
        asking = asyncio.create_task(borrower.call("run", code))
        await reached.wait()
        reached.clear()
        (live,) = lives(lender)
        (loan,) = live.stubs._lent.values()
        assert loan.owner.answered()
        until_then = loan.owner.expiry._waiting[loan.owner]
        go_on.set()
        await reached.wait()
        assert loan.owner.timer.when() > until_then
        live.expire(loan.owner)
        await until(lambda: live.state.value == "idle")
        go_on.set()
        found = await asking
        assert (found[0][1], found[1][0]) == (1, "broken_stub")

    with_runtime(main)


def test_a_stub_whose_isolate_has_ended_says_so(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        lender, borrower = await pair(runtime, cpu_ms=20)
        found = await borrower.call(
            "run",
            "one, other = await S.thing(), await S.thing()\n"
            "waits = asyncio.ensure_future(outcome(one.slow()))\nawait asyncio.sleep(0.01)\n"
            "return [await outcome(other.spin()), await waits]"
            "+ [await outcome(each.where()) for each in (one, other)]",
        )
        assert [code for code, _ in found] == ["exceeded_cpu", "isolate_lost", "broken_stub", "broken_stub"]
        assert "has ended" in found[2][1]
        assert (await lender.call("where")) > 0

    with_runtime(main)


def test_a_callback_is_not_run_again_in_another_isolate(with_runtime: Callable[..., None]) -> None:
    """What it was lent from is gone with the isolate."""

    async def main(runtime: Runtime) -> None:
        lender, borrower = await pair(runtime)
        code = (
            "def callback():\n    KEPT.append(1)\n    while True:\n        pass\n"
            "return await outcome(S.call(callback))"
        )
        with pytest.raises(Exception, match="isolate"):
            await borrower.call("run", code)
        assert await borrower.call("run", "return len(KEPT)") == 0
        await lender.service.quiet()
        assert lent(lender) == 0

    with_runtime(main)


def test_two_isolates_that_call_each_other_back_come_to_an_end(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        _, borrower = await pair(runtime)
        code = (
            "levels = []\nthing = await S.thing()\n"
            "async def callback(level):\n    levels.append(level)\n    return await thing.back(callback, level)\n"
            "return [await outcome(thing.back(callback)), len(levels)]"
        )
        (_, message), levels = await borrower.call("run", code)
        assert "more than 32 services call each other in a row" in message
        assert 10 < levels < 32

    with_runtime(main)


def test_calls_through_stubs_count(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        lender = await runtime.load(LENDER)
        borrower = await runtime.load(BORROWER, bindings={"S": lender}, limits=Limits(calls=5))
        code = "thing = await S.thing()\nreturn [(await outcome(thing.where()))[0] for _ in range(6)]"
        found = await borrower.call("run", code)
        assert found[4:] == ["exceeded_subrequests"] * 2
        assert "exceeded_subrequests" not in found[:4]

    with_runtime(main)


def test_what_one_invocation_may_lend_is_bounded(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        lender, borrower = await pair(runtime)
        code = (
            "first = await outcome(S.many(250))\n"
            "too_many = await outcome(S.many(251))\n"
            "held = await outcome(S.thing())\n"
            "for thing in first:\n    thing.dispose()\n"
            "return [len(first), too_many, held, (await (await S.thing()).where())[1]]"
        )
        number, too_many, held, calls = await borrower.call("run", code)
        assert (number, calls) == (250, 1)
        assert too_many[0] == "ValueError"
        assert "may be 250" in too_many[1]
        assert held[0] == "bad_effect"
        assert "names more stubs" in held[1]
        await lender.service.quiet()
        assert lent(lender) == 0

    with_runtime(main)


def test_what_one_isolate_may_lend_is_bounded(
    with_runtime: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stubs, "MOST", 3)

    async def main(runtime: Runtime) -> None:
        lender, borrower = await pair(runtime)
        code = (
            "four = await outcome(S.many(4))\n"
            "callbacks = await outcome(S.call_many([print] * 4))\n"
            "three = await outcome(S.many(3))\n"
            "return [four[0], callbacks[0], len(three), (await three[2].where())[1]]"
        )
        assert await borrower.call("run", code) == ["exceeded_stubs", "exceeded_stubs", 3, 1]
        await asyncio.gather(lender.service.quiet(), borrower.service.quiet())
        assert (lent(lender), lent(borrower)) == (0, 0)

    with_runtime(main)


def test_calls_that_run_through_stubs_are_bounded(
    with_runtime: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stubs, "MOST", 2)

    async def main(runtime: Runtime) -> None:
        _, borrower = await pair(runtime, concurrency=1)
        code = (
            "thing = await S.thing()\n"
            "slow = [asyncio.ensure_future(outcome(thing.slow())) for _ in range(3)]\n"
            "done, _ = await asyncio.wait(slow, return_when=asyncio.FIRST_COMPLETED)\n"
            "return [task.result()[0] for task in done]"
        )
        assert await borrower.call("run", code) == ["overloaded"]

    with_runtime(main)


def test_a_caller_that_goes_away_leaves_nothing(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        lender, borrower = await pair(runtime)
        asking = asyncio.create_task(
            borrower.call(
                "run", "async def forever():\n    await asyncio.sleep(3600)\nreturn await S.call(forever)"
            )
        )
        await until(lambda: lent(borrower) == 1)
        await until(lambda: any(live.load for live in lives(lender)))
        asking.cancel()
        await asyncio.gather(lender.service.quiet(), borrower.service.quiet())
        assert (lent(lender), lent(borrower)) == (0, 0)

    with_runtime(main)


def test_what_was_lent_as_an_argument_ends_with_its_invocation(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        go_on = asyncio.Event()

        async def pause() -> None:
            await go_on.wait()

        lender = await runtime.load(LENDER, bindings={"PAUSE": pause})
        borrower = await runtime.load(BORROWER, bindings={"S": lender})
        await borrower.call("run", "await S.later(lambda: 1)")
        await borrower.service.quiet()
        assert lent(borrower) == 0
        go_on.set()
        await lender.service.quiet()
        assert [entry.message for entry in lender.logs] == ["broken_stub"]

    with_runtime(main)


def test_an_invocation_may_end_with_stubs_of_what_it_lends_itself(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        lender, borrower = await pair(runtime)
        await borrower.call("run", "KEPT.extend([await S.echo(lambda: 1) for _ in range(10)])")
        await borrower.service.quiet()
        assert borrower.service.counters.lost == 0
        assert [(live.stubs._lent, live.stubs._held) for live in lives(borrower)] == [({}, {})]
        assert lent(lender) == 0

    with_runtime(main)


def test_an_object_hibernates_with_what_it_lends(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        source = {"w.py": LENDER["lender.py"] + BORROWER["borrower.py"]}
        bindings = {"ROOM": Binding("ROOM", "durable_object", "Room"), "S": None}
        classes = [ObjectClass("Room", idle_ms=20)]
        worker = await runtime.load(source, bindings=bindings, durable_objects=classes)
        code = (
            "thing = await env.ROOM.get_by_name('a').thing()\nbefore = await thing.where()\n"
            "await asyncio.sleep(0.3)\nafter = await thing.where()\nreturn [before, after]"
        )
        before, after = await worker.call("run", code)
        assert after == [before[0], 2]
        assert worker.service.counters.hibernations > 0

    with_runtime(main)


def test_a_value_that_takes_long_to_read_does_not_cross(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        _, borrower = await pair(runtime)
        code = "thing = await S.thing()\nreturn await outcome(thing.back([[]] * 20_000))"
        kind, message = await borrower.call("run", code)
        assert (kind, "to read" in message) == ("TypeError", True)

    with_runtime(main)


def test_errors_arrive_as_those_of_other_calls(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        _, borrower = await pair(runtime)
        with pytest.raises(WorkerException, match="the RPC receiver does not implement the method 'nothing'"):
            await borrower.call("run", "await (await S.thing()).nothing()")

    with_runtime(main)
