"""A runtime for each test that asks for one, and a check that nothing is left of it."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.runtime import Runtime, RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pyworkerd_config.model import Config


async def _run(
    test: Callable[[Runtime], Awaitable[None]], config: Config | None, options: RuntimeOptions | None
) -> None:
    failures: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failures.append(context))
    before = asyncio.all_tasks()
    async with Runtime(config, options) as runtime:
        await test(runtime)
    assert asyncio.all_tasks() == before
    statistics = runtime.statistics()
    assert (statistics.isolates, statistics.idle, statistics.memory) == (0, 0, 0)
    gc.collect()
    # Finalizers of what was collected report in the loop's next turn.
    await asyncio.sleep(0)
    assert failures == []


@pytest.fixture
def with_runtime() -> Callable[..., None]:
    """Run an async function with an open runtime; afterwards no task, isolate or unheard exception may be left."""

    def run(
        test: Callable[[Runtime], Awaitable[None]],
        config: Config | None = None,
        options: RuntimeOptions | None = None,
    ) -> None:
        asyncio.run(_run(test, config, options))

    return run
