"""One run of a `scheduled` handler."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import ExceededCpu, ExceededWallTime, NoHandler, WorkerException
from pyworkerd_config.model import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.runtime import Runtime

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HEAD = """
import asyncio
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def scheduled(self, controller, env, ctx):
"""


def test_it_knows_its_expression_and_moment_and_what_it_promised_is_kept(
    with_runtime: Callable[..., None],
) -> None:
    source = HEAD + (
        "        print(controller.cron, controller.scheduledTime, controller.scheduled_time)\n"
        "        ctx.waitUntil(self.later())\n"
        "        if controller.cron == 'once':\n"
        "            controller.noRetry()\n"
        "    async def later(self):\n"
        "        await asyncio.sleep(0.01)\n"
        "        print('later')\n"
    )

    async def main(runtime: Runtime) -> None:
        worker = await runtime.load({"w.py": source})
        assert await worker.scheduled("* * * * *", NOON) is False
        assert await worker.scheduled("once", NOON) is True
        await runtime.quiet()
        moment = int(NOON.timestamp() * 1000)
        assert sorted(entry.message for entry in worker.logs) == [
            f"* * * * * {moment} {moment}", "later", "later", f"once {moment} {moment}",
        ]  # fmt: skip

    with_runtime(main)


def test_module_level_handlers_work_as_well(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(
            {"w.py": "async def on_scheduled(controller):\n    print(controller.cron)\n"}
        )
        await worker.scheduled("x", NOON)
        assert [entry.message for entry in worker.logs] == ["x"]

    with_runtime(main)


def test_how_it_fails(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        raising = await runtime.load({"w.py": HEAD + "        raise KeyError('x')\n"})
        with pytest.raises(WorkerException, match="KeyError: x"):
            await raising.scheduled()
        none = await runtime.load(
            {"w.py": "from workers import WorkerEntrypoint\nclass Default(WorkerEntrypoint):\n    pass\n"}
        )
        with pytest.raises(NoHandler):
            await none.scheduled()
        limits = Limits(cpu_ms=20, background_cpu_ms=60)
        endless = await runtime.load({"w.py": HEAD + "        while True: pass\n"}, limits=limits)
        with pytest.raises(ExceededCpu, match=r"60 ms of CPU time .limits\.background_cpu_ms"):
            await endless.scheduled()
        waiting = await runtime.load(
            {"w.py": HEAD + "        await asyncio.sleep(900)\n"}, limits=Limits(background_wall_ms=100)
        )
        with pytest.raises(ExceededWallTime, match=r"100 ms .limits\.background_wall_ms"):
            await waiting.scheduled()

    with_runtime(main)


def test_it_has_more_time_than_a_request(with_runtime: Callable[..., None]) -> None:
    source = HEAD + "        for _ in range(1_000_000): pass\n"

    async def main(runtime: Runtime) -> None:
        worker = await runtime.load({"w.py": source}, limits=Limits(cpu_ms=1))
        await worker.scheduled()

    with_runtime(main)


def test_nobody_calls_it_as_a_method(with_runtime: Callable[..., None]) -> None:
    from pyworkerd.errors import NoSuchMethod  # noqa: PLC0415 - of this test alone

    async def main(runtime: Runtime) -> None:
        worker = await runtime.load({"w.py": HEAD + "        pass\n"})
        with pytest.raises(NoSuchMethod):
            await worker.call("scheduled", {"cron": "forged", "scheduled_time": 0})

    with_runtime(main)
