"""One timer for all: whose time is up is told in order, and nobody else is."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from itertools import count
from typing import TYPE_CHECKING

import uvloop
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.dispatch.budget import Budget
from pyworkerd.dispatch.expiry import Expiries, Expiry
from pyworkerd.dispatch.invocation import CallWork, Invocation
from pyworkerd.observe.scope import begin
from pyworkerd.services.base import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBERS = count(1)


def new(wall_ms: float = 10.0) -> Invocation:
    work, budget = CallWork("x", b"", DEFAULT), Budget(50.0, wall_ms)
    return Invocation(next(NUMBERS), work, None, 0.0, budget, 1, 1, copy_context(), begin()[0])


class Clock(asyncio.AbstractEventLoop):
    """A loop whose time passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[asyncio.TimerHandle] = []
        self.faults: list[object] = []

    def time(self) -> float:
        return self.now

    def get_debug(self) -> bool:
        return False

    def call_at(self, when: float, callback: Callable[[], object]) -> asyncio.TimerHandle:  # type: ignore[override]
        timer = asyncio.TimerHandle(when, callback, (), self)
        self.timers.append(timer)
        return timer

    def call_exception_handler(self, context: dict[str, object]) -> None:
        self.faults.append(context["exception"])

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Asked by `TimerHandle.cancel`."""

    def move(self, to: float) -> None:
        """Time goes on; what is due by then is called at its own time."""
        while due := [timer for timer in self.timers if timer.when() <= to and not timer.cancelled()]:
            first = min(due, key=asyncio.TimerHandle.when)
            self.timers.remove(first)
            self.now = max(self.now, first.when())
            first._run()
        self.now = to


@given(st.lists(st.tuples(st.integers(0, 30), st.none() | st.integers(0, 30)), max_size=12))
def test_each_is_told_at_its_time_unless_it_ended_before(plan: list[tuple[int, int | None]]) -> None:
    clock, told = Clock(), {}
    expiry = Expiry(clock, 10_000, lambda each: told.setdefault(each, clock.now))
    everybody = [(begun, ended, new()) for begun, ended in plan]
    for moment in range(60):
        clock.move(moment)
        for begun, ended, each in everybody:
            if begun == moment:
                expiry.begin(each, clock.now)
            if ended is not None and begun + ended == moment:
                each.stop_clock()
    late = {each: begun + 10.0 for begun, ended, each in everybody if ended is None or ended >= 10}
    assert told == late
    assert len(expiry) == 0
    assert all(each.expiry is None for _, _, each in everybody)


def test_one_timer_does_for_all_and_time_is_counted_once() -> None:
    clock, told = Clock(), []
    expiry = Expiry(clock, 1000, told.append)
    first, second = new(), new()
    expiry.begin(first, 0.0)
    expiry.begin(second, 0.5)
    expiry.begin(first, 0.7)
    assert len(clock.timers) == 1
    clock.move(1.2)
    assert told == [first]
    clock.move(1.6)
    assert told == [first, second]
    assert not clock.timers


def test_who_is_ended_by_the_end_of_another_is_not_told() -> None:
    clock, told = Clock(), []
    first, second = new(), new()

    def expire(each: Invocation) -> None:
        told.append(each)
        second.stop_clock()

    expiry = Expiry(clock, 1000, expire)
    expiry.begin(first, 0.0)
    expiry.begin(second, 0.0)
    clock.move(5.0)
    assert told == [first]


def test_each_has_the_time_of_its_budget_and_a_worker_that_closes_leaves_no_timer() -> None:
    clock, told = Clock(), []
    expiries = Expiries(clock, told.append)
    short, long = new(1000), new(9000)
    expiries.of(long.budget).begin(long, 0.0)
    expiries.of(short.budget).begin(short, 0.0)
    clock.move(5.0)
    assert told == [short]
    expiries.close()
    assert all(timer.cancelled() for timer in clock.timers)
    clock.move(20.0)
    assert told == [short]


def test_the_next_may_be_due_at_once_on_the_loop_that_servers_have() -> None:
    """uvloop's handle for what is due by now is no timer, and cannot say when it is."""

    async def main() -> list[Invocation]:
        told: list[Invocation] = []
        loop = asyncio.get_running_loop()
        expiry = Expiry(loop, 10, told.append)
        everybody = [new() for _ in range(20)]
        for number, each in enumerate(everybody):
            expiry.begin(each, loop.time() + number / 20_000 - 0.01)
        while len(told) < len(everybody):
            await asyncio.sleep(0.001)
        assert told == everybody
        return told

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert len(runner.run(main())) == 20


def test_one_that_cannot_be_ended_keeps_no_other_from_its_end() -> None:
    clock, fault, told = Clock(), ValueError("a fault of ours"), list[Invocation]()
    at_once, bad, late = new(), new(), new()

    def expire(invocation: Invocation) -> None:
        if invocation is bad:
            raise fault
        told.append(invocation)

    expiry = Expiry(clock, 10_000, expire)
    for each in (bad, at_once):
        expiry.begin(each, 0.0)
    expiry.begin(late, 1.0)
    clock.move(10)
    assert (told, clock.faults) == ([at_once], [fault])
    clock.move(11)
    assert told == [at_once, late]
    assert not len(expiry)
