"""What a runtime does that no client waits for: cron expressions, queues, certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd_config.model import Worker as WorkerModel

from pyworkerd.dispatch.worker import Worker
from pyworkerd.dormant import Dormant
from pyworkerd.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pyworkerd_config.model import Config, Queue

    from pyworkerd.acme.keeper import Keeper
    from pyworkerd.cron.clock import Clock
    from pyworkerd.cron.plan import Job
    from pyworkerd.queues.consumer import Consumers
    from pyworkerd.runtime import Runtime
    from pyworkerd.storage.layout import Location


def has_crons(config: Config) -> bool:
    """Whether there is anything to do for a clock."""
    return any(isinstance(service.kind, WorkerModel) and service.kind.crons for service in config.services)


class Chores:
    """Those of one runtime. `start` them inside the event loop, say when the configuration `changed`. `stop` begins
    nothing any more, `quiet` waits for what was begun, `aclose` cancels it.

    The clock and the consumers are made when there is something for them: most configurations have neither. With
    `certificates` false no authority is asked for any: who tests or writes a worker is not who answers for its hosts.
    """

    def __init__(self, runtime: Runtime, *, certificates: bool = True) -> None:
        self._runtime = runtime
        self._certificates = certificates
        self._clock: Clock | None = None
        self._consumers: Consumers | None = None
        self._keeper: Keeper | None = None
        self._started = False

    def start(self) -> None:
        """Do them from now on."""
        self._started = True
        self.changed()

    def changed(self) -> None:
        """There is another configuration now."""
        if not self._started:
            return
        if self._clock is not None:
            self._clock.changed()
        elif has_crons(self._runtime.config):
            self._start_clock()
        if self._consumers is not None:
            self._consumers.changed()
        elif any(queue.consumer is not None for queue in self.queues()):
            self._start_consumers()
        if self._keeper is not None:
            self._keeper.changed()
        elif self._certificates and any(
            socket.https is not None and socket.https.acme for socket in self._runtime.config.sockets
        ):
            self._start_keeper()

    def _start_keeper(self) -> None:
        from pyworkerd.acme.keeper import Keeper, folder_of, managed  # noqa: PLC0415 (start-up time)

        self._keeper = Keeper(lambda: managed(self._runtime.config), folder_of(self._state_dir()))
        self._keeper.start()

    def _start_clock(self) -> None:
        from pyworkerd.cron.clock import Clock  # noqa: PLC0415 (start-up time)
        from pyworkerd.cron.stored import StoredClaims  # noqa: PLC0415
        from pyworkerd.storage.stores import Stores  # noqa: PLC0415

        claims = StoredClaims(self._runtime.shared.get(Stores, Stores), self._state_dir)
        self._clock = Clock(self, claims)
        self._clock.start()

    def _start_consumers(self) -> None:
        from pyworkerd.queues.consumer import Consumers  # noqa: PLC0415 (start-up time)

        self._consumers = Consumers(self, self._runtime.shared)
        self._consumers.start()

    async def stop(self) -> None:
        """Begin nothing any more. Harmless when called again."""
        self._started = False
        if self._clock is not None:
            await self._clock.aclose()
        if self._consumers is not None:
            await self._consumers.stop()
        if self._keeper is not None:
            await self._keeper.aclose()
            self._keeper = None

    async def quiet(self) -> None:
        """Wait for what was begun."""
        if self._clock is not None:
            await self._clock.quiet()
        if self._consumers is not None:
            await self._consumers.quiet()

    async def aclose(self) -> None:
        """Cancel what was begun, and let go of everything. Messages in hand come again."""
        await self.stop()
        if self._clock is not None:
            await self._clock.end()
        if self._consumers is not None:
            await self._consumers.aclose()

    # what the clock and the consumers ask ------------------------------------------------------------

    def _state_dir(self) -> Path:
        return self._runtime.state_dir(self._runtime.config)

    def jobs(self) -> Iterable[Job]:
        """See `cron.clock.Workers`."""
        from pyworkerd.cron.plan import jobs_of  # noqa: PLC0415 (loaded by now: the clock asks)

        return jobs_of(self._runtime.config)

    def queues(self) -> Sequence[Queue]:
        """See `queues.consumer.Workers`."""
        return self._runtime.config.queues

    def location(self, name: str) -> Location:
        """See `queues.consumer.Workers`."""
        return self._runtime.queue_location(name)

    async def worker(self, name: str) -> Worker:
        """A worker, deployed if it is not. Raises `PyworkerdError`."""
        service = self._runtime.services.get(name)
        if isinstance(service, Dormant):
            service = await service.wake()
        if not isinstance(service, Worker):
            raise ConfigurationError(f"there is no worker named {name!r} any more")
        return service
