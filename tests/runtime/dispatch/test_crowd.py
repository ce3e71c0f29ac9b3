"""What waits for an isolate's next steps is bounded in sum."""

from __future__ import annotations

import asyncio

from pyworkerd.dispatch.crowd import CROWD, Crowd


def test_who_comes_late_waits_until_a_step_has_taken_enough() -> None:
    async def main() -> None:
        told: list[int] = []
        crowd = Crowd(asyncio.get_running_loop(), told.append)
        crowd.joins(1, CROWD - 1)
        assert crowd.full() is None
        crowd.joins(2, 10)
        waiting = crowd.full()
        assert waiting is not None
        assert crowd.full() is waiting
        crowd.leaves([3])
        assert not waiting.done()
        crowd.leaves([2])
        assert waiting.done()
        assert crowd.full() is None
        assert told == [CROWD - 1, 10, -10]

    asyncio.run(main())


def test_nobody_waits_for_a_dead_isolate() -> None:
    async def main() -> None:
        told: list[int] = []
        crowd = Crowd(asyncio.get_running_loop(), told.append)
        for owner in range(10):
            crowd.joins(owner, CROWD)
        waiting = crowd.full()
        assert waiting is not None
        crowd.disperse()
        assert waiting.done()
        assert crowd.full() is None

    asyncio.run(main())


def test_one_who_has_gone_does_not_matter() -> None:
    async def main() -> None:
        told: list[int] = []
        crowd = Crowd(asyncio.get_running_loop(), told.append)
        crowd.joins(1, CROWD)
        waiting = crowd.full()
        assert waiting is not None
        waiting.cancel()
        crowd.leaves([1])
        assert crowd.full() is None

    asyncio.run(main())
