"""Isolates at work: many invocations in one, effects, limits, what happens to neighbours when one dies."""

from __future__ import annotations

import asyncio
import gc
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.dispatch.clearing import AT_ONCE
from pyworkerd.dispatch.turns import Turns
from pyworkerd.errors import (
    BadEffect,
    ExceededCpu,
    ExceededMemory,
    ExceededOutput,
    ExceededWallTime,
    IsolateLost,
    PyworkerdError,
    WorkerException,
)
from pyworkerd.messages import Response
from pyworkerd.runtime import RuntimeOptions
from pyworkerd_config.model import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pyworkerd.loaded import LoadedWorker
    from pyworkerd.observe.logs import LogEntry
    from pyworkerd.runtime import Runtime

HEAD = """
import asyncio
from _pyworkerd import outbox
from workers import Response, WorkerEntrypoint
counter = 0
"""


def worker_of(body: str) -> dict[str, str]:
    lines = "\n".join(f"        {line}" for line in body.strip("\n").split("\n"))
    return {
        "worker.py": f"{HEAD}\nclass Default(WorkerEntrypoint):\n    async def fetch(self, request, env, ctx):\n"
        f"        global counter\n        path = request.url.split('worker', 1)[1]\n{lines}\n"
    }


class Gate:
    """A binding that answers when the test says so."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.waiting = 0
        self.cancelled = 0
        self._arrived = asyncio.Condition()

    async def __call__(self, *_: Any) -> str:
        self.waiting += 1
        async with self._arrived:
            self._arrived.notify_all()
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "open"

    async def until(self, count: int) -> None:
        async with self._arrived:
            await self._arrived.wait_for(lambda: self.waiting >= count)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until it is so; the test's own time limit ends it otherwise."""
    while not condition():
        await asyncio.sleep(0)


def errors_of(worker: LoadedWorker) -> list[str]:
    return [entry.message for entry in worker.logs if entry.level in ("error", "critical")]


# concurrency --------------------------------------------------------------------------------------------------------


def test_a_worker_awaits_a_hundred_effects_at_once(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        gate = Gate()
        source = worker_of("return Response.json(await asyncio.gather(*(env.GATE(i) for i in range(100))))")
        worker = await runtime.load(source, bindings={"GATE": gate})
        answering = asyncio.create_task(worker.fetch("/"))
        await gate.until(100)
        gate.opened.set()
        assert await (await answering).json() == ["open"] * 100

    with_runtime(main)


def test_a_worker_sends_a_hundred_requests_at_once(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        gate = Gate()
        slow = await runtime.load(
            worker_of("return Response(path + await env.GATE())"), bindings={"GATE": gate}
        )
        source = worker_of(
            """
answers = await asyncio.gather(*(env.SLOW.fetch(f"http://worker/{i}") for i in range(100)))
return Response.json([await answer.text() for answer in answers])
"""
        )
        worker = await runtime.load(source, bindings={"SLOW": slow})
        answering = asyncio.create_task(worker.fetch("/"))
        await gate.until(100)
        gate.opened.set()
        assert await (await answering).json() == [f"/{i}open" for i in range(100)]

    with_runtime(main)


def test_the_calls_of_an_isolate_that_died_are_cancelled_some_in_each_turn(
    with_runtime: Callable[..., None],
) -> None:
    async def main(runtime: Runtime) -> None:
        gate = Gate()
        source = worker_of("""
if path == "/":
    await asyncio.gather(*(env.GATE(i) for i in range(500)))
outbox.effects.append(["respond", 99, 200, [], None])
""")
        worker = await runtime.load(source, bindings={"GATE": gate})
        answering = asyncio.create_task(worker.fetch("/"))
        await gate.until(500)
        with pytest.raises(BadEffect):
            await worker.fetch("/breach")
        before = most = gate.cancelled
        while gate.cancelled < 500:
            await asyncio.sleep(0)
            most, before = max(most, gate.cancelled - before), gate.cancelled
        assert most <= AT_ONCE
        with pytest.raises(IsolateLost):
            await answering

    with_runtime(main)


def test_a_hundred_requests_share_one_isolate(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        gate = Gate()
        source = worker_of("counter += 1\nawait env.GATE()\nreturn Response(str(counter))")
        worker = await runtime.load(source, bindings={"GATE": gate})
        answering = [asyncio.create_task(worker.fetch("/")) for _ in range(100)]
        await gate.until(100)
        assert runtime.statistics().isolates == 1
        gate.opened.set()
        assert [await (await answer).text() for answer in answering] == ["100"] * 100

    with_runtime(main)


def test_promised_work_goes_on_after_the_answer_and_keeps_its_isolate(
    with_runtime: Callable[..., None],
) -> None:
    async def main(runtime: Runtime) -> None:
        gate, told = Gate(), asyncio.Queue[str]()
        source = worker_of(
            """
async def later():
    await env.GATE()
    await env.TELL("finished")
ctx.wait_until(later())
return Response("answered")
"""
        )
        worker = await runtime.load(source, bindings={"GATE": gate, "TELL": told.put})
        assert await (await worker.fetch("/")).text() == "answered"
        await gate.until(1)
        statistics = runtime.statistics()
        assert (statistics.isolates, statistics.idle) == (1, 0)
        gate.opened.set()
        assert await told.get() == "finished"
        await until(lambda: runtime.statistics().idle == 1)

    with_runtime(main)


def test_a_caller_who_leaves_cancels_the_handler(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        gate, told = Gate(), asyncio.Queue[str]()
        source = worker_of(
            """
try:
    await env.GATE()
except asyncio.CancelledError:
    ctx.wait_until(env.TELL("cancelled"))
    raise
finally:
    ctx.wait_until(env.TELL("finally"))
"""
        )
        worker = await runtime.load(source, bindings={"GATE": gate, "TELL": told.put})
        answering = asyncio.create_task(worker.fetch("/"))
        await gate.until(1)
        answering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answering
        assert {await told.get(), await told.get()} == {"cancelled", "finally"}
        assert gate.cancelled == 1
        await until(lambda: runtime.statistics().idle == 1)
        assert errors_of(worker) == []

    with_runtime(main)


def test_a_caller_who_leaves_before_the_first_step_starts_nothing(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        told: asyncio.Queue[str] = asyncio.Queue()
        source = worker_of(
            """
await env.TELL(path)
while path == "/spin": pass
return Response(path)
"""
        )
        limits = Limits(isolates=1, cpu_ms=1000)
        worker = await runtime.load(source, bindings={"TELL": told.put}, limits=limits)
        spinning = asyncio.create_task(worker.fetch("/spin"))
        assert await told.get() == "/spin"
        (live,) = worker.service._members.values()
        await until(lambda: live.stepping)
        answering = asyncio.create_task(worker.fetch("/left"))
        await until(lambda: len(live.invocations) == 2)
        answering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answering
        assert live.stepping
        with pytest.raises(ExceededCpu):
            await spinning
        assert await (await worker.fetch("/after")).text() == "/after"
        assert [await told.get(), told.empty()] == ["/after", True]

    with_runtime(main)


def test_nothing_runs_without_an_invocation(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        source = worker_of(
            """
if path == "/":
    def tick():
        global counter
        counter += 1
        asyncio.get_running_loop().call_later(0, tick)
    tick()
return Response(str(counter))
"""
        )
        worker = await runtime.load(source)
        await worker.fetch("/")
        await until(lambda: runtime.statistics().idle == 1)
        steps = [live._isolate.steps for live in worker.service._members.values() if live._isolate]
        for _ in range(50):
            await asyncio.sleep(0)
        assert [live._isolate.steps for live in worker.service._members.values() if live._isolate] == steps

    with_runtime(main)


# limits -------------------------------------------------------------------------------------------------------------


def test_an_endless_loop_is_stopped_while_neighbours_answer(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        looping = await runtime.load(worker_of("while True: pass"), limits=Limits(cpu_ms=300))
        other = await runtime.load(worker_of("return Response('here')"))
        answering = asyncio.create_task(looping.fetch("/"))
        served = 0
        while not answering.done():
            assert await (await other.fetch("/")).text() == "here"
            served += 1
        with pytest.raises(ExceededCpu) as caught:
            await answering
        assert (caught.value.status, caught.value.code) == (503, "exceeded_cpu")
        assert served > 1

    with_runtime(main)


def test_a_worker_with_a_good_record_never_loops_on_the_event_loops_thread(
    with_runtime: Callable[..., None],
) -> None:
    async def main(runtime: Runtime) -> None:
        source = worker_of("while path == '/loop': pass\nreturn Response('here')")
        looping = await runtime.load(source, limits=Limits(cpu_ms=300))
        for _ in range(40):
            await looping.fetch("/")
        answering = asyncio.create_task(looping.fetch("/loop"))
        turns = 0
        while not answering.done():
            await asyncio.sleep(0)
            turns += 1
        with pytest.raises(ExceededCpu):
            await answering
        assert turns > 20

    with_runtime(main)


def test_cpu_time_over_several_steps_ends_the_invocation_and_not_its_neighbour(
    with_runtime: Callable[..., None],
) -> None:
    async def main(runtime: Runtime) -> None:
        gate = Gate()
        source = worker_of(
            """
if path == "/wait":
    await env.GATE()
    return Response("waited")
while True:
    sum(range(20_000))
    await env.QUICK()
"""
        )

        async def quick() -> None:
            return None

        bindings = {"GATE": gate, "QUICK": quick}
        worker = await runtime.load(source, bindings=bindings, limits=Limits(isolates=1))
        waiting = asyncio.create_task(worker.fetch("/wait"))
        await gate.until(1)
        with pytest.raises(ExceededCpu):
            await worker.fetch("/burn")
        gate.opened.set()
        assert await (await waiting).text() == "waited"

    with_runtime(main)


def test_performing_effects_is_at_the_expense_of_who_asked_for_them(
    with_runtime: Callable[..., None],
) -> None:
    def dear(entry: LogEntry) -> None:
        if entry.source == "stdout":
            began = time.thread_time()
            while time.thread_time() - began < 0.01:
                pass

    async def main(runtime: Runtime) -> None:
        gate = Gate()
        source = worker_of(
            """
if path == "/wait":
    await env.GATE()
    return Response("waited")
for _ in range(100): print("dear")
await env.GATE()
"""
        )
        limits = Limits(cpu_ms=500, wall_ms=60_000, isolates=1)
        worker = await runtime.load(source, bindings={"GATE": gate}, limits=limits)
        waiting = asyncio.create_task(worker.fetch("/wait"))
        await gate.until(1)
        with pytest.raises(ExceededCpu):
            await worker.fetch("/print")
        gate.opened.set()
        assert await (await waiting).text() == "waited"

    with_runtime(main, options=RuntimeOptions(sinks=(dear,)))


def test_the_clock_is_looked_at_however_few_effects_there_are(
    with_runtime: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(worker_of("print('a')\nprint('b')\nreturn Response('c')"))
        monkeypatch.setattr("pyworkerd.dispatch.live.PERFORM_S", -1.0)
        ready = Turns.ready
        rests: list[object] = []

        def noted(turns: Turns, account: Any, step: Any) -> None:
            if isinstance(step, partial):
                rests.append(step)
            ready(turns, account, step)

        monkeypatch.setattr(Turns, "ready", noted)
        await worker.fetch("http://worker/")
        await worker.service.quiet()
        assert len(rests) == 3, "two lines, the response, its end"

    with_runtime(main)


def test_collecting_garbage_is_not_charged_to_whoever_is_at_work(with_runtime: Callable[..., None]) -> None:
    class Slow:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            until = time.thread_time() + 0.6
            while time.thread_time() < until:
                pass

    def collect(entry: LogEntry) -> None:
        Slow()
        gc.collect()

    async def main(runtime: Runtime) -> None:
        async def wait() -> None:
            await asyncio.sleep(0)

        source = worker_of('print("x")\nawait env.WAIT()\nreturn Response("answered")')
        worker = await runtime.load(source, bindings={"WAIT": wait}, limits=Limits(cpu_ms=500))
        assert await (await worker.fetch("/")).text() == "answered"

    with_runtime(main, options=RuntimeOptions(sinks=(collect,)))


def test_an_invocation_that_ignores_its_cancelling_loses_its_isolate(
    with_runtime: Callable[..., None],
) -> None:
    async def main(runtime: Runtime) -> None:
        source = worker_of(
            """
while path == "/burn":
    try:
        sum(range(20_000))
        await env.QUICK()
    except asyncio.CancelledError:
        pass
counter += 1
return Response(str(counter))
"""
        )

        async def quick() -> None:
            return None

        worker = await runtime.load(source, bindings={"QUICK": quick})
        assert await (await worker.fetch("/")).text() == "1"
        with pytest.raises(ExceededCpu):
            await worker.fetch("/burn")
        await until(lambda: runtime.statistics().isolates == 0)
        assert await (await worker.fetch("/")).text() == "1"

    with_runtime(main)


def test_a_memory_bomb_is_answered_and_its_isolate_replaced(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        source = worker_of(
            """
counter += 1
if path == "/bomb":
    bombs = []
    while True: bombs.append(bytes(10**7))
return Response(str(counter))
"""
        )
        worker = await runtime.load(source, limits=Limits(cpu_ms=5000))
        assert await (await worker.fetch("/")).text() == "1"
        with pytest.raises(ExceededMemory) as caught:
            await worker.fetch("/bomb")
        assert (caught.value.status, caught.value.code) == (503, "exceeded_memory")
        assert await (await worker.fetch("/")).text() == "1"
        assert runtime.statistics().started == 2

    with_runtime(main)


def test_wall_time_cancels(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        gate, told = Gate(), asyncio.Queue[str]()
        source = worker_of("try: await env.GATE()\nfinally: ctx.wait_until(env.TELL('finally'))")
        worker = await runtime.load(
            source, bindings={"GATE": gate, "TELL": told.put}, limits=Limits(wall_ms=300)
        )
        with pytest.raises(ExceededWallTime):
            await worker.fetch("/")
        assert await told.get() == "finally"
        await until(lambda: runtime.statistics().idle == 1)

    with_runtime(main)


def test_wall_time_counts_for_promised_work_too(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        gate = Gate()
        source = worker_of("ctx.wait_until(env.GATE())\nreturn Response('answered')")
        worker = await runtime.load(source, bindings={"GATE": gate}, limits=Limits(wall_ms=300))
        assert await (await worker.fetch("/")).text() == "answered"
        await until(lambda: runtime.statistics().isolates == 0)
        await until(lambda: gate.cancelled == 1)

    with_runtime(main)


def test_subrequests_are_counted_where_they_leave_the_process(with_runtime: Callable[..., None]) -> None:
    class Outside:
        name = "outside"
        external = True

        async def fetch(self, request: Any, target: Any, **options: Any) -> Any:
            return Response(204)

        async def call(self, method: str, arguments: bytes, target: Any) -> bytes:
            raise NotImplementedError

    async def main(runtime: Runtime) -> None:
        source = worker_of(
            """
count = 0
try:
    for _ in range(5):
        await env.INSIDE()
        await env.OUTSIDE.fetch("http://outside/")
        count += 1
except Exception as error:
    return Response(f"{count} {error.code}")
"""
        )

        async def inside() -> None:
            return None

        bindings = {"INSIDE": inside, "OUTSIDE": Outside()}
        worker = await runtime.load(source, bindings=bindings, limits=Limits(subrequests=3))
        assert await (await worker.fetch("/")).text() == "3 exceeded_subrequests"

    with_runtime(main)


def test_calls_that_wait_are_limited(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        gate = Gate()
        # Past the SDK, which has the same limit.
        source = worker_of(
            """
from _pyworkerd import calls
calls.MAX_PENDING = 10_000
answers = [asyncio.ensure_future(env.GATE()) for _ in range(1010)]
done, waiting = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
return Response(f"{len(done)} {len(waiting)} {next(iter(done)).exception().code}")
"""
        )
        worker = await runtime.load(source, bindings={"GATE": gate}, limits=Limits(cpu_ms=300))
        assert await (await worker.fetch("/")).text() == "10 1000 exceeded_subrequests"
        await until(lambda: gate.cancelled == 1000)

    with_runtime(main)


def test_logs_are_cut_and_say_so(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        source = worker_of("for _ in range(50): print('x' * 100)\nreturn Response('done')")
        worker = await runtime.load(source, limits=Limits(log_kb=1))
        for _ in range(2):
            await worker.fetch("/")
        text = "\n".join(entry.message for entry in worker.logs)
        assert text.count("log limit") == 2
        assert 1024 < text.count("x") <= 2048

    with_runtime(main)


def test_logs_of_nobody_are_cut_too(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        source = worker_of(
            """
outbox.effects.extend([["log", 4711, "info", "x", "y" * 1000]] * 100)
return Response("done")
"""
        )
        worker = await runtime.load(source, limits=Limits(log_kb=4))
        await worker.fetch("/")
        assert sum(len(entry.message) for entry in worker.logs) < 5000

    with_runtime(main)


def test_too_much_output_ends_the_isolate(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        source = worker_of(
            """
if path == "/flood":
    outbox.effects.extend([["log", 1, "info", "x", "y"]] * 20_000)
return Response("fine")
"""
        )
        worker = await runtime.load(source, limits=Limits(cpu_ms=300))
        with pytest.raises(ExceededOutput):
            await worker.fetch("/flood")
        assert await (await worker.fetch("/")).text() == "fine"

    with_runtime(main)


# death --------------------------------------------------------------------------------------------------------------


def test_when_a_shared_step_traps_the_innocent_are_run_again_alone(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        source = worker_of("print(path)\nwhile path == '/3': pass\nreturn Response(path)")
        worker = await runtime.load(source)
        for _ in range(50):  # until it has shown that many may share a step
            await worker.fetch("/")
        answers = await asyncio.gather(*(worker.fetch(f"/{i}") for i in range(8)), return_exceptions=True)
        assert isinstance(answers.pop(3), ExceededCpu)
        texts = [await answer.text() for answer in answers if not isinstance(answer, BaseException)]
        assert texts == ["/0", "/1", "/2", "/4", "/5", "/6", "/7"]
        # What the culprit said last is in the log as well, and nobody's words are twice.
        said = [entry.message for entry in worker.logs if entry.source == "stdout"]
        assert sorted(said[50:]) == [f"/{i}" for i in range(8)]

    with_runtime(main)


def test_an_invocation_with_an_effect_is_not_run_again(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        gate = Gate()
        source = worker_of("while path == '/loop': pass\nreturn Response(await env.GATE())")
        worker = await runtime.load(source, bindings={"GATE": gate}, limits=Limits(isolates=1))
        waiting = asyncio.create_task(worker.fetch("/wait"))
        await gate.until(1)
        with pytest.raises(ExceededCpu):
            await worker.fetch("/loop")
        with pytest.raises(IsolateLost) as caught:
            await waiting
        assert (caught.value.status, caught.value.retry_after) == (503, 1)
        await until(lambda: gate.cancelled == 1)
        assert gate.waiting == 1

    with_runtime(main)


def test_a_body_that_streams_is_not_sent_to_a_second_isolate(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        begun = asyncio.Event()

        async def chunks() -> AsyncIterator[bytes]:
            yield b"first"
            begun.set()
            await asyncio.Event().wait()

        source = worker_of("while path == '/loop': pass\nreturn Response(await request.text())")
        worker = await runtime.load(source, limits=Limits(isolates=1))
        waiting = asyncio.create_task(worker.fetch("/", method="POST", body=chunks()))
        await begun.wait()
        with pytest.raises(ExceededCpu):
            await worker.fetch("/loop")
        with pytest.raises(IsolateLost):
            await waiting

    with_runtime(main)


def test_what_has_not_begun_goes_to_another_isolate(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        source = worker_of("while path == '/loop': pass\nreturn Response(await request.text())")
        worker = await runtime.load(source, limits=Limits(isolates=1, cpu_ms=300))

        async def chunks() -> AsyncIterator[bytes]:
            yield b"streamed"

        looping = asyncio.create_task(worker.fetch("/loop"))
        await until(lambda: any(live.stepping for live in worker.service._members.values()))
        waiting = asyncio.create_task(worker.fetch("/", method="POST", body=chunks()))
        with pytest.raises(ExceededCpu):
            await looping
        assert await (await waiting).text() == "streamed"

    with_runtime(main)


@pytest.mark.parametrize(
    "effect",
    [
        '["respond", 4711, 200, [], None]',
        '["return", number, outbox.blob(b"x")]',
        '["call", 1, number, 99, "x", outbox.blob(b"x")]',
        '["data", 4711, None, False, 1]',
        '["respond", number, 200, [], ["p", 4711]]',
        '["crash", "on purpose"]',
        '["reboot"]',
    ],
)
def test_an_effect_that_was_never_agreed_on_ends_the_isolate(
    effect: str, with_runtime: Callable[..., None]
) -> None:
    async def main(runtime: Runtime) -> None:
        source = worker_of(
            f"""
from _pyworkerd.invocation import current
number = current().number
if path == "/bad":
    outbox.effects.append({effect})
return Response("fine")
"""
        )
        worker = await runtime.load(source)
        with pytest.raises(BadEffect):
            await worker.fetch("/bad")
        assert await (await worker.fetch("/")).text() == "fine"
        assert runtime.statistics().started == 2

    with_runtime(main)


def test_a_bad_effect_in_the_middle_leaves_answers_before_it_given(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        source = worker_of(
            """
from _pyworkerd.invocation import current
if path == "/bad":
    outbox.effects.append(["respond", current().number, 200, [], None])
    outbox.effects.append(["respond", current().number, 200, [], None])
    await asyncio.sleep(3600)
return Response(path)
"""
        )
        worker = await runtime.load(source)
        for _ in range(50):
            await worker.fetch("/")
        answers = await asyncio.gather(*(worker.fetch(path) for path in ("/a", "/bad", "/b")))
        assert [await answer.text() for answer in answers] == ["/a", "", "/b"]
        assert any("answered twice" in message for message in errors_of(worker))

    with_runtime(main)


def test_an_exception_leaves_the_isolate_alive_and_its_traceback_in_the_log(
    with_runtime: Callable[..., None],
) -> None:
    async def main(runtime: Runtime) -> None:
        source = worker_of("raise ValueError('mine')")
        worker = await runtime.load(source)
        with pytest.raises(WorkerException, match="ValueError: mine"):
            await worker.fetch("/")
        await until(lambda: runtime.statistics().idle == 1)
        assert "ValueError: mine" in errors_of(worker)[0]

    with_runtime(main)


def test_an_isolate_that_cannot_start_is_the_runtimes_fault(
    with_runtime: Callable[..., None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(worker_of("return Response('fine')"))

        def fail(_: object) -> None:
            raise OSError("no memory for another mapping")

        with monkeypatch.context() as patch:
            patch.setattr(worker.service, "start_isolate", fail)
            with pytest.raises(IsolateLost):
                await worker.fetch("/")
        assert "no memory for another mapping" in caplog.text
        assert await (await worker.fetch("/")).text() == "fine"

    with_runtime(main)


def test_closing_breaks_off_a_step_that_would_run_for_minutes(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(worker_of("while True: pass"), limits=Limits(cpu_ms=60_000))
        asking = asyncio.create_task(worker.fetch("/"))
        members = worker.service._members
        await until(lambda: any(live._isolate and live._isolate.cpu_ns > 10**7 for live in members.values()))
        (live,) = members.values()
        async with asyncio.timeout(20):
            await worker.aclose()
        with pytest.raises(IsolateLost):
            await asking
        assert not live.stepping

    with_runtime(main)


def test_closing_while_a_step_runs_waits_for_it(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(worker_of("while True: pass"), limits=Limits(cpu_ms=200))
        looping = asyncio.create_task(worker.fetch("/"))
        await until(lambda: any(live.stepping for live in worker.service._members.values()))
        lives = list(worker.service._members.values())
        await worker.aclose()
        with pytest.raises(PyworkerdError):
            await looping
        assert [live.stepping for live in lives] == [False]

    with_runtime(main)


def test_its_repr_says_what_it_holds(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        gate = Gate()
        worker = await runtime.load(
            worker_of("return Response(await env.GATE())"), bindings={"GATE": gate}, name="w"
        )
        answering = asyncio.create_task(worker.fetch("/"))
        await gate.until(1)
        (live,) = worker.service._members.values()
        assert repr(live) == f"<isolate {live.id} of w: busy, 1 invocations>"
        assert repr(worker) == "<Worker w: 1 isolates, 0 requests wait>"
        gate.opened.set()
        await answering

    with_runtime(main)
