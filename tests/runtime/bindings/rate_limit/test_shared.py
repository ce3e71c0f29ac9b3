"""Counters in shared memory, used by processes that are real; what every provider promises is in tests/contracts.

The processes are forked from one that has no threads: see `forked.py`.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from pyworkerd.bindings.rate_limit import shared
from pyworkerd.bindings.rate_limit.counters import COMMON, Window
from pyworkerd.bindings.rate_limit.shared import SharedCounters, SharedRateLimits
from pyworkerd.errors import Overloaded

FORKED = Path(__file__).parent / "forked.py"


def run(*arguments: str) -> dict[str, list[int]]:
    command = [sys.executable, str(FORKED), *arguments]
    found: dict[str, list[int]] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_count_as_one(processes: int) -> None:
    """Each tries the same keys as often as the limit says: together as many uses succeed as of one process alone."""
    found = run("count", str(processes))
    assert len(found["each"]) == processes
    assert sum(found["each"]) == found["limit"][0] * found["keys"][0]


def test_who_is_killed_holds_the_lock_no_longer() -> None:
    assert run("kill")["taken"] == [1, 0]


def test_many_keys_of_one_namespace_leave_room_for_others() -> None:
    async def main() -> None:
        limits = SharedRateLimits(SharedCounters(1 << 14), max_keys=100)
        flood, victim = Window("flood/L", 1, 60), Window("victim/L", 1, 60)
        taken = [await limits.take(flood, f"k{i}", 1.0) for i in range(20_000)]
        assert 100 + COMMON // 2 < sum(taken) <= 100 + COMMON
        assert all([await limits.take(victim, f"k{i}", 1.0) for i in range(100)])
        assert not any([await limits.take(victim, f"k{i}", 2.0) for i in range(100)])
        assert await limits.take(flood, "anew", 60.0)

    asyncio.run(main())


def test_slots_of_windows_that_are_over_are_used_again() -> None:
    async def main() -> None:
        limits = SharedRateLimits(SharedCounters(4), max_keys=100)
        window = Window("w/L", 1, 10)
        for round_ in range(50):
            taken = [await limits.take(window, f"{round_} {key}", round_ * 10.0) for key in range(10)]
            assert sum(taken) == 3  # one slot says how many there are

    asyncio.run(main())


def test_who_comes_late_counts_in_the_window_of_the_others() -> None:
    async def main() -> None:
        limits = SharedRateLimits(SharedCounters(64))
        window = Window("w/L", 1, 60)
        assert await limits.take(window, "k", 60.01)
        assert not await limits.take(window, "k", 59.99)

    asyncio.run(main())


def test_a_clock_that_is_set_back() -> None:
    async def main() -> None:
        limits = SharedRateLimits(SharedCounters(64))
        window = Window("w/L", 1, 60)
        assert await limits.take(window, "k", 7200.0)
        assert await limits.take(window, "k", 3600.0)
        assert not await limits.take(window, "k", 3601.0)
        assert await limits.take(window, "k", 3660.0)

    asyncio.run(main())


def test_a_process_that_was_stopped_with_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "PATIENCE_S", 0.01)

    class Held(SharedCounters):
        def lock(self) -> bool:
            return False

    async def main() -> None:
        with pytest.raises(Overloaded, match="stopped"):
            await SharedRateLimits(Held(64)).take(Window("w/L", 1, 60), "k", 1.0)

    asyncio.run(main())


def test_large_numbers() -> None:
    async def main() -> None:
        limits = SharedRateLimits(SharedCounters(64))
        assert await limits.take(Window("w/L", 1 << 70, 1 << 70), "k", 1.8e9)
        assert await limits.take(Window("w/L", 1 << 70, 1 << 70), "k", 1.8e9)

    asyncio.run(main())
