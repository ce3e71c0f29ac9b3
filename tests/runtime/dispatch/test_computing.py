"""What only computes: paid for with CPU time, wherever it is done, and not begun without."""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context
from time import thread_time
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.dispatch.budget import Budget
from pyworkerd.dispatch.computing import LONG_MS, QUICK_MS, Computation, check_cost
from pyworkerd.dispatch.invocation import CallWork, Invocation
from pyworkerd.errors import ExceededCpu, InternalError, WorkerException
from pyworkerd.observe.scope import begin
from pyworkerd.services.base import DEFAULT

from tests.runtime.dispatch.test_calls import Capability, Door, call, new

if TYPE_CHECKING:
    from pyworkerd.dispatch.waiting import Waiting


class Panic(BaseException):
    """What a library of Rust raises, and `except Exception` does not see."""


class Adder:
    """A capability that computes, and says what it costs."""

    external = False

    def __init__(self, cost_ms: float = 1.0, error: BaseException | None = None) -> None:
        self.cost, self.error = cost_ms, error
        self.threads: list[threading.Thread] = []
        self.prepared = 0
        self.works_s = 0.0

    def prepare(self) -> None:
        self.prepared += 1

    def cost_ms(self, method: str, arguments: bytes) -> float:
        return self.cost

    def compute(self, method: str, arguments: bytes) -> bytes:
        self.threads.append(threading.current_thread())
        end = thread_time() + self.works_s
        while thread_time() < end:
            pass
        if self.error is not None:
            raise self.error
        return arguments + b"!"

    call = fetch = None


class Told:
    """Who hears of it."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def returned(self, waiting: Waiting, value: bytes) -> None:
        self.heard.append(value)

    def replied(self, waiting: Waiting, body: None, answer: None, error: Any) -> None:
        self.heard.append(error)

    def over(self, waiting: Waiting) -> None:
        self.heard.append("over")


def invocation(cpu_ms: float = 50.0) -> Invocation:
    answer: Any = None
    budget = Budget(cpu_ms, 300_000)
    return Invocation(1, CallWork("x", b"", DEFAULT), answer, 0.0, budget, 1, 1, copy_context(), begin()[0])


@pytest.mark.parametrize("works_s", [0.0, 0.02])
def test_what_it_took_is_its_invocations_cpu_time(works_s: float) -> None:
    told, adder, asked = Told(), Adder(), invocation(cpu_ms=10.0)
    adder.works_s = works_s
    job = Computation(told, adder, call(1), asked, 1.0)
    assert job.go_on(4.0)
    assert (told.heard, asked.cpu_left_ms) == ([], 10.0)
    job.over()
    assert told.heard == [b"arguments!"]
    assert asked.cpu_left_ms == 0.0 if works_s else 0.0 < asked.cpu_left_ms <= 10.0


def test_at_once_is_charged_by_the_turn_that_it_is_in() -> None:
    told, adder, asked = Told(), Adder(), invocation()
    Computation(told, adder, call(1), asked, 0.1).at_once()
    assert (told.heard, asked.cpu_left_ms, adder.prepared) == ([b"arguments!"], 50.0, 1)


def test_what_nobody_waits_for_does_not_begin() -> None:
    told, adder = Told(), Adder()
    job = Computation(told, adder, call(1), invocation(), 1.0)
    job.cancel()
    assert job.go_on(4.0)
    job.over()
    assert (told.heard, adder.threads) == (["over"], [])


def test_what_was_computed_for_nobody_is_paid_for_as_well() -> None:
    told, adder, asked = Told(), Adder(), invocation(cpu_ms=10.0)
    adder.works_s = 0.02
    job = Computation(told, adder, call(1), asked, 1.0)
    job.go_on(4.0)
    job.cancel()
    job.over()
    assert (told.heard, asked.cpu_left_ms) == (["over"], 0.0)


@pytest.mark.parametrize("error", [WorkerException("DataError", "no"), ValueError("a bug"), Panic("a panic")])
def test_whatever_it_raises_is_the_answer(error: BaseException) -> None:
    told = Told()
    Computation(told, Adder(error=error), call(1), invocation(), 1.0).at_once()
    (heard,) = told.heard
    assert heard is error or (isinstance(heard, InternalError) and heard.__cause__ is error)


@pytest.mark.parametrize(("cpu_ms", "cost_ms"), [(40.0, 30.0), (10.0, LONG_MS / 2)])
def test_what_others_have_left_no_time_for_does_not_begin(cpu_ms: float, cost_ms: float) -> None:
    """Many may have been asked for at once, when there was time for each of them."""
    told, adder, asked = Told(), Adder(), invocation(cpu_ms)
    jobs = [Computation(told, adder, call(number), asked, cost_ms) for number in (1, 2)]
    adder.works_s = 0.02
    for job in jobs:
        job.go_on(4.0)
        job.over()
    first, second = told.heard
    assert first == b"arguments!"
    assert isinstance(second, ExceededCpu)
    assert len(adder.threads) == 1


def test_what_there_is_no_time_for_is_refused() -> None:
    check_cost(invocation(50.0), 50.0)
    with pytest.raises(
        ExceededCpu, match=r"about 500 ms of CPU time, and 50 of 50 are left \(limits.cpu_ms\)"
    ):
        check_cost(invocation(50.0), 500.0)


class Worker(Door):
    """A door that runs computations in the next turn."""

    def __init__(self, *capabilities: Any) -> None:
        super().__init__(*capabilities)
        self.costs: list[float] = []

    def compute(self, job: Computation, asked: Invocation, cost_ms: float) -> None:
        self.costs.append(cost_ms)

        async def run() -> None:
            job.go_on(4.0)
            job.over()

        self.spawn(run())


@pytest.mark.parametrize("cost_ms", [QUICK_MS, 1.0, LONG_MS + 1])
def test_a_call_that_is_computed_is_no_call_that_counts(cost_ms: float) -> None:
    async def main() -> None:
        door = Worker(Adder(cost_ms))
        door.calls = 0
        calls, _, asked = new(door)
        calls.begin(call(7), asked)
        assert not asked.touched_outside
        assert (door.told() != []) is (cost_ms <= QUICK_MS)
        await door.rest()
        assert door.costs == ([] if cost_ms <= QUICK_MS else [cost_ms])
        assert door.told() == [["resolve", 7, "value", 0]] if cost_ms > QUICK_MS else True
        assert (len(calls), asked.held, door.room.promised) == (0, set(), 0)

    asyncio.run(main())


def test_one_that_costs_too_much_is_answered_at_once() -> None:
    async def main() -> None:
        door = Worker(Adder(1000.0))
        calls, _, asked = new(door)
        calls.begin(call(7), asked)
        ((kind, number, code, *_),) = door.told()
        assert (kind, number, code, len(calls)) == ("reject", 7, "exceeded_cpu", 0)

    asyncio.run(main())


def test_other_capabilities_are_called_as_before() -> None:
    async def main() -> None:
        capability = Capability()
        door = Worker(capability, Adder())
        assert door.channels.computing(1) is None
        calls, _, asked = new(door)
        capability.gate.set()
        calls.begin(call(7), asked)
        await door.rest()
        assert (door.costs, asked.touched_outside) == ([], True)

    asyncio.run(main())
