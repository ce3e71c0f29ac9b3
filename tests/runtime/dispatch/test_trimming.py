"""Which isolates are trimmed, and when."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.dispatch import trimming as trimming_module
from pyworkerd.dispatch.trimming import AT_ONCE, EVERY_S, IDLE_S, Trimming
from pyworkerd_isolates.isolate import Isolate
from pyworkerd_isolates.pages import PAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.runtime import Runtime

pytestmark = pytest.mark.skipif(PAGES is None, reason="this kernel has no PAGEMAP_SCAN")


class Clockwork:
    """An event loop's timers, with a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: list[tuple[float, Callable[..., None], tuple[Any, ...]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[..., None], *arguments: Any) -> object:
        self._timers.append((when, call, arguments))
        return object()

    def call_later(self, delay: float, call: Callable[..., None], *arguments: Any) -> object:
        return self.call_at(self.now + delay, call, *arguments)

    @property
    def waits(self) -> int:
        return len(self._timers)

    def run(self, until: float) -> None:
        while self._timers and min(self._timers, key=lambda one: one[0])[0] <= until:
            timer = min(self._timers, key=lambda one: one[0])
            self._timers.remove(timer)
            self.now, call, arguments = timer
            call(*arguments)
        self.now = until


class Idler:
    """A live isolate that says when it is trimmed."""

    def __init__(self, number: int, loop: Clockwork) -> None:
        self.id, self.loop = number, loop
        self.idle_since = 0.0
        self.trimmed: list[float] = []

    def trim(self) -> None:
        self.trimmed.append(self.loop.now)


def rest(trimming: Trimming, one: Idler) -> None:
    one.idle_since = one.loop.now
    trimming.rests(one)  # type: ignore[arg-type]


@given(
    rests=st.lists(st.tuples(st.floats(0, 3 * IDLE_S), st.integers(0, 30)), max_size=60).map(sorted),
    deaths=st.sets(st.integers(0, 30)),
)
def test_each_is_trimmed_once_after_it_was_idle_for_long_and_few_at_a_time(
    rests: list[tuple[float, int]], deaths: set[int]
) -> None:
    loop = Clockwork()
    trimming, all_of_them = Trimming(), [Idler(number, loop) for number in range(31)]
    for when, number in rests:
        loop.run(when)
        rest(trimming, all_of_them[number])
    for number in deaths:
        trimming.died(all_of_them[number])  # type: ignore[arg-type]
    before = {one.id: len(one.trimmed) for one in all_of_them}
    loop.run(loop.now + 2 * IDLE_S)
    assert len(trimming) == 0
    assert loop.waits == 0, "nobody is idle, and nothing is looked at"
    last = {number: when for when, number in rests}
    for one in all_of_them:
        assert all(when >= IDLE_S for when in one.trimmed)
        if one.id in deaths:
            assert len(one.trimmed) == before[one.id]
        elif one.id in last:
            assert one.trimmed[-1] >= last[one.id] + IDLE_S
            assert one.trimmed[-1] <= last[one.id] + IDLE_S + EVERY_S * (len(rests) // AT_ONCE + 1) + 1e-6
    moments = [when for one in all_of_them for when in one.trimmed]
    assert all(moments.count(moment) <= AT_ONCE for moment in moments)


def test_whoever_has_worked_meanwhile_is_not_trimmed_yet() -> None:
    loop = Clockwork()
    trimming, one = Trimming(), Idler(1, loop)
    for turn in range(10):
        loop.run(turn * (IDLE_S - 0.1))
        rest(trimming, one)
    assert one.trimmed == []
    loop.run(loop.now + IDLE_S)
    assert one.trimmed == [loop.now]


SOURCE = {"worker.js": 'export default { fetch() { return new Response("hello"); } };'}


@pytest.fixture
def trims(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What each trim of an isolate gave back, from now on, which comes at once."""
    told: list[int] = []
    real = Isolate.trim

    def trim(isolate: Isolate) -> int:
        told.append(real(isolate))
        return told[-1]

    monkeypatch.setattr(Isolate, "trim", trim)
    monkeypatch.setattr(trimming_module, "IDLE_S", 0.01)
    return told


def test_an_idle_isolate_of_a_worker_takes_less(with_runtime: Callable[..., None], trims: list[int]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        for turn in range(1, 4):
            assert await (await worker.fetch("/")).read() == b"hello"
            while len(trims) < turn:
                await asyncio.sleep(0.005)
        assert all(trims)

    with_runtime(main)


def test_one_that_is_asked_for_again_is_left_alone(
    with_runtime: Callable[..., None], trims: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, arrived = asyncio.Event(), asyncio.Event()

    async def gate() -> str:
        arrived.set()
        await opened.wait()
        return "open"

    async def main(runtime: Runtime) -> None:
        monkeypatch.setattr(trimming_module, "IDLE_S", 1000)
        source = {
            "worker.js": """export default { async fetch(request, env) {
                return new Response(request.url.endsWith("/wait") ? await env.GATE() : "hello");
            } };"""
        }
        worker = await runtime.load(source, bindings={"GATE": gate})
        await (await worker.fetch("/")).read()
        asking = asyncio.ensure_future(worker.fetch("/wait"))
        await arrived.wait()
        monkeypatch.setattr(trimming_module, "IDLE_S", 0)
        runtime.fleet.trimming._look(asyncio.get_running_loop())
        assert trims == []
        opened.set()
        await (await asking).read()
        while not trims:
            await asyncio.sleep(0.005)

    with_runtime(main)
