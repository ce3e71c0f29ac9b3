"""The process's memory is short: who is ended, who is refused, and that it is over when it is over."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import sys
from typing import TYPE_CHECKING

import psutil
import pytest
from pyworkerd.dispatch import relief
from pyworkerd.dispatch.fleet import FleetLimits
from pyworkerd.dispatch.relief import GIVE_BACK_S, LOOK_S, Relief, own_memory
from pyworkerd.errors import Overloaded
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd_config.model import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
SOURCE = {
    "w.py": """
from workers import Response, WorkerEntrypoint

KEPT = []

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        KEPT.append(bytearray(int(request.url.rsplit("/", 1)[1]) << 20))
        return Response("kept")
"""
}


class Reading:
    """What is read of a process that may take 1,000 MiB."""

    def __init__(self, runtime: Runtime) -> None:
        self.used = 0
        self.relief = Relief(runtime.fleet, 1000 * MIB, lambda: self.used * MIB)

    def look(self, used: int) -> None:
        self.used = used
        self.relief.look()


def test_idle_isolates_end_then_the_heaviest_is_refused_then_all(
    with_runtime: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    async def main(runtime: Runtime) -> None:
        caplog.set_level(logging.INFO, "pyworkerd.dispatch")
        reading = Reading(runtime)
        limits = Limits(cpu_ms=2000)  # the kernel takes its time for twenty megabytes
        heavy, light = [await runtime.load(SOURCE, name=name, limits=limits) for name in ("heavy", "light")]
        await heavy.fetch("/20")
        await light.fetch("/0")
        reading.look(740)
        assert runtime.statistics().isolates == 2
        reading.look(750)
        assert runtime.statistics().isolates == 0, "both were idle"
        await heavy.fetch("/20")
        await light.fetch("/0")
        assert heavy.service.memory() > 10 * MIB > light.service.memory() > 0
        reading.look(850)
        with pytest.raises(Overloaded, match="short of memory"):
            await heavy.fetch("/0")
        assert await (await light.fetch("/0")).text() == "kept"
        reading.look(930)
        with pytest.raises(Overloaded, match="short of memory"):
            await light.fetch("/0")
        reading.look(600)
        for worker in (heavy, light):
            assert await (await worker.fetch("/0")).text() == "kept"
        said = [record.getMessage() for record in caplog.records]
        assert [text.rsplit("(", 1)[1] for text in said] == [
            f"{used} of 1000 MiB)" for used in (750, 850, 930, 600)
        ]

    with_runtime(main)


def test_requests_that_wait_count_with_their_bodies(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE, limits=Limits(isolates=1, concurrency=1))
        service = worker.service
        asking = [asyncio.create_task(worker.fetch("/0", method="POST", body=b"x" * 1000)) for _ in range(3)]
        await asyncio.sleep(0)
        assert service.statistics()["waiting"] == 2
        (live,) = service._members.values()
        assert service.memory() == service.fleet.cost_of(live) + 2000
        await asyncio.gather(*asking)

    with_runtime(main)


def test_it_is_looked_at_from_the_start_until_the_end() -> None:
    async def main() -> None:
        looks = 0

        def read() -> int:
            nonlocal looks
            looks += 1
            return 0

        async with Runtime(None, RuntimeOptions(FleetLimits(process=1000 * MIB))) as runtime:
            runtime.fleet.relief._read = read
            loop = asyncio.get_running_loop()
            end = loop.time() + 20 * LOOK_S
            while looks < 2 and loop.time() < end:
                await asyncio.sleep(0)
            assert looks == 2

    asyncio.run(main())


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc gives back")
def test_memory_that_is_free_is_given_back_before_anything_is_given_up(
    with_runtime: Callable[..., None],
) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        await worker.fetch("/0")
        read = own_memory()
        before = read()
        pieces = [bytes(40_000) for _ in range(5000)]
        kept = pieces[::100]
        full = read()
        assert full - before > 150 * MIB
        del pieces
        Relief(runtime.fleet, (full - 50 * MIB) * 4 // 3).look()
        assert read() - before < 50 * MIB
        assert runtime.statistics().isolates == 1
        assert len(kept) == 50

    with_runtime(main)


def test_the_allocator_is_not_asked_again_and_again(
    with_runtime: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(runtime: Runtime) -> None:
        asked: list[int] = []
        monkeypatch.setattr(relief, "give_back", lambda: asked.append(1))
        reading = Reading(runtime)
        for used in (700, 800, 900, 950, 800):
            reading.look(used)
        assert len(asked) == 1
        reading.relief._gave_back -= GIVE_BACK_S
        reading.look(800)
        assert len(asked) == 2

    with_runtime(main)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is psutil that is asked")
def test_what_a_process_calls_its_own_is_what_others_call_so() -> None:
    memory = psutil.Process().memory_info()
    assert abs(own_memory()() - (memory.rss - memory.shared)) < 16 * MIB


def test_what_a_process_calls_its_own_grows_with_it() -> None:
    read = own_memory()
    before = read()
    grown = bytearray(b"x" * (64 * MIB))
    assert read() - before > 32 * MIB
    del grown
