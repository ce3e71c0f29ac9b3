"""What is charged: work is, collecting garbage is not."""

from __future__ import annotations

import gc
import sys
import threading
import time
from time import thread_time_ns
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_isolates import cpu_clock
from pyworkerd_isolates import isolate as isolate_module
from pyworkerd_isolates.cpu_clock import SHORT_NS, begin, charged_ns, charged_s, used_ns

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.protocol import Output
    from pyworkerd_isolates.testing import Driver

HELLO = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("hello")
"""


class Slow:
    """Garbage that takes its time to go: 20 ms of CPU time."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        burn(20_000_000)


def burn(nanoseconds: int) -> None:
    until = thread_time_ns() + nanoseconds
    while thread_time_ns() < until:
        pass


def test_work_is_charged_and_collecting_is_not() -> None:
    began = charged_ns()
    burn(5_000_000)
    worked = charged_ns() - began
    assert worked >= 5_000_000
    Slow()
    began, real = charged_ns(), thread_time_ns()
    gc.collect()
    assert thread_time_ns() - real >= 20_000_000
    assert charged_ns() - began < 20_000_000
    assert abs(charged_s() - charged_ns() / 1e9) < 1


@pytest.mark.parametrize("nanoseconds", [0, 20_000, 2 * SHORT_NS, 5_000_000])
def test_nobody_pays_for_less_than_was_used(nanoseconds: int) -> None:
    for _ in range(5):
        began, real = begin(), thread_time_ns()
        burn(nanoseconds)
        worked = thread_time_ns() - real
        assert used_ns(began) >= worked


def test_waiting_is_not_charged() -> None:
    burn(SHORT_NS)
    began = begin()
    time.sleep(0.05)
    assert used_ns(began) < 20_000_000


def test_collecting_is_not_charged_however_short_the_rest() -> None:
    Slow()
    began = begin()
    gc.collect()
    assert used_ns(began) < 20_000_000


class Clocks:
    """Those of the wall and of a thread, by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = self.cpu = self.asked = 0
        monkeypatch.setattr(cpu_clock, "perf_counter_ns", lambda: self.wall)
        monkeypatch.setattr(cpu_clock, "thread_time_ns", self._ask)
        monkeypatch.setattr(cpu_clock._thread, "clock", cpu_clock._Clock())

    def _ask(self) -> int:
        self.asked += 1
        return self.cpu

    def work(self, nanoseconds: int, *, wait: int = 0) -> None:
        self.wall += nanoseconds + wait
        self.cpu += nanoseconds


def test_what_is_over_at_once_asks_for_no_cpu_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks(monkeypatch)
    clocks.work(1)
    for _ in range(10):
        began = begin()
        clocks.work(20_000)
        assert used_ns(began) == 20_000
    assert clocks.asked == 1


@pytest.mark.parametrize("before", [0, SHORT_NS // 2, SHORT_NS, SHORT_NS + 1, 10 * SHORT_NS])
def test_who_waits_pays_for_little_of_what_was_before(before: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks(monkeypatch)
    clocks.work(1)
    begin()
    clocks.work(before)
    began = begin()
    clocks.work(3_000_000, wait=9_000_000)
    assert used_ns(began) == 3_000_000 + (before if before <= SHORT_NS else 0)


def test_a_collection_whose_beginning_could_not_be_noted_gives_nobody_time() -> None:
    (note,) = [callback for callback in gc.callbacks if callback.__module__ == charged_ns.__module__]
    gc.collect()
    began = charged_ns()
    note("stop", {})
    assert charged_ns() >= began


def test_each_thread_has_its_own() -> None:
    seen = []

    def collect() -> None:
        Slow()
        began = charged_ns()
        gc.collect()
        seen.append(charged_ns() - began)

    before = thread_time_ns() - charged_ns()
    thread = threading.Thread(target=collect)
    thread.start()
    thread.join()
    assert seen[0] < 20_000_000
    assert thread_time_ns() - charged_ns() - before < 20_000_000


def test_the_collector_may_be_the_first_to_ask_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each object that is made may be the one too many, also the clock itself."""
    failed: list[object] = []
    made = cpu_clock._Clock

    def make() -> cpu_clock._Clock:
        gc.collect()
        return made()

    monkeypatch.setattr(cpu_clock, "_Clock", make)
    monkeypatch.setattr(sys, "unraisablehook", failed.append)
    thread = threading.Thread(target=lambda: used_ns(begin()))
    thread.start()
    thread.join()
    assert not failed


def test_a_collection_inside_a_step_is_not_the_guests(
    start: Callable[..., Driver], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an answer is read into are objects, the last of which may be the one too many."""
    driver = start({"worker.py": HELLO})
    real, isolate = isolate_module.decode_effects, driver.isolate

    def decode(*arguments: Any) -> Output:
        Slow()
        gc.collect()
        return real(*arguments)

    monkeypatch.setattr(isolate_module, "decode_effects", decode)
    before = thread_time_ns()
    driver.fetch()
    assert thread_time_ns() - before >= 20_000_000
    assert isolate.last_step_ms < 20
