"""What is charged: work is, collecting garbage is not."""

from __future__ import annotations

import gc
import threading
from time import thread_time_ns
from typing import TYPE_CHECKING, Any

from pyworkerd_isolates import isolate as isolate_module
from pyworkerd_isolates.cpu_clock import charged_ns, charged_s

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
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
