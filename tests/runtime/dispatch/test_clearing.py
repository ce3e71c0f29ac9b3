"""Some at a time, all in the end, in order."""

from __future__ import annotations

import asyncio

from pyworkerd.dispatch.clearing import AT_ONCE, Clearing
from pyworkerd.dispatch.fairness import Account
from pyworkerd.dispatch.turns import Turns


def test_a_turn_does_so_many_and_no_more() -> None:
    async def main() -> None:
        clearing, done = Clearing(Turns(), Account()), list[int]()
        for number in range(3 * AT_ONCE + 1):
            clearing.add(lambda number=number: done.append(number))  # type: ignore[misc]
        seen = [len(done)]
        while clearing:
            await asyncio.sleep(0)
            seen.append(len(done))
        assert seen == [AT_ONCE, 2 * AT_ONCE, 3 * AT_ONCE, 3 * AT_ONCE + 1]
        assert done == list(range(3 * AT_ONCE + 1))

    asyncio.run(main())


def test_what_is_done_may_add_more() -> None:
    async def main() -> None:
        clearing, done = Clearing(Turns(), Account()), list[str]()
        clearing.add(lambda: (done.append("first"), clearing.add(lambda: done.append("second"))))
        assert done == ["first", "second"]
        await asyncio.sleep(0)
        assert done == ["first", "second"]
        clearing.add(lambda: done.append("third"))
        assert done == ["first", "second", "third"]

    asyncio.run(main())


def test_few_go_at_once_in_every_turn() -> None:
    async def main() -> None:
        clearing, done = Clearing(Turns(), Account()), list[int]()
        for turn in range(1, 5):
            for _ in range(AT_ONCE):
                clearing.add(lambda: done.append(1))
            assert (len(clearing), len(done)) == (0, turn * AT_ONCE)
            await asyncio.sleep(0)

    asyncio.run(main())


def test_a_job_that_fails_is_told_and_holds_up_nothing() -> None:
    async def main() -> None:
        told, done = list[object](), list[str]()
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        clearing = Clearing(Turns(), Account())
        fault = ValueError("a fault of ours")

        def fail() -> None:
            clearing.add(lambda: done.append("of its own"))
            raise fault

        for _ in range(AT_ONCE):
            clearing.add(lambda: None)
        clearing.add(fail)
        clearing.add(lambda: done.append("after it"))
        while clearing:
            await asyncio.sleep(0)
        assert (told, done) == ([fault], ["after it", "of its own"])

    asyncio.run(main())
