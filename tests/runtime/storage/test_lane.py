"""Blocking work in turns: results, errors, who goes away, how much at once."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.errors import StorageBusy, StorageError
from pyworkerd.storage.lane import AT_ONCE, QUEUE, Lane
from pyworkerd.storage.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def run(work: Callable[[Lane], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        threads = Threads()
        lane = Lane(threads, "test store")
        try:
            return await work(lane)
        finally:
            await lane.aclose()
            await asyncio.to_thread(threads.close)
            with pytest.raises(StorageError, match="test store was closed"):
                lane.begin(lambda: None)

    return asyncio.run(main())


def test_results_and_errors_come_back() -> None:
    async def work(lane: Lane) -> None:
        assert await lane.run(threading.get_ident) != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            await lane.run(lambda: 1 // 0)

    run(work)


def test_a_few_run_at_once_and_all_run() -> None:
    running = most = 0
    lock = threading.Lock()
    full = threading.Event()

    def piece() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == AT_ONCE:
                full.set()
        full.wait(10)
        with lock:
            running -= 1

    async def work(lane: Lane) -> None:
        await asyncio.gather(*(lane.run(piece) for _ in range(20)))
        assert most == AT_ONCE

    run(work)


def test_what_waits_is_bounded_and_may_go_away() -> None:
    go_on = threading.Event()
    ran = []

    async def work(lane: Lane) -> None:
        held = [lane.begin(lambda: go_on.wait(10)) for _ in range(AT_ONCE)]
        while lane.running < AT_ONCE:
            await asyncio.sleep(0.001)
        waiting = [lane.begin(lambda number=number: ran.append(number)) for number in range(QUEUE)]
        with pytest.raises(StorageBusy, match="wait for the test store"):
            lane.begin(lambda: None)
        lane.leave(lambda: ran.append(-1))  # letting go is never refused
        for future in waiting[1:]:
            future.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(*held, waiting[0])

    run(work)
    assert sorted(ran) == [-1, 0]
