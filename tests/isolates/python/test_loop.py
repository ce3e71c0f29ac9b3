"""asyncio inside the sandbox: everything that waits without I/O, one loop for all invocations, no loop besides it."""

from __future__ import annotations

import importlib.util
from asyncio import Future, InvalidStateError

import pytest
from pyworkerd_isolates.errors import CpuExhausted
from pyworkerd_isolates.protocol import Call
from pyworkerd_isolates.testing import LATER

from .conftest import GUEST

spec = importlib.util.spec_from_file_location("guest_loop", GUEST / "_pyworkerd" / "loop.py")
assert spec is not None
assert spec.loader is not None
guest_loop = importlib.util.module_from_spec(spec)
spec.loader.exec_module(guest_loop)

WORKER = """
import asyncio, time
from workers import Response, WorkerEntrypoint

ticks, waiting, left = [], [], []

async def later(value, seconds=1):
    await asyncio.sleep(seconds)
    return value

class Default(WorkerEntrypoint):
    async def gather(self):
        return await asyncio.gather(*[later(n, 10 - n) for n in range(10)])

    async def sleeping(self):
        before = time.monotonic()
        await asyncio.sleep(2.5)
        return time.monotonic() - before

    async def timeout(self):
        try:
            async with asyncio.timeout(1):
                await asyncio.sleep(1000)
        except TimeoutError:
            return "timeout"

    async def wait_for(self):
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 1)
        except TimeoutError:
            return await asyncio.wait_for(later("in time"), 5)

    async def wait(self):
        done, pending = await asyncio.wait([asyncio.create_task(later(n, n)) for n in (1, 5)], timeout=2)
        for task in pending:
            task.cancel()
        return [[task.result() for task in done], len(pending)]

    async def as_completed(self):
        return [await each for each in asyncio.as_completed([later(n, n) for n in (3, 1, 2)])]

    async def queues(self):
        queue, got = asyncio.Queue(2), []
        async def produce():
            for n in range(10):
                await queue.put(n)
            await queue.put(None)
        task = asyncio.create_task(produce())
        while (item := await queue.get()) is not None:
            got.append(item)
        await task
        return got

    async def locks(self):
        lock, log = asyncio.Lock(), []
        async def enter(name):
            async with lock:
                log.append(name)
                await asyncio.sleep(1)
                log.append(name)
        await asyncio.gather(enter("a"), enter("b"))
        return log

    async def primitives(self):
        event, condition = asyncio.Event(), asyncio.Condition()
        semaphore, barrier = asyncio.Semaphore(2), asyncio.Barrier(2)
        asyncio.get_running_loop().call_later(1, event.set)
        await event.wait()
        async def notify():
            async with condition:
                condition.notify_all()
        async with condition:
            asyncio.create_task(notify())
            await condition.wait()
        async with semaphore, semaphore:
            locked = semaphore.locked()
        await asyncio.gather(barrier.wait(), barrier.wait())
        return locked

    async def group(self):
        try:
            async with asyncio.TaskGroup() as group:
                first = group.create_task(later(1, 100))
                group.create_task(self.fail())
        except* ValueError as caught:
            message = str(caught.exceptions[0])
        return [message, first.cancelled()]

    async def fail(self):
        await asyncio.sleep(0)
        raise ValueError("no")

    async def shielded(self):
        inner = asyncio.create_task(later("kept", 2))
        try:
            await asyncio.wait_for(asyncio.shield(inner), 1)
        except TimeoutError:
            return await inner

    async def inline(self):
        return [await asyncio.to_thread(sum, [1, 2]), await asyncio.get_running_loop().run_in_executor(None, max, 1, 2)]

    async def runs(self):
        return [asyncio.get_running_loop() is asyncio.get_event_loop(), asyncio.current_task() is not None]

    async def code(self, text):
        result = eval(text)
        return await result if hasattr(result, "__await__") else repr(result)

    async def spin_until_answered(self):
        answer = asyncio.create_task(self.env.CALL())
        rounds = 0
        while not answer.done():
            rounds += 1
            await asyncio.sleep(0)
        return [answer.result(), rounds]

    async def ask(self, value):
        return await self.env.CALL(value)

    async def tick(self, count):
        for number in range(count):
            await asyncio.sleep(0.001 if number % 2 else 0)
            ticks.append(1)
        return len(ticks)

    async def wait_for_gate(self):
        waiting.append(asyncio.get_running_loop().create_future())
        await waiting[-1]
        return "resumed"

    async def open_gate(self):
        for future in waiting:
            future.set_result(None)
        return len(waiting)

    async def leave_behind(self):
        asyncio.get_running_loop().call_later(5, left.append, 1)

    async def left_behind(self):
        await asyncio.sleep(0)
        return len(left)

    async def own_tasks_end(self):
        async def inner():
            try:
                await asyncio.Event().wait()
            finally:
                left.append(1)
        asyncio.create_task(inner())
        await asyncio.sleep(0)

    async def timers(self, count):
        for _ in range(count):
            asyncio.get_running_loop().call_later(3600, print).cancel()
        return len(asyncio.get_running_loop()._timers)

    async def generator_is_closed(self):
        log = []
        async def numbers():
            try:
                yield 1
                yield 2
            finally:
                await asyncio.sleep(0)
                log.append("closed")
        async for number in numbers():
            break
        import gc
        gc.collect()
        await asyncio.sleep(1)
        return log

    async def exit_in_a_task(self):
        import sys
        async def leave():
            await asyncio.sleep(0)
            sys.exit(3)
        task = asyncio.create_task(leave())
        await asyncio.sleep(1)
        return repr(task.exception())

    async def callback_fails(self):
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return "alive"

    async def debugs(self):
        loop = asyncio.get_running_loop()
        found = [loop.get_debug()]
        for enabled in (1, 0):
            loop.set_debug(enabled)
            await asyncio.sleep(0)
            found.append(loop.get_debug())
        return found

    async def callback_cannot_be_shown(self):
        class Rude:
            def __call__(self):
                raise ValueError

            def __repr__(self):
                raise SystemExit

        asyncio.get_running_loop().call_soon(Rude())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return "alive"
"""

EXPECTED = {
    "gather": list(range(10)),
    "timeout": "timeout",
    "wait_for": "in time",
    "wait": [[1], 1],
    "as_completed": [1, 2, 3],
    "queues": list(range(10)),
    "locks": ["a", "a", "b", "b"],
    "primitives": True,
    "group": ["no", True],
    "shielded": "kept",
    "inline": [3, 2],
    "runs": [True, True],
    "generator_is_closed": ["closed"],
    "exit_in_a_task": "SystemExit(3)",
    "callback_fails": "alive",
    "callback_cannot_be_shown": "alive",
    "debugs": [False, True, False],
}
CALLABLE = [("CALL", "callable", 1)]


@pytest.mark.parametrize("name", EXPECTED)
def test_asyncio(start, name):
    assert start(WORKER).call(name).value == EXPECTED[name]


def test_sleep_takes_its_time(start):
    assert 2.5 <= start(WORKER).call("sleeping").value < 3


def test_a_loop_that_only_yields_lets_the_host_answer(start):
    answers = []

    def answer(call):
        answers.append(call)
        return LATER

    driver = start(WORKER, bindings=CALLABLE, answer=answer, cpu_ms=1000)
    run = driver.begin_call("spin_until_answered")
    driver.settle(steps=3)
    assert driver.wake == 0.0
    assert not run.done
    driver.resolve(answers[-1].call, "answered")
    driver.settle()
    assert run.value[0] == "answered"


def test_a_hundred_invocations_wait_at_once_in_one_isolate(start):
    driver = start(WORKER, bindings=CALLABLE, answer=lambda _: LATER)
    runs = [driver.call("ask", number) for number in range(100)]
    assert len(driver.calls) == 100
    assert not any(run.done for run in runs)
    for call in reversed(list(driver.calls)):
        seen = next(each for each in driver.seen if each.call == call)
        assert isinstance(seen, Call)
        driver.resolve(call, f"answer to {seen.invocation}")
    steps = driver.isolate.steps
    driver.settle()
    assert driver.isolate.steps == steps + 1
    assert [run.value for run in runs] == [f"answer to {run.number}" for run in runs]


def test_an_exception_in_a_callback_is_logged(start):
    driver = start(WORKER)
    driver.call("callback_fails")
    assert any("ZeroDivisionError" in log.message and log.source == "asyncio" for log in driver.logs)


def test_cancelled_timers_do_not_pile_up(start):
    assert start(WORKER).call("timers", 2000).value < 200


@pytest.mark.parametrize(
    "code",
    [
        "asyncio.run(later(1))",
        "asyncio.new_event_loop()",
        "asyncio.get_running_loop().run_until_complete(later(1))",
        "asyncio.get_running_loop().run_forever()",
        "asyncio.get_running_loop().stop()",
        "asyncio.get_running_loop().close()",
        "asyncio.Runner().run(later(1))",
    ],
)
def test_there_is_no_other_loop(start, code):
    driver = start(WORKER)
    failure = driver.call("code", code).failure
    assert failure is not None
    assert failure.type_name == "RuntimeError"
    assert driver.call("gather").value == list(range(10))


@pytest.mark.parametrize(
    "code",
    [
        "asyncio.open_connection('127.0.0.1', 80)",
        "asyncio.start_server(print, '127.0.0.1', 80)",
        "asyncio.create_subprocess_exec('true')",
        "asyncio.get_running_loop().add_reader(0, print)",
        "asyncio.get_running_loop().getaddrinfo('localhost', 80)",
        "asyncio.get_running_loop().add_signal_handler(2, print)",
    ],
)
def test_there_is_no_io(start, code):
    driver = start(WORKER)
    failure = driver.call("code", code).failure
    assert failure is not None
    assert failure.type_name == "NotImplementedError"


def test_time_sleep_says_what_to_write_instead(start):
    failure = start(WORKER).call("code", "time.sleep(1)").failure
    assert "await asyncio.sleep" in failure.message
    assert start(WORKER).call("code", "time.sleep(0)").value == "None"


def test_a_task_that_spins_is_stopped(start):
    driver = start(WORKER, cpu_ms=50)
    with pytest.raises(CpuExhausted):
        driver.call("code", "[1 for _ in iter(int, 1)]")


def focused(driver, *runs):
    """One step for these alone. Returns for whom the guest wants the next."""
    driver.events.focus([run.number for run in runs])
    wake = driver.step().wake
    return None if wake is None else (wake.time, wake.invocations)


def test_a_step_runs_the_code_of_those_that_it_is_for(start):
    driver = start(WORKER)
    first, second = driver.begin_call("tick", 3), driver.begin_call("tick", 3)
    driver.step()
    numbers = (first.number, second.number)
    assert driver.wake is not None
    driver.isolate.ahead_ns += 10**9
    assert focused(driver, first) is not None
    assert not second.done
    for _ in range(10):
        if first.done:
            break
        driver.isolate.ahead_ns += 10**9
        due = focused(driver, first)
        assert due is not None
        assert set(due[1]) <= set(numbers)
    assert (first.value, second.done) == (4, False)
    driver.settle()
    assert second.value == 6


def test_whoever_is_woken_by_another_waits_for_a_step_of_its_own(start):
    driver = start(WORKER)
    waiting = [driver.begin_call("wait_for_gate") for _ in range(100)]
    driver.step()
    opener = driver.begin_call("open_gate")
    when, due = focused(driver, opener)
    assert opener.value == 100
    assert not any(run.done for run in waiting)
    assert when == 0.0
    assert list(due) == [run.number for run in waiting[:64]]
    when, due = focused(driver, *waiting[:64])
    assert [run.done for run in waiting] == [True] * 64 + [False] * 36
    assert list(due) == [run.number for run in waiting[64:]]
    assert focused(driver, *waiting[64:]) is None
    assert all(run.value == "resumed" for run in waiting)


def test_timers_of_one_moment_are_due_together(start):
    driver = start(WORKER)
    runs = [driver.begin_call("sleeping") for _ in range(20)]
    other = driver.begin_call("tick", 2)
    driver.step()
    driver.isolate.ahead_ns += 10**6
    assert focused(driver, other)[1] == (other.number,) or other.done
    driver.isolate.ahead_ns += 10**6
    _, due = focused(driver, other)
    assert list(due) == [run.number for run in runs]


def test_a_loop_that_only_yields_is_nobody_elses_burden(start):
    driver = start(WORKER, bindings=CALLABLE, answer=lambda _: LATER, cpu_ms=1000)
    busy = driver.begin_call("spin_until_answered")
    driver.step()
    quick = driver.begin_call("left_behind")
    assert focused(driver, quick) == (0.0, (busy.number,))
    assert quick.done


def test_what_is_left_behind_is_for_the_oldest_that_lives(start):
    driver = start(WORKER)
    driver.call("leave_behind")
    assert driver.runs[1].done
    oldest, younger = driver.begin_call("wait_for_gate"), driver.begin_call("wait_for_gate")
    driver.step()
    driver.isolate.ahead_ns += 10 * 10**9
    assert focused(driver, younger)[1] == (oldest.number,)
    assert focused(driver, oldest) is None
    assert driver.call("left_behind").value == 1


def test_tasks_end_with_their_invocation_in_its_own_step(start):
    driver = start(WORKER)
    driver.begin_call("wait_for_gate")
    driver.step()
    run = driver.begin_call("own_tasks_end")
    assert focused(driver, run) is None
    assert run.done
    assert driver.call("left_behind").value == 1


def test_waking_runs_who_waits_and_nothing_else():
    loop, seen = guest_loop.Loop(), []
    future = Future(loop=loop)
    future.add_done_callback(
        lambda found: (seen.append(found.result()), loop.call_soon(seen.append, "later"))
    )
    future.add_done_callback(lambda found: seen.append("second"))
    loop.wake(future, "first")
    assert seen == ["first"]
    loop.run()
    assert seen == ["first", "second", "later"]


@pytest.mark.parametrize("done", [False, True])
def test_what_wakes_nobody_takes_nothing_from_others(done):
    loop, seen = guest_loop.Loop(), []
    future = Future(loop=loop)
    if done:
        future.set_result("before")
        with pytest.raises(InvalidStateError):
            loop.wake(future, "again")
    else:
        loop.wake(future, "first")
    assert loop.call_soon(seen.append, future) is not None
    loop.run()
    assert seen == [future]


def test_what_a_woken_callback_raises_is_reported():
    loop, told = guest_loop.Loop(), []
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    future, error = Future(loop=loop), ValueError("mine")

    def fails(_):
        raise error

    future.add_done_callback(fails)
    loop.wake(future, None)
    assert told == [error]
