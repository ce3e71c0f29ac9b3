"""Who shares a step and who pays: nobody far below its limit is ever taken for the culprit."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.dispatch.budget import Budget
from pyworkerd.dispatch.invocation import CallWork, HandlerWork, Invocation
from pyworkerd.dispatch.sharing import (
    MIN_BUDGET_MS,
    account_of,
    background_weight,
    budget_ms,
    charge,
    choose,
)
from pyworkerd.errors import ExceededCpu
from pyworkerd.observe.scope import begin
from pyworkerd.services.base import DEFAULT
from pyworkerd_config.model import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.loaded import LoadedWorker
    from pyworkerd.runtime import Runtime

LIMIT = 50.0


def invocation(number: int = 1) -> Invocation:
    answer: asyncio.Future[bytes] | None = None
    work = CallWork("x", b"", DEFAULT)
    return Invocation(number, work, answer, 0.0, Budget(LIMIT, 300_000), 0, 0, copy_context(), begin()[0])


def many(count: int) -> list[Invocation]:
    return [invocation(number) for number in range(count)]


def test_what_nobody_waits_for_weighs_little() -> None:
    behind = invocation()
    behind.work = HandlerWork("queue", b"", DEFAULT)
    worker: Any = SimpleNamespace(patient="patient", thread_account="usual")
    assert account_of(worker, [behind, behind]) == "patient"
    assert account_of(worker, [behind, invocation()]) == "usual"
    assert [background_weight(weight) for weight in (1, 100, 10_000)] == [1, 5, 500]


def test_steps_that_no_client_waits_for_wait_in_a_line_of_their_own(
    with_runtime: Callable[..., None],
) -> None:
    source = """
from workers import Response, WorkerEntrypoint
def spin():
    for _ in range(300_000):
        pass
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        spin()
        return Response("")
    async def scheduled(self, controller):
        spin()
"""

    async def main(runtime: Runtime) -> None:
        loaded = await runtime.load({"w.py": source})
        worker = loaded.service
        assert worker.patient.weight == worker.thread_account.weight / 20
        await loaded.scheduled("* * * * *")
        assert (worker.thread_account.tag, worker.patient.tag > 0) == (0, True)
        before = worker.patient.tag
        await loaded.fetch("/")
        await loaded.fetch("/")
        assert worker.thread_account.tag > 0
        assert worker.patient.tag == before

    with_runtime(main)


def test_as_many_share_a_step_as_stay_short_together() -> None:
    waiting = many(20)
    assert choose(waiting, 16) == waiting[:16]
    assert choose(waiting, 1) == waiting[:1]
    assert choose(waiting[:3], 16) == waiting[:3]
    assert choose([], 16) == []


def test_whoever_is_measured_steps_alone() -> None:
    waiting = many(5)
    for each in (waiting[0], waiting[2]):
        each.shared_left_ms = 0.0
    assert choose(waiting, 16) == waiting[:1]
    assert choose(waiting[1:], 16) == [waiting[1], waiting[3], waiting[4]]
    assert choose(waiting[2:], 16) == [waiting[2]]


def test_the_budget_is_what_they_have_left_together() -> None:
    waiting = many(3)
    waiting[1].cpu_left_ms = 10
    assert budget_ms(waiting, False) == 110
    assert budget_ms(waiting[1:2], False) == 10
    waiting[1].cpu_left_ms = -5
    assert budget_ms(waiting[1:2], False) == MIN_BUDGET_MS


def test_an_isolate_that_can_be_lost_gets_twice_as_much_as_one() -> None:
    assert budget_ms(many(16), True) == 2 * LIMIT
    assert budget_ms(many(1), True) == LIMIT


@given(
    st.lists(
        st.tuples(st.sets(st.integers(0, 7), min_size=1), st.floats(0, 20), st.integers(1, 16)), max_size=60
    )
)
def test_nobody_is_convicted_of_what_others_used(
    steps: list[tuple[set[int], float, int]],
) -> None:
    """Number 0 uses next to nothing; the others what they like. All that is used is charged to somebody."""
    everybody, really = many(8), [0.0] * 8
    used = 0.0
    for wanting, cost, most in steps:
        waiting = [everybody[number] for number in sorted(wanting)]
        while waiting:
            chosen = choose(waiting, most)
            assert chosen
            waiting = [each for each in waiting if each not in chosen]
            for each in chosen:
                share = 0.01 if each.id == 0 else cost
                really[each.id] += share
            total = sum(0.01 if each.id == 0 else cost for each in chosen)
            budget = budget_ms(chosen, False)
            if total > budget:
                assert any(really[each.id] > LIMIT for each in chosen)
            used += total
            charge(chosen, total)
    for each in everybody:
        assert each.cpu_left_ms >= LIMIT - really[each.id] - 1e-6
    charged = sum(2 * LIMIT - each.cpu_left_ms - each.shared_left_ms for each in everybody)
    assert abs(charged - used) < 1e-6


# in isolates --------------------------------------------------------------------------------------------------------

SOURCE = """
import asyncio
from workers import Response, WorkerEntrypoint

waiting = []

def work(rounds):
    total = 0
    for number in range(rounds):
        total += number * number

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("ok")

    async def at_once(self, rounds):
        work(rounds)
        return "done"

    async def after_a_call(self, rounds, calls=1):
        for _ in range(calls):
            await self.env.GATE()
        work(rounds)
        return "done"

    async def after_many_calls(self, calls):
        return len(await asyncio.gather(*[self.env.GATE() for _ in range(calls)]))

    async def after_another(self, rounds):
        await self.env.GATE()
        waiting.append(asyncio.get_running_loop().create_future())
        await waiting[-1]
        work(rounds)
        return "done"

    async def how_many_wait(self):
        return len(waiting)

    async def wake_the_others(self):
        for future in waiting:
            future.set_result(None)
        return len(waiting)

    async def tick(self, ticks, rounds):
        await self.env.GATE()
        for _ in range(ticks):
            await asyncio.sleep(0.001)
            work(rounds)
        return "done"
"""
CPU_MS = 100


class Gate:
    """A binding that answers all who wait when it is opened."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    async def __call__(self) -> None:
        self._waiting.append(asyncio.get_running_loop().create_future())
        await self._waiting[-1]

    async def open(self, count: int) -> None:
        while len(self._waiting) < count:
            await asyncio.sleep(0)
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            future.set_result(None)


async def costing(worker: LoadedWorker, share: float) -> int:
    """How many rounds of work use this share of the limit, by themselves."""
    rounds, used = 1000, 0.0
    while used < 20:
        rounds *= 2
        await worker.call("at_once", rounds)
        (live,) = worker.service._members.values()
        assert live._isolate is not None
        used = live._isolate.last_step_ms
    return int(rounds * share * CPU_MS / used)


def seem_fast(worker: LoadedWorker) -> None:
    """As after many short requests: as many as can be share a step."""
    worker.service.placement.average_ms = 0.05


def with_worker(
    with_runtime: Callable[..., None],
    test: Callable[[LoadedWorker, Gate], object],
    isolates: int = 1,
    cpu_ms: int = CPU_MS,
) -> None:
    async def main(runtime: Runtime) -> None:
        gate = Gate()
        limits = Limits(cpu_ms=cpu_ms, isolates=isolates)
        worker = await runtime.load({"w.py": SOURCE}, bindings={"GATE": gate}, limits=limits)
        await test(worker, gate)  # type: ignore[misc]

    with_runtime(main)


def test_many_that_resume_together(with_runtime: Callable[..., None]) -> None:
    async def main(worker: LoadedWorker, gate: Gate) -> None:
        rounds = await costing(worker, 0.4)
        calls = [asyncio.create_task(worker.call("after_a_call", rounds)) for _ in range(10)]
        seem_fast(worker)
        await gate.open(10)
        assert await asyncio.gather(*calls) == ["done"] * 10

    with_worker(with_runtime, main)


def test_many_that_begin_together_beside_some_that_cannot_be_repeated(
    with_runtime: Callable[..., None],
) -> None:
    async def main(worker: LoadedWorker, gate: Gate) -> None:
        rounds = await costing(worker, 0.4)
        bystanders = [asyncio.create_task(worker.call("after_a_call", 1)) for _ in range(5)]
        await asyncio.sleep(0)
        while not all(each.touched_outside for each in invocations(worker)) or not invocations(worker):
            await asyncio.sleep(0)
        seem_fast(worker)
        calls = [asyncio.create_task(worker.call("at_once", rounds)) for _ in range(5)]
        assert await asyncio.gather(*calls) == ["done"] * 5
        await gate.open(5)
        assert await asyncio.gather(*bystanders) == ["done"] * 5

    with_worker(with_runtime, main)


def invocations(worker: LoadedWorker) -> list[Invocation]:
    return [each for live in worker.service._members.values() for each in live.invocations.values()]


def test_many_that_begin_together_and_cost_more_than_was_expected(with_runtime: Callable[..., None]) -> None:
    """The isolate can be lost, so it is, and each is run again alone: with all of its time."""

    async def main(worker: LoadedWorker, gate: Gate) -> None:
        rounds = await costing(worker, 0.4)
        seem_fast(worker)
        calls = [asyncio.create_task(worker.call("at_once", rounds)) for _ in range(5)]
        assert await asyncio.gather(*calls) == ["done"] * 5

    with_worker(with_runtime, main, isolates=4)


def test_one_of_many_steps_beside_costly_ones(with_runtime: Callable[..., None]) -> None:
    async def main(worker: LoadedWorker, gate: Gate) -> None:
        rounds = await costing(worker, 0.4)
        light = asyncio.create_task(worker.call("after_a_call", 1, calls=10))
        for _ in range(10):
            calls = [asyncio.create_task(worker.call("after_a_call", rounds))]
            seem_fast(worker)
            await gate.open(2)
            assert await asyncio.gather(*calls) == ["done"]
        assert await light == "done"

    with_worker(with_runtime, main)


def test_many_that_one_of_them_wakes(with_runtime: Callable[..., None]) -> None:
    """What a thousand requests that wait for one answer look like: their time is not that of whoever got it."""

    async def main(worker: LoadedWorker, gate: Gate) -> None:
        rounds = await costing(worker, 0.2)
        calls = [asyncio.create_task(worker.call("after_another", rounds)) for _ in range(20)]
        await gate.open(20)
        while await worker.call("how_many_wait") < 20:
            pass
        seem_fast(worker)
        assert await worker.call("wake_the_others") == 20
        assert await asyncio.gather(*calls) == ["done"] * 20

    with_worker(with_runtime, main)


def test_a_burner_that_wakes_by_itself_is_found(with_runtime: Callable[..., None]) -> None:
    async def main(worker: LoadedWorker, gate: Gate) -> None:
        rounds = await costing(worker, 0.01)  # so little that it is found between two steps, not in one
        light = [asyncio.create_task(worker.call("tick", 20, 1)) for _ in range(5)]
        burner = asyncio.create_task(worker.call("tick", 1000, rounds))
        await gate.open(6)
        with pytest.raises(ExceededCpu):
            await burner
        assert await asyncio.gather(*light) == ["done"] * 5
        assert await worker.call("at_once", 1) == "done"

    with_worker(with_runtime, main)


def test_what_a_step_asks_for_is_paid_by_it(with_runtime: Callable[..., None]) -> None:
    """Performing it takes the loop's thread, whoever wrote it."""

    async def main(worker: LoadedWorker, gate: Gate) -> None:
        calling = asyncio.create_task(worker.call("after_many_calls", 500))
        await gate.open(500)
        (invocation,) = invocations(worker)
        (live,) = worker.service._members.values()
        assert live._isolate is not None
        stepped = live._isolate.cpu_ns / 1e6
        assert invocation.cpu_left_ms < 2000 - stepped
        assert await calling == 500

    with_worker(with_runtime, main, cpu_ms=2000)
