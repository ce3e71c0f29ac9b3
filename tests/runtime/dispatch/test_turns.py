"""The event loop's thread, in turns: sockets are looked at in between, and nobody's queue is another's wait."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from pyworkerd.dispatch.fairness import Account
from pyworkerd.dispatch.turns import TURN_MS, Turns

if TYPE_CHECKING:
    from collections.abc import Callable


class Desk:
    """Steps of accounts by name, that take as long as they say by a clock of their own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.notes: list[str] = []
        self.accounts: dict[str, Account[Callable[[], None]]] = defaultdict(Account)
        self.turns = Turns(lambda: self.now)

    def ready(self, name: str, milliseconds: float) -> None:
        self.turns.ready(self.accounts[name], partial(self._step, name, milliseconds))

    def _step(self, name: str, milliseconds: float) -> None:
        self.notes.append(name)
        self.now += milliseconds / 1e3


def test_many_steps_of_one_let_another_go_before_them() -> None:
    async def main() -> None:
        desk = Desk()
        for _ in range(20):
            desk.ready("flood", TURN_MS / 2)
        await asyncio.sleep(0)
        assert desk.notes == ["flood", "flood"]
        desk.ready("victim", TURN_MS / 10)
        await asyncio.sleep(0)
        assert desk.notes == ["flood", "flood", "victim", "flood", "flood"]
        while len(desk.notes) < 21:
            await asyncio.sleep(0)

    asyncio.run(main())


def test_the_loop_goes_round_between_turns() -> None:
    async def main() -> None:
        desk = Desk()
        for _ in range(3):
            desk.ready("a", TURN_MS * 2)
        rounds = 0
        while len(desk.notes) < 3:
            await asyncio.sleep(0)
            rounds += 1
        assert rounds == 3

    asyncio.run(main())


def test_a_step_that_makes_another_ready() -> None:
    async def main() -> None:
        desk = Desk()
        account = desk.accounts["a"]
        desk.turns.ready(account, lambda: desk.ready("a", 0.1))
        await asyncio.sleep(0)
        assert desk.notes == ["a"]
        await asyncio.sleep(0)
        desk.ready("b", 0.1)
        await asyncio.sleep(0)
        assert desk.notes == ["a", "b"]

    asyncio.run(main())
