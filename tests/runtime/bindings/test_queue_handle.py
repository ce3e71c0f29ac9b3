"""A queue in the hands of the program that embeds the runtime."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import BadCall
from pyworkerd.runtime import Runtime, RuntimeOptions

if TYPE_CHECKING:
    from pathlib import Path

WORKER = """
from workers import WorkerEntrypoint
class Default(WorkerEntrypoint):
    async def order(self, number):
        await self.env.JOBS.send({"order": number})
"""


def test_workers_send_and_the_program_receives(tmp_path: Path) -> None:
    async def main() -> None:
        async with Runtime(options=RuntimeOptions(state_dir=tmp_path / "state")) as runtime:
            jobs = runtime.queue("jobs")
            worker = await runtime.load({"w.py": WORKER}, bindings={"JOBS": jobs})
            await worker.call("order", 7)
            await jobs.send({1, 2}, content_type="v8")
            first, second = await jobs.receive()
            assert (first.body, first.attempts, second.body) == ({"order": 7}, 1, {1, 2})
            assert await jobs.receive() == []
            await jobs.ack(first)
            await jobs.retry(second)
            (again,) = await jobs.receive()
            assert (again.body, again.attempts) == ({1, 2}, 2)
            assert (await jobs.backlog()).messages == 1
            with pytest.raises(BadCall, match="exceeds limit of 128000"):
                await jobs.send("x" * 200_000)
            with pytest.raises(TypeError):
                await jobs.send({1, 2})
            await jobs.aclose()
        async with Runtime(options=RuntimeOptions(state_dir=tmp_path / "state")) as runtime:
            assert (await runtime.queue("jobs").backlog()).messages == 1, "it is where it was"

    asyncio.run(main())
