"""What one tenant could take from others, or from the host, without breaking anything: each was tried and is held."""

from __future__ import annotations

import asyncio
import contextlib
import gc

import pytest
from pyworkerd.dispatch.room import MAX_BYTES
from pyworkerd.dispatch.streams import Outflow
from pyworkerd.errors import BadEffect, IsolateLost, PyworkerdError, WorkerException
from pyworkerd.runtime import Runtime
from pyworkerd_config.model import Limits

HEAD = """
import asyncio
import _wire
from _pyworkerd import calls, invocation, outbox
from workers import Response, WorkerEntrypoint
"""


def test_without_an_invocation_no_step_is_made(sandbox: object) -> None:
    """A call for an invocation that does not exist is refused; the refusal must not be a step that nobody pays for."""
    source = (
        HEAD
        + """
numbers = iter(range(1000, 10**9))

def ask():
    number = next(numbers)
    outbox.effects.append(["call", number, 10**9, 1, "x", outbox.blob(b"")])
    return number

original = calls.on_reject

def again(*arguments):
    ask()

calls.on_reject = again

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        ask()
        return Response("asked")
"""
    )

    async def answer(value: object) -> object:
        return value

    async def main() -> None:
        async with Runtime() as runtime:
            worker = await runtime.load({"w.py": source}, bindings={"ASK": answer})
            assert await (await worker.fetch("/")).text() == "asked"
            (live,) = worker.service._members.values()
            for _ in range(50):
                await asyncio.sleep(0)
            steps = live._isolate.steps
            for _ in range(200):
                await asyncio.sleep(0)
            assert live._isolate.steps == steps

    asyncio.run(main())


def test_a_body_in_hand_is_small(sandbox: object) -> None:
    """The SDK streams what is larger; a forged large one would lie in the host's memory until its client reads it."""
    source = (
        HEAD
        + """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        number = invocation.current().number
        outbox.effects.append(["respond", number, 200, [], ["b", outbox.blob(b"x" * 7_000_000)]])
        await asyncio.sleep(10)
"""
    )

    async def main() -> None:
        async with Runtime() as runtime:
            worker = await runtime.load({"w.py": source}, limits=Limits(cpu_ms=500))
            with pytest.raises(BadEffect, match="at once"):
                await worker.fetch("/")

    asyncio.run(main())


def test_arguments_that_are_hard_to_read_do_not_reach_another_worker(sandbox: object) -> None:
    attacker = (
        HEAD
        + """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        text = ('[[], [[' + '{"$":["s",[1]]},' * 60_000 + '1], {}]]').replace("[[], [[", "[[],[[").encode()
        frame = len(text).to_bytes(4, "little") + text
        try:
            await calls.call(self.env.VICTIM._index, "ping", frame)
        except Exception as error:
            return Response(f"{type(error).__name__}")
        return Response("it got through")
"""
    )
    victim = (
        HEAD
        + """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        await asyncio.sleep(0.3)
        return Response("unharmed")

    async def ping(self, value):
        return len(value)
"""
    )

    async def main() -> None:
        async with Runtime() as runtime:
            good = await runtime.load({"v.py": victim}, name="victim")
            bad = await runtime.load({"a.py": attacker}, bindings={"VICTIM": good}, limits=Limits(cpu_ms=500))
            bystanders = [asyncio.create_task(good.fetch("/")) for _ in range(10)]
            assert await (await bad.fetch("/")).text() == "TypeError"
            for bystander in bystanders:
                assert await (await bystander).text() == "unharmed"

    asyncio.run(main())


@pytest.mark.parametrize("length", [0, 14, 0xFFFFFFFF])
def test_arguments_that_lie_about_their_length_do_not_end_another_workers_isolate(
    length: int, sandbox: object
) -> None:
    attacker = (
        HEAD
        + f"""
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        frame = ({length}).to_bytes(4, "little") + b"[[],[[1],{{}}]]"
        try:
            await calls.call(self.env.VICTIM._index, "ping", frame)
        except Exception as error:
            return Response(f"{{type(error).__name__}}")
        return Response("it got through")
"""
    )
    victim = """
import { WorkerEntrypoint } from "cloudflare:workers";
let requests = 0;
export default class extends WorkerEntrypoint {
  fetch() { return new Response(`${++requests}`); }
  ping(value) { return value; }
}
"""

    async def main() -> None:
        async with Runtime() as runtime:
            good = await runtime.load({"v.js": victim}, limits=Limits(isolates=1))
            bad = await runtime.load({"a.py": attacker}, bindings={"VICTIM": good})
            assert await (await good.fetch("/")).text() == "1"
            assert await (await bad.fetch("/")).text() != "CallError"
            assert await (await good.fetch("/")).text() == "2"

    asyncio.run(main())


HARD_TO_READ = {
    "many parts": '{"a":1}' + ',{"a":1}' * 16_000,
    "many numbers": "1" + ",1" * 300_000,
    "integers of 4,300 digits": ",".join(["9" * 4300] * 240),
    "integers as the SDK writes them": ",".join(['{"$":["i","' + "f" * 3571 + '"]}'] * 250),
}


@pytest.mark.parametrize("what", HARD_TO_READ)
def test_many_calls_at_once_that_are_hard_to_read(what: str, sandbox: object) -> None:
    attacker = (
        HEAD
        + f"""
TEXT = ('[[],[[[' + {HARD_TO_READ[what]!r} + ']],{{}}]]').encode()
FRAME = len(TEXT).to_bytes(4, "little") + TEXT

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        sent = [calls.call(self.env.VICTIM._index, "ping", FRAME) for _ in range(7)]
        return Response(str(len(await asyncio.gather(*sent, return_exceptions=True))))
"""
    )
    victim = (
        HEAD
        + """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(await self.env.GATE())

    async def ping(self, value):
        return len(value)
"""
    )

    async def main() -> None:
        opened, waiting = asyncio.Event(), asyncio.Semaphore(0)

        async def gate() -> str:
            waiting.release()
            await opened.wait()
            return "unharmed"

        async with Runtime() as runtime:
            good = await runtime.load(
                {"v.py": victim}, bindings={"GATE": gate}, limits=Limits(isolates=1, cpu_ms=25)
            )
            bad = await runtime.load(
                {"a.py": attacker}, bindings={"VICTIM": good}, limits=Limits(cpu_ms=5000)
            )
            bystanders = [asyncio.create_task(good.fetch("/")) for _ in range(5)]
            for _ in bystanders:
                await waiting.acquire()
            good.service.placement.average_ms = 0.05  # as after many short requests: all share a step
            assert await (await bad.fetch("/")).text() == "7"
            opened.set()
            for bystander in bystanders:
                assert await (await bystander).text() == "unharmed"

    asyncio.run(main())


def test_a_result_that_cannot_be_read_does_not_harm_its_callers_neighbours(sandbox: object) -> None:
    callee = (
        HEAD
        + """
from _pyworkerd import plain

class Default(WorkerEntrypoint):
    async def garbage(self):
        plain.dump = message

def message(value):
    return b"\\x02\\0\\0\\0{}"
"""
    )
    caller = (
        HEAD
        + """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if "wait" in request.url:
            return Response(await self.env.GATE())
        try:
            await self.env.CALLEE.garbage()
        except Exception as error:
            return Response(error.code)
"""
    )

    async def main() -> None:
        opened, waiting = asyncio.Event(), asyncio.Semaphore(0)

        async def gate() -> str:
            waiting.release()
            await opened.wait()
            return "unharmed"

        async with Runtime() as runtime:
            bad = await runtime.load({"b.py": callee})
            worker = await runtime.load({"a.py": caller}, bindings={"CALLEE": bad, "GATE": gate})
            bystanders = [asyncio.create_task(worker.fetch("/wait")) for _ in range(5)]
            for _ in bystanders:
                await waiting.acquire()
            assert await (await worker.fetch("/")).text() == "bad_effect"
            opened.set()
            for bystander in bystanders:
                assert await (await bystander).text() == "unharmed"
            with pytest.raises(BadEffect, match="cannot be read"):
                await bad.call("garbage")

    asyncio.run(main())


def test_a_result_that_is_hard_to_read_is_refused(sandbox: object) -> None:
    source = (
        HEAD
        + """
class Default(WorkerEntrypoint):
    async def many(self):
        return [[] for _ in range(100_000)]
"""
    )

    async def main() -> None:
        async with Runtime() as runtime:
            worker = await runtime.load({"w.py": source}, limits=Limits(cpu_ms=1000))
            with pytest.raises(WorkerException, match="to read"):
                await worker.call("many")

    asyncio.run(main())


def test_a_bystander_is_begun_anew_only_once(sandbox: object) -> None:
    """Each crash of a neighbour would otherwise let it use its CPU time once more."""
    source = (
        HEAD
        + """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if "crash" in request.url:
            while True:
                pass
        await asyncio.sleep(60)
"""
    )

    async def main() -> None:
        async with Runtime() as runtime:
            worker = await runtime.load(
                {"w.py": source}, limits=Limits(isolates=1, cpu_ms=50, concurrency=10)
            )
            bystander = asyncio.create_task(worker.fetch("/wait"))
            for _ in range(2):
                while not any(
                    live._isolate and not live.stepping for live in worker.service._members.values()
                ):
                    await asyncio.sleep(0.001)
                with pytest.raises(PyworkerdError):
                    await worker.fetch("/crash")
            with pytest.raises(IsolateLost):
                await bystander

    asyncio.run(main())


def test_what_a_worker_keeps_from_its_top_level_is_accounted(sandbox: object) -> None:
    source = (
        HEAD
        + """
KEPT = bytearray(40 * 1024 * 1024)

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("x")
"""
    )

    async def main() -> None:
        async with Runtime() as runtime:
            worker = await runtime.load({"w.py": source})
            await (await worker.fetch("/")).text()
            assert runtime.statistics().memory > 32 * 1024 * 1024

    asyncio.run(main())


def test_one_request_cannot_start_more_and_more_of_them(sandbox: object) -> None:
    """Each worker that it calls could call others as often: what counts is how many calls there are in all."""
    source = (
        HEAD
        + """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        self.ctx.waitUntil(self.spread(3))
        return Response("answered")

    async def spread(self, levels):
        if levels:
            calls = [self.env.NEXT.spread(levels - 1) for _ in range(20)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            for answer in answers:
                if isinstance(answer, Exception):
                    assert answer.code == "exceeded_subrequests", answer
"""
    )

    async def main() -> None:
        async with Runtime() as runtime:
            limits = Limits(cpu_ms=5000, calls=100, concurrency=1000)
            last = await runtime.load({"w.py": source}, name="last", limits=limits)
            third = await runtime.load({"w.py": source}, name="third", bindings={"NEXT": last}, limits=limits)
            second = await runtime.load(
                {"w.py": source}, name="second", bindings={"NEXT": third}, limits=limits
            )
            first = await runtime.load(
                {"w.py": source}, name="first", bindings={"NEXT": second}, limits=limits
            )
            assert await (await first.fetch("/")).text() == "answered"
            while runtime.statistics().idle < runtime.statistics().isolates:
                await asyncio.sleep(0)
            calls = sum(count for (count,) in runtime.metrics()["rpc_calls"].values())
            assert calls == 100

    asyncio.run(main())


def test_a_worker_that_calls_another_without_end_leaves_places_to_others(sandbox: object) -> None:
    """Half of the places in isolates, and half of those in the queue: whoever else calls is answered."""
    callee = (
        HEAD
        + """
class Default(WorkerEntrypoint):
    async def hold(self):
        return await self.env.GATE()

    async def greet(self):
        return "hello"

    async def fetch(self, request):
        return Response("hello")
"""
    )
    greedy = (
        HEAD
        + """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        asked = [asyncio.ensure_future(self.env.CALLEE.hold()) for _ in range(100)]
        await asyncio.wait(asked)
        codes = [getattr(each.exception(), "code", "answered") for each in asked]
        return Response(f"{codes.count('answered')} {codes.count('overloaded')}")
"""
    )
    modest = (
        HEAD
        + """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(await self.env.CALLEE.greet())
"""
    )

    async def main() -> None:
        opened, waiting = asyncio.Event(), 0

        async def gate() -> None:
            nonlocal waiting
            waiting += 1
            await opened.wait()

        async with Runtime() as runtime:
            limits = Limits(isolates=1, concurrency=10, queue=10, cpu_ms=1000)
            shared = await runtime.load({"w.py": callee}, bindings={"GATE": gate}, limits=limits)
            callers = [
                await runtime.load({"w.py": source}, bindings={"CALLEE": shared}, limits=Limits(cpu_ms=1000))
                for source in (greedy, modest)
            ]
            flood = asyncio.create_task(callers[0].fetch("/"))
            while waiting < 5 or shared.service.statistics()["waiting"] < 5:
                await asyncio.sleep(0)
            for _ in range(3):
                assert await (await callers[1].fetch("/")).text() == "hello"
                assert await (await shared.fetch("/")).text() == "hello"
            assert waiting == 5
            opened.set()
            assert await (await flood).text() == "10 90"
            assert waiting == 10
            assert shared.service.statistics()["waiting"] == 0
            line = shared.service._waiting
            assert (line._places._taken, line._queue._taken) == (0, 0)

    asyncio.run(main())


def test_a_body_that_comes_byte_by_byte_costs_its_reader_little(sandbox: object) -> None:
    sender = (
        HEAD
        + """
async def bytewise():
    for _ in range(20_000):
        yield b"x"
        await asyncio.sleep(0)

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        answer = await self.env.VICTIM.fetch("http://victim/read", method="POST", body=bytewise())
        return Response(await answer.text())
"""
    )
    victim = (
        HEAD
        + """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if "read" in request.url:
            await self.env.GATE()
            return Response(str(len(await request.text())))
        return Response(await self.env.GATE())
"""
    )

    async def main() -> None:
        opened, waiting = asyncio.Event(), asyncio.Semaphore(0)

        async def gate() -> str:
            waiting.release()
            await opened.wait()
            return "unharmed"

        async with Runtime() as runtime:
            good = await runtime.load({"v.py": victim}, bindings={"GATE": gate}, limits=Limits(isolates=1))
            bad = await runtime.load(
                {"a.py": sender}, bindings={"VICTIM": good}, limits=Limits(cpu_ms=60_000)
            )
            bystanders = [asyncio.create_task(good.fetch("/")) for _ in range(5)]
            sending = asyncio.create_task(bad.fetch("/"))
            for _ in range(6):
                await waiting.acquire()
            opened.set()
            assert await (await sending).text() == "20000"
            for bystander in bystanders:
                assert await (await bystander).text() == "unharmed"

    asyncio.run(main())


def test_bodies_that_nobody_reads_are_bounded_accounted_and_freed_at_once(sandbox: object) -> None:
    """256 KiB for each of hundreds of requests that stream: in sum they are what an isolate's calls may hold."""
    source = (
        HEAD
        + """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        number, piece = invocation.current().number, outbox.blob(b"x" * 65_536)
        for step in range(8):
            for stream in range(step * 25, step * 25 + 25):
                body = ["s", 1000 + stream, None]
                outbox.effects.append(
                    ["fetch", 1000 + stream, number, 1, "POST", "http://slow/", [], body, "follow"]
                )
                outbox.effects.extend([["data", 1000 + stream, piece, False]] * 4)
            await asyncio.sleep(0.001)
            piece = outbox.blob(b"x" * 65_536)
        print("sent", flush=True)
        await asyncio.sleep(60)
"""
    )
    reader = (
        HEAD
        + """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        await asyncio.sleep(60)
"""
    )

    async def main() -> None:
        async with Runtime() as runtime:
            slow = await runtime.load({"r.py": reader}, limits=Limits(concurrency=1000))
            worker = await runtime.load({"w.py": source}, bindings={"SLOW": slow}, limits=Limits(cpu_ms=5000))
            gc.collect()
            gc.disable()
            try:
                asking = asyncio.create_task(worker.fetch("/"))
                while "sent" not in [entry.message for entry in worker.logs]:
                    assert not asking.done(), asking
                    await asyncio.sleep(0)
                assert 30 << 20 < runtime.statistics().memory < 100 << 20
                (live,) = worker.service._members.values()
                assert 30 << 20 < live.room.held <= live.room.promised <= MAX_BYTES
                del live
                asking.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await asking
                del asking
                await worker.aclose()
                await slow.aclose()
                while runtime.statistics().isolates:
                    await asyncio.sleep(0)
                assert not [found for found in gc.get_objects() if isinstance(found, Outflow)]
            finally:
                gc.enable()

    asyncio.run(main())
