"""Threads: slices of steps in fair turns, and an end that is heard of on the event loop."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from itertools import count
from typing import TYPE_CHECKING

import pytest
from pyworkerd.dispatch.fairness import Account
from pyworkerd.dispatch.threads import NICE, SLICE_MS, Slices, Threads

if TYPE_CHECKING:
    from collections.abc import Callable


class Step:
    """So many slices, each noted; the first waits until it is let go."""

    def __init__(self, name: str, slices: int, notes: list[str], gate: threading.Event | None = None) -> None:
        self.name, self.left, self.notes, self.gate = name, slices, notes, gate
        self.threads: set[int] = set()
        self.ended: list[int] = []

    def go_on(self, slice_ms: float) -> bool:
        assert slice_ms == SLICE_MS
        self.threads.add(threading.get_ident())
        self.notes.append(self.name)
        if self.gate is not None:
            self.gate.wait()
        self.left -= 1
        return not self.left

    def over(self) -> None:
        self.ended.append(threading.get_ident())


def one_per_slice() -> Callable[[], float]:
    """A clock by which every slice takes a millisecond."""
    numbers = count()
    return lambda: next(numbers) / 1e3


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


def test_a_long_step_gives_way_after_each_slice() -> None:
    async def main() -> None:
        notes: list[str] = []
        threads = Threads(1, one_per_slice())
        gate = threading.Event()
        long, short = Step("long", 4, notes, gate), Step("short", 1, notes)
        threads.submit(Account[Slices](), long)
        await until(lambda: bool(notes))
        threads.submit(Account[Slices](), short)
        gate.set()
        await until(lambda: bool(long.ended and short.ended))
        assert notes == ["long", "short", "long", "long", "long"]
        assert long.ended == short.ended == [threading.get_ident()]
        assert threading.get_ident() not in long.threads
        threads.close()

    asyncio.run(main())


def test_accounts_take_turns_whatever_each_has_submitted() -> None:
    async def main() -> None:
        notes: list[str] = []
        threads = Threads(1, one_per_slice())
        gate = threading.Event()
        greedy, modest = Account[Slices](), Account[Slices]()
        steps = [Step("a", 2, notes, gate), Step("b", 2, notes), Step("c", 2, notes), Step("m", 3, notes)]
        for step in steps[:3]:
            threads.submit(greedy, step)
        await until(lambda: bool(notes))
        threads.submit(modest, steps[3])
        gate.set()
        await until(lambda: all(step.ended for step in steps))
        assert sorted(notes) == sorted("aabbccmmm")
        mine = [index for index, name in enumerate(notes) if name == "m"]
        assert mine[0] == 1
        assert mine[2] <= 6
        assert [name for name in notes if name != "m"] == ["a", "b", "c", "a", "b", "c"]
        threads.close()

    asyncio.run(main())


def test_as_many_run_at_once_as_there_are_threads() -> None:
    async def main() -> None:
        notes: list[str] = []
        threads = Threads(2)
        gate = threading.Event()
        steps = [Step(str(number), 1, notes, gate) for number in range(5)]
        for step in steps:
            threads.submit(Account[Slices](), step)
        await until(lambda: len(notes) == 2)
        assert not any(step.ended for step in steps)
        gate.set()
        await until(lambda: all(step.ended for step in steps))
        assert len(set().union(*(step.threads for step in steps))) <= 2
        threads.close()

    asyncio.run(main())


def test_a_thread_that_cannot_be_had_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        threads = Threads(2)
        first, second = Step("a", 1, []), Step("b", 1, [])
        with monkeypatch.context() as patch:
            patch.setattr(threading, "_start_new_thread", refuse, raising=False)
            patch.setattr(threading, "_start_joinable_thread", refuse, raising=False)
            threads.submit(Account[Slices](), first)
        threads.submit(Account[Slices](), second)
        await until(lambda: bool(first.ended and second.ended))
        threads.close()

    asyncio.run(main())


def test_closing_waits_for_all_that_was_submitted() -> None:
    async def main() -> None:
        notes: list[str] = []
        threads = Threads(1)
        steps = [Step(name, 3, notes) for name in "abc"]
        for step in steps:
            threads.submit(Account[Slices](), step)
        await asyncio.to_thread(threads.close)
        assert sorted(notes) == sorted("abc" * 3)
        await until(lambda: all(step.ended for step in steps))

    asyncio.run(main())


def test_a_step_that_ends_after_its_loop_harms_nobody() -> None:
    gate = threading.Event()
    notes: list[str] = []
    threads = Threads(1)
    step = Step("late", 1, notes, gate)

    async def main() -> None:
        threads.submit(Account[Slices](), step)

    asyncio.run(main())
    gate.set()
    threads.close()
    assert notes == ["late"]
    assert not step.ended


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own on Linux")
def test_these_threads_give_way_to_the_loops_own() -> None:
    class Priority(Step):
        priority = 0

        def go_on(self, slice_ms: float) -> bool:
            self.priority = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
            return super().go_on(slice_ms)

    async def main() -> None:
        own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        threads = Threads(1)
        step = Priority("", 1, [])
        threads.submit(Account[Slices](), step)
        await until(lambda: bool(step.ended))
        assert step.priority == min(own + NICE, 19)
        assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
        threads.close()

    asyncio.run(main())
