from __future__ import annotations

import asyncio

from pyworkerd.server.deadlines import Deadlines

from tests.runtime.server.client import run


def test_each_deadline_calls_once_and_a_moved_one_counts_from_its_last_move() -> None:
    async def main() -> None:
        calls: list[str] = []
        done = asyncio.Event()

        def write() -> None:
            calls.append("write")
            done.set()

        deadlines = Deadlines(asyncio.get_running_loop(), lambda: calls.append("read"), write)
        deadlines.set_read(3600)
        deadlines.set_write(0.01)
        # Earlier than the timer that is pending, then later again.
        deadlines.set_read(0.005)
        deadlines.set_read(3600)
        await done.wait()
        assert calls == ["write"]
        assert deadlines.write is None
        assert deadlines.read is not None
        deadlines.set_read(0)
        done.clear()
        deadlines.set_write(0.005)
        await done.wait()
        assert calls == ["write", "read", "write"]

    run(main)


def test_nothing_is_called_after_it_was_called_off() -> None:
    async def main() -> None:
        calls: list[str] = []
        loop = asyncio.get_running_loop()
        deadlines = Deadlines(loop, lambda: calls.append("read"), lambda: calls.append("write"))
        deadlines.set_read(0.001)
        deadlines.read = None
        deadlines.set_write(0.001)
        deadlines.stop()
        later = asyncio.Event()
        loop.call_later(0.01, later.set)
        await later.wait()
        assert calls == []

    run(main)
