"""The workers of a runtime, as the clock sees them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from pyworkerd_config.cron import Cron
from pyworkerd_config.model import Worker as WorkerModel

from pyworkerd.dispatch.worker import Worker
from pyworkerd.dormant import Dormant
from pyworkerd.errors import ConfigurationError

from .plan import Job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyworkerd_config.model import Config

    from pyworkerd.runtime import Runtime

_parsed = lru_cache(4096)(Cron)


def jobs_of(config: Config) -> Iterator[Job]:
    """Every cron expression of a configuration that was checked."""
    for service in config.services:
        if isinstance(service.kind, WorkerModel):
            for expression in dict.fromkeys(service.kind.crons):
                yield Job(service.name, _parsed(expression))


class Served:
    """Implements `clock.Workers`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def jobs(self) -> Iterator[Job]:
        """See `clock.Workers`."""
        return jobs_of(self._runtime.config)

    async def worker(self, name: str) -> Worker:
        """See `clock.Workers`."""
        service = self._runtime.services.get(name)
        if isinstance(service, Dormant):
            service = await service.wake()
        if not isinstance(service, Worker):
            raise ConfigurationError(f"there is no worker named {name!r} any more")
        return service
