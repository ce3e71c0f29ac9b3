"""A thread that computes for long gives way, and the next piece of work has another one."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from pyworkerd.storage.lane import Lane
from pyworkerd.storage.priority import give_way_once, is_low
from pyworkerd.storage.threads import Threads
from pyworkerd.storage.watch import Watch

from tests.runtime.storage.files import at, opened
from tests.runtime.storage.test_watch import FOREVER

if TYPE_CHECKING:
    from pathlib import Path


def test_once() -> None:
    seen: list[bool] = []

    def run() -> None:
        seen.append(is_low())
        for _ in range(2):
            give_way_once()
            seen.append(is_low())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [False, True, True]
    assert not is_low()


@pytest.mark.skipif(sys.platform != "linux", reason="only there a thread has a priority of its own")
def test_a_long_statement(tmp_path: Path) -> None:
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def long(connection: sqlite3.Connection) -> tuple[int, int]:
        watch, before = Watch(200), priority()
        with watch.over(connection), pytest.raises(sqlite3.OperationalError, match="interrupted"):
            connection.execute(FOREVER).fetchall()
        return before, priority()

    async def main() -> None:
        async with opened(at(tmp_path)) as database:
            for _ in range(3):
                before, after = await database.read(long)
                assert after > before
                assert await database.read(lambda _: priority()) == before

    asyncio.run(main())


@pytest.mark.skipif(sys.platform != "linux", reason="only there a thread has a priority of its own")
def test_who_waited_for_the_only_thread_gets_one_that_has_not_given_way() -> None:
    seen: list[int] = []

    def compute() -> None:
        give_way_once()

    def look() -> None:
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    async def main() -> None:
        threads = Threads(1)
        lane = Lane(threads, "store")
        await asyncio.gather(*(lane.run(work) for _ in range(3) for work in (compute, look)))
        await asyncio.to_thread(threads.close)

    asyncio.run(main())
    assert seen == [os.getpriority(os.PRIO_PROCESS, 0)] * 3
