"""The workers of a runtime, as the clock sees them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from pyworkerd.cron.handler import run_scheduled
from pyworkerd.cron.served import Served, jobs_of
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
            served = Served(runtime)
            assert list(served.jobs()) == list(jobs_of(config))
            worker = await served.worker("w")
            await run_scheduled(worker, "x", datetime.now(UTC))
            assert await served.worker("w") is worker, "it was deployed once"
            for name in ("internet", "nobody"):
                with pytest.raises(ConfigurationError):
                    await served.worker(name)

    asyncio.run(main())
