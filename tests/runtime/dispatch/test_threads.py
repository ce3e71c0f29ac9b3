"""Threads, shared out fairly."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from pyworkerd.dispatch.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable


class Jobs:
    """Jobs that run until they are let go."""

    def __init__(self, threads: Threads) -> None:
        self.threads = threads
        self.gates: dict[str, threading.Event] = {}
        self.began: list[str] = []
        self.ended: list[str] = []

    def submit(self, owner: str, name: str) -> None:
        gate = self.gates[name] = threading.Event()

        def job() -> str:
            self.began.append(name)
            gate.wait()
            return name

        def done(future: asyncio.Future[Any]) -> None:
            self.ended.append(future.result())

        self.threads.submit(owner, job, done)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


def test_an_owner_has_its_share_and_no_more() -> None:
    async def main() -> None:
        threads = Threads(4, share=2)
        jobs = Jobs(threads)
        for index in range(5):
            jobs.submit("greedy", f"g{index}")
        jobs.submit("modest", "m0")
        await until(lambda: len(jobs.began) == 3)
        assert sorted(jobs.began) == ["g0", "g1", "m0"]
        for gate in list(jobs.gates.values()):
            gate.set()
        await until(lambda: len(jobs.ended) == 6)
        # Two run at once, so which of two notes its beginning first is open.
        assert sorted(jobs.began) == ["g0", "g1", "g2", "g3", "g4", "m0"]
        threads.close()

    asyncio.run(main())


def test_owners_take_turns() -> None:
    async def main() -> None:
        threads = Threads(1, share=1)
        jobs = Jobs(threads)
        for name in ("a0", "a1", "a2", "b0", "b1", "c0"):
            jobs.submit(name[0], name)
        for gate in jobs.gates.values():
            gate.set()
        await until(lambda: len(jobs.ended) == 6)
        assert jobs.began == ["a0", "a1", "b0", "c0", "a2", "b1"]
        threads.close()

    asyncio.run(main())


def test_what_a_job_raises_is_for_its_owner() -> None:
    async def main() -> None:
        threads = Threads(1)
        errors: list[BaseException | None] = []

        def fail() -> None:
            raise ValueError("on purpose")

        threads.submit("a", fail, lambda future: errors.append(future.exception()))
        threads.submit("a", lambda: None, lambda future: errors.append(future.exception()))
        await until(lambda: len(errors) == 2)
        assert [repr(error) for error in errors] == ["ValueError('on purpose')", "None"]
        threads.close()

    asyncio.run(main())
