"""The event loop's thread, in turns: sockets are looked at in between, and nobody's queue is another's wait."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING

from pyworkerd.dispatch.fairness import Account
from pyworkerd.dispatch.turns import BEHIND_MS, ROUND_S, Turns

if TYPE_CHECKING:
    from collections.abc import Callable


class Desk:
    """Steps of accounts by name, that take as long as they say by a clock of their own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.notes = ""
        self.accounts: dict[str, Account[Callable[[], None]]] = defaultdict(Account)
        self.turns = Turns(lambda: self.now)

    def ready(self, name: str, milliseconds: float = 1.0) -> None:
        self.turns.ready(self.accounts[name], partial(self._step, name, milliseconds))

    def arrive(self, name: str, milliseconds: float = 1.0) -> None:
        self.ready(name, milliseconds)
        self.turns.hurry(self.accounts[name])

    def _step(self, name: str, milliseconds: float) -> None:
        self.notes += name
        self.now += milliseconds / 1e3

    async def rounds(self, count: int) -> str:
        """What is done while the loop goes round so many times."""
        before = len(self.notes)
        for _ in range(count):
            await asyncio.sleep(0)
        return self.notes[before:]


def test_every_worker_has_one_turn_in_a_round() -> None:
    async def main() -> None:
        desk = Desk()
        for name in "aaabbc":
            desk.ready(name)
        assert [await desk.rounds(1) for _ in range(4)] == ["abc", "ab", "a", ""]

    asyncio.run(main())


def test_a_step_that_fails_ends_nobodys_turns() -> None:
    async def main() -> None:
        desk, failures = Desk(), []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        desk.turns.ready(desk.accounts["a"], partial({}.pop, "nothing"))
        desk.ready("a")
        desk.ready("b")
        assert await desk.rounds(3) == "ba"
        assert [type(failure["exception"]) for failure in failures] == [KeyError]
        desk.arrive("c")
        assert await desk.rounds(1) == "c"

    asyncio.run(main())


def test_a_step_is_in_nobodys_context() -> None:
    whose = ContextVar("whose", default="nobody")

    async def main() -> None:
        desk, seen = Desk(), []

        def step() -> None:
            seen.append(whose.get())
            whose.set("the last one")

        desk.turns.ready(desk.accounts["b"], step)
        whose.set("one that comes")
        for _ in range(20):
            desk.ready("f")
        await desk.rounds(3)
        desk.turns.ready(desk.accounts["a"], step)
        desk.turns.hurry(desk.accounts["a"])
        assert seen == ["nobody"] * 2
        desk.turns.ready(desk.accounts["a"], step)
        await desk.rounds(30)
        assert seen == ["nobody"] * 3

    asyncio.run(main())


def test_many_steps_of_one_let_another_go_before_them() -> None:
    async def main() -> None:
        desk = Desk()
        for _ in range(20):
            desk.ready("f")
        assert await desk.rounds(3) == "fff"
        desk.ready("v")
        assert await desk.rounds(2) == "vff"

    asyncio.run(main())


def test_sockets_are_looked_at_however_many_workers_there_are() -> None:
    async def main() -> None:
        desk = Desk()
        for number in range(1000):
            desk.ready(chr(0x4E00 + number), 0.1)
        rounds = 0
        while len(desk.notes) < 1000:
            done = await desk.rounds(1)
            rounds += 1
            assert len(done) <= ROUND_S * 1e4 + 1
        assert rounds >= 1000 * 0.0001 / ROUND_S

    asyncio.run(main())


def test_who_has_had_less_lately_goes_at_once() -> None:
    async def main() -> None:
        desk = Desk()
        desk.arrive("v", 0.1)
        assert desk.notes == "", "nobody is here who has had more"
        assert await desk.rounds(1) == "v"
        for _ in range(20):
            desk.ready("f")
        await desk.rounds(3)
        desk.notes = ""
        desk.arrive("v", 0.1)
        assert desk.notes == "v"
        desk.arrive("v", 0.1)
        assert desk.notes == "v", "once"
        desk.arrive("f")
        assert desk.notes == "v", "it has had most"

    asyncio.run(main())


def test_equals_do_not_hurry_before_each_other() -> None:
    async def main() -> None:
        desk = Desk()
        for _ in range(50):
            for name in "abcdefgh":
                before = desk.notes
                desk.arrive(name, BEHIND_MS / 2)
                assert desk.notes == before
            assert sorted(await desk.rounds(1)) == list("abcdefgh")

    asyncio.run(main())


def test_a_step_that_makes_others_ready_does_not_run_them_inside_itself() -> None:
    async def main() -> None:
        desk = Desk()
        for _ in range(5):
            desk.ready("f")
        await desk.rounds(3)
        desk.notes = ""

        def step() -> None:
            desk.arrive("v")
            desk.notes += "s"

        desk.turns.ready(desk.accounts["s"], step)
        assert (await desk.rounds(1)).startswith("sv")
        await desk.rounds(3)

    asyncio.run(main())
