"""An object has one owner at a time."""

from __future__ import annotations

import asyncio

from pyworkerd.objects.owners import Owners

KEY = ("shop-Room", "id")


class Has:
    """An owner that lets go when it is told to, or later."""

    def __init__(self, owners: Owners, *, at_once: bool = False) -> None:
        self.owners, self.at_once, self.asked = owners, at_once, 0

    def leave(self) -> None:
        self.asked += 1
        if self.at_once:
            self.owners.release(KEY, self)


def test_whoever_comes_waits_until_the_other_has_let_go() -> None:
    async def main() -> None:
        owners = Owners()
        first, second = Has(owners), Has(owners)
        await owners.claim(KEY, first)
        claiming = asyncio.create_task(owners.claim(KEY, second))
        await asyncio.sleep(0)
        assert (first.asked, claiming.done()) == (1, False)
        owners.release(KEY, second)  # it is not its own to let go of
        await asyncio.sleep(0)
        assert not claiming.done()
        owners.release(KEY, first)
        await claiming
        owners.release(KEY, second)
        assert len(owners) == 0

    asyncio.run(main())


def test_who_lets_go_at_once_makes_nobody_wait() -> None:
    async def main() -> None:
        owners = Owners()
        first, second = Has(owners, at_once=True), Has(owners)
        await owners.claim(KEY, first)
        await owners.claim(KEY, second)
        await owners.claim(KEY, second)
        assert (first.asked, second.asked) == (1, 0)

    asyncio.run(main())


def test_of_many_that_wait_one_has_it() -> None:
    async def main() -> None:
        owners = Owners()
        others = [Has(owners) for _ in range(3)]
        first = Has(owners)
        await owners.claim(KEY, first)
        waiting = [asyncio.create_task(owners.claim(KEY, other)) for other in others]
        await asyncio.sleep(0)
        owners.release(KEY, first)
        for left in (2, 1, 0):
            await asyncio.sleep(0.0)
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            done = [task for task in waiting if task.done()]
            assert len(done) == 1
            index = waiting.index(done[0])
            owners.release(KEY, others[index])
            del waiting[index], others[index]
            assert len(waiting) == left

    asyncio.run(main())
