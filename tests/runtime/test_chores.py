"""What a runtime does that no client waits for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from pyworkerd.chores import Chores
from pyworkerd.cron.handler import run_scheduled
from pyworkerd.cron.plan import jobs_of
from pyworkerd.errors import ConfigurationError
from pyworkerd.runtime import Runtime
from pyworkerd_config.load import load

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
deploy = "lazy"
[[services]]
name = "w"
[services.worker]
main = "w.py"
crons = ["* * * * *", "0 3 * * MON", "* * * * *"]
[[services]]
name = "internet"
network = {}
"""
WORKER = """
from workers import WorkerEntrypoint
class Default(WorkerEntrypoint):
    async def scheduled(self):
        print("ran")
"""


def test_jobs_and_workers(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "w.py").write_text(WORKER)
    config = load(tmp_path / "config.toml")
    jobs = [(job.worker, job.cron.expression) for job in jobs_of(config)]
    assert jobs == [("w", "* * * * *"), ("w", "0 3 * * MON")], "what is written twice is one"

    async def main() -> None:
        async with Runtime(config) as runtime:
            served = Chores(runtime)
            assert list(served.jobs()) == list(jobs_of(config))
            worker = await served.worker("w")
            await run_scheduled(worker, "x", datetime.now(UTC))
            assert await served.worker("w") is worker, "it was deployed once"
            for name in ("internet", "nobody"):
                with pytest.raises(ConfigurationError):
                    await served.worker(name)

    asyncio.run(main())


def test_what_there_is_nothing_for_is_not_even_made(tmp_path: Path) -> None:
    (tmp_path / "w.py").write_text(WORKER)
    (tmp_path / "config.toml").write_text(CONFIG.replace("crons", "# crons"))

    async def main() -> None:
        async with Runtime(load(tmp_path / "config.toml")) as runtime:
            chores = Chores(runtime)
            chores.start()
            assert (chores._clock, chores._consumers) == (None, None)
            (tmp_path / "config.toml").write_text(CONFIG)
            await runtime.reload(load(tmp_path / "config.toml"))
            chores.changed()
            assert chores._clock is not None
            await chores.stop()
            await chores.quiet()
            await chores.aclose()

    asyncio.run(main())
