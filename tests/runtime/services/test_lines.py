"""Places that workers share: none holds all of them, who waits has its turn, and hears why if it does not come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import UpstreamError
from pyworkerd.observe.scope import begin, scope
from pyworkerd.services.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Callable


async def take(lines: Lines, caller: str) -> Callable[[], None]:
    scope.set(begin()[0].call(caller=caller)[0])
    return await lines.take()


def taking(lines: Lines, caller: str, count: int = 1) -> list[asyncio.Task[Callable[[], None]]]:
    return [asyncio.create_task(take(lines, caller)) for _ in range(count)]


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_one_caller_never_holds_more_than_it_leaves_free() -> None:
    async def main() -> None:
        lines = Lines(10, "connections", 3600)
        greedy = taking(lines, "greedy", 30)
        await turn()
        assert sum(task.done() for task in greedy) == 5
        modest = taking(lines, "modest", 2)
        await turn()
        assert all(task.done() for task in modest)
        for task in greedy:
            task.cancel()

    asyncio.run(main())


def test_whoever_waits_has_its_turn_when_a_place_is_given_back() -> None:
    async def main() -> None:
        lines = Lines(4, "connections", 3600)
        tasks = taking(lines, "a", 4)
        await turn()
        assert [task.done() for task in tasks] == [True, True, False, False]
        give_back = tasks[0].result()
        give_back()
        give_back()
        await turn()
        assert [task.done() for task in tasks] == [True, True, True, False]
        tasks[3].cancel()
        tasks[1].result()()
        tasks[2].result()()
        await turn()
        again = taking(lines, "a", 2)
        await turn()
        assert all(task.done() for task in again)

    asyncio.run(main())


def test_callers_take_turns() -> None:
    async def main() -> None:
        lines = Lines(1, "connections", 3600)
        (first,) = taking(lines, "a")
        await turn()
        waiting = taking(lines, "a", 2) + taking(lines, "b")
        await turn()
        first.result()()
        await turn()
        assert [task.done() for task in waiting] == [True, False, False]
        waiting[0].result()()
        await turn()
        assert [task.done() for task in waiting] == [True, False, True]
        waiting[1].cancel()

    asyncio.run(main())


def test_who_waits_too_long_hears_why() -> None:
    async def main() -> None:
        lines = Lines(2, "connections", 0.01)
        (first,) = taking(lines, "a")
        await turn()
        with pytest.raises(UpstreamError, match=r"as many connections as it may"):
            await take(lines, "a")
        first.result()()
        assert await take(lines, "a")

    asyncio.run(main())


def test_a_turn_that_comes_too_late_is_passed_on() -> None:
    async def main() -> None:
        lines = Lines(2, "connections", 3600)
        (first,) = taking(lines, "a")
        await turn()
        late, next_one = taking(lines, "a", 2)
        await turn()
        first.result()()
        late.cancel()
        await turn()
        assert late.cancelled()
        assert next_one.done()

    asyncio.run(main())


def test_the_program_itself_is_a_caller_like_others() -> None:
    async def main() -> None:
        lines = Lines(4, "connections", 0.01)
        for _ in range(2):
            await lines.take()
        with pytest.raises(UpstreamError):
            await lines.take()

    asyncio.run(main())
