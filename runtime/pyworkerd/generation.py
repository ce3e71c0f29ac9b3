"""A generation: the services of one configuration, ready to be sent requests.

A runtime has one that new requests go to, and perhaps old ones that finish what they began. A service that a new
configuration leaves as it is goes over from the old generation to the new one, and its warm isolates with it.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from pyworkerd_config.model import External, Network
from pyworkerd_config.model import Worker as WorkerModel
from pyworkerd_isolates.bundle import Folder
from pyworkerd_isolates.errors import BundleError, ImageError

from pyworkerd.bindings.environments import Environment, build
from pyworkerd.bindings.outbound import outbound
from pyworkerd.bindings.registry import configure_all
from pyworkerd.dispatch.worker import Worker, WorkerOptions
from pyworkerd.errors import ConfigurationError, NoRoute
from pyworkerd.routing import Table
from pyworkerd.services.base import DEFAULT, Service, Target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pyworkerd_config.model import Config
    from pyworkerd_config.model import Service as ServiceModel
    from pyworkerd_isolates.bundle import Bundle

    from pyworkerd.bindings.base import Binding
    from pyworkerd.bindings.shared import Shared
    from pyworkerd.dispatch.fleet import Fleet
    from pyworkerd.messages import Request, Response
    from pyworkerd.observe.logs import LogSink


class Ground(Protocol):
    """What all generations of a runtime stand on."""

    @property
    def fleet(self) -> Fleet:
        """Engine, threads, the account of isolates and memory."""

    @property
    def shared(self) -> Shared:
        """Objects that bindings share."""

    @property
    def sinks(self) -> tuple[LogSink, ...]:
        """Where the logs of workers go."""

    @property
    def environment(self) -> Mapping[str, str] | None:
        """For `environment` and `secret` bindings; None for the process's own."""


class Program(NamedTuple):
    """What a worker is deployed from."""

    name: str
    source: Folder | Bundle
    bindings: tuple[Binding, ...]
    global_outbound: str | Service | None
    options: WorkerOptions


@dataclass(slots=True)
class Running:
    """A service, and what it was made of."""

    service: Service
    made_of: object
    """Equal for two services that do exactly the same; None for one that a program loaded."""
    owner: Generation
    """Who closes it."""
    environment: Environment | None = None
    host: Host | None = None

    def join(self, generation: Generation) -> None:
        """Belong to this generation from now on, and call the others in it."""
        self.owner = generation
        if self.host is not None:
            self.host.generation = generation

    async def aclose(self) -> None:
        """Close the service, then what its bindings hold."""
        async with AsyncExitStack() as closing:
            if self.environment is not None:
                closing.push_async_callback(self.environment.aclose)
            closing.push_async_callback(self.service.aclose)


class Generation:
    """Made by `Runtime`. `start` it; when nothing runs in it any more (`quiet`), `aclose` it."""

    def __init__(self, config: Config, ground: Ground) -> None:
        self.config = config
        self.ground = ground
        self.services: dict[str, Service] = {}
        self.running: dict[str, Running] = {}
        routes = [(route, service.name) for service in config.services for route in service.routes]
        self._table = Table(routes)
        self.kinds = {service.name: service.kind for service in config.services}
        # A service that has become one outside the process is another kind of thing to those that call it.
        self._outside = frozenset(n for n, kind in self.kinds.items() if isinstance(kind, Network | External))

    async def start(self, before: Generation | None = None) -> None:
        """Start every service of the configuration, or find it unchanged in the generation before.

        That one goes on as if nothing had happened, until `take_over`. Raises `ConfigurationError`.
        """
        for model in self.config.services:
            found = before.running.get(model.name) if before is not None else None
            if found is not None and found.made_of is None:
                raise _taken(model.name)
            self._add(model.name, await self._start(model, found))

    async def _start(self, model: ServiceModel, before: Running | None) -> Running:
        if isinstance(model.kind, WorkerModel):
            return await self._start_worker(model, model.kind, before)
        if before is not None and before.made_of == model.kind:
            return before
        return Running(_outside_service(model.name, model.kind), model.kind, self)

    async def _start_worker(
        self, model: ServiceModel, worker: WorkerModel, before: Running | None
    ) -> Running:
        place = model.place
        exclude = frozenset({place.file.resolve()}) if place.file is not None else frozenset()
        options = WorkerOptions(
            worker.limits, worker.reuse, worker.global_outbound is not None, self.ground.sinks
        )
        source = Folder(worker.main, worker.root, exclude)
        bindings = configure_all(worker.bindings)
        program = Program(model.name, source, bindings, worker.global_outbound, options)
        try:
            return await self.deploy(program, worker, before)
        except BundleError as error:
            raise ConfigurationError(f"{place}: service {model.name!r}: {error}") from error
        except ImageError as error:
            raise ConfigurationError(sentence(error, worker.root, worker.main.name)) from error

    async def deploy(
        self, program: Program, model: WorkerModel | None = None, before: Running | None = None
    ) -> Running:
        """A worker, deployed, or the one of the generation before if both are made of the same; `add` it then.

        `model` is what was configured; None for what a program loads. Raises `ConfigurationError` or `ImageError`.
        """
        host = Host(self, program.name)
        environment = await build(program.bindings, outbound(program.global_outbound, host), host)
        worker = Worker(
            program.name,
            self.ground.fleet,
            program.source,
            program.options,
            environment.entries,
            environment.table,
        )
        running = Running(worker, None, self, environment, host)
        try:
            image = await worker.deploy()
        except BaseException:
            await running.aclose()
            raise
        running.made_of = model and (model, image.name, environment.entries, self._outside)
        if running.made_of is not None and before is not None and before.made_of == running.made_of:
            await running.aclose()
            return before
        return running

    def add(self, name: str, running: Running) -> None:
        """Let requests find a service that a program loaded. Raises `ConfigurationError` if the name is taken."""
        if name in self.services:
            raise _taken(name)
        self._add(name, running)

        running.join(self)

    def _add(self, name: str, running: Running) -> None:
        self.running[name] = running
        self.services[name] = running.service

    async def remove(self, service: Service) -> None:
        """Close a service that a program loaded. Harmless when it has gone already."""
        running = self.running.get(service.name)
        if running is not None and running.service is service:
            del self.running[service.name], self.services[service.name]
            await running.aclose()

    def take_over(self, before: Generation) -> None:
        """Make everything that this generation kept of the one before its own, and what programs have loaded.

        From now on whatever kept services call is of this generation as well.
        """
        for name, running in before.running.items():
            if running.made_of is None and running.owner is before:
                self.add(name, running)
        for running in self.running.values():
            running.join(self)

    # requests ----------------------------------------------------------------------------------------

    def route(self, request: Request) -> str:
        """The service for a request by the configured routes. Raises `NoRoute`."""
        parts = urlsplit(request.url)
        found = self._table.match(parts.netloc, parts.path or "/")
        if found is None:
            raise NoRoute(f"no route matches {parts.netloc}{parts.path}")
        return found

    def service(self, name: str) -> Service:
        """The service of this name. Raises `ConfigurationError`."""
        found = self.services.get(name)
        if found is None:
            raise ConfigurationError(f"the service {name!r} does not run")
        return found

    # the end -----------------------------------------------------------------------------------------

    def _own(self) -> list[Running]:
        return [running for running in self.running.values() if running.owner is self]

    async def quiet(self) -> None:
        """Wait until none of its own workers has anything left to do, also for each other."""
        while busy := [w for r in self._own() if isinstance(w := r.service, Worker) and w.busy]:
            await asyncio.gather(*(worker.quiet() for worker in busy))

    async def aclose(self) -> None:
        """Close what it owns: for a generation that was never used, only what is new in it."""
        own = self._own()
        self.running.clear()
        self.services.clear()
        async with AsyncExitStack() as closing:  # an error of one keeps none open
            for running in own:
                closing.push_async_callback(running.aclose)


class Host:
    """What the bindings of one worker may use of the runtime: see `bindings.base.Host`."""

    def __init__(self, generation: Generation, worker: str) -> None:
        self.generation = generation
        self.worker = worker
        ground = generation.ground
        self.environment: Mapping[str, str] = os.environ if ground.environment is None else ground.environment
        self.secrets = generation.config.secrets
        self.shared = ground.shared

    def service(self, name: str) -> Service:
        """The service of this name, by reference."""
        kinds = self.generation.kinds
        if name not in kinds and name not in self.generation.services:
            raise ConfigurationError(f"there is no service named {name!r}")
        return _Reference(self, name, isinstance(kinds.get(name), Network | External))

    def now(self) -> float:
        """The wall clock."""
        return time()


class _Reference:
    """A service by its name, in the generation that its worker belongs to at the time."""

    def __init__(self, host: Host, name: str, external: bool) -> None:
        self._host, self.name, self.external = host, name, external

    async def fetch(self, request: Request, target: Target = DEFAULT, **options: Any) -> Response:
        return await self._host.generation.service(self.name).fetch(request, target, **options)

    async def call(self, method: str, arguments: bytes, target: Target = DEFAULT) -> bytes:
        return await self._host.generation.service(self.name).call(method, arguments, target)

    async def aclose(self) -> None:
        """Nothing is held."""


def _taken(name: str) -> ConfigurationError:
    return ConfigurationError(f"there already is a service named {name!r}")


def _outside_service(name: str, model: Network | External) -> Service:
    if isinstance(model, Network):
        from pyworkerd.services.network import NetworkService  # noqa: PLC0415 (start-up time)

        return NetworkService(name, model)
    from pyworkerd.services.external import ExternalService  # noqa: PLC0415 (start-up time)

    return ExternalService(name, model)


def sentence(error: ImageError, root: Path, main: str) -> str:
    """Where a worker's top level failed, and how; its main module where the place is not known."""
    place = f"{root / (error.file or main)}"
    line = f":{error.line}" if error.line is not None else ""
    return f"{place}{line}: {error}"
