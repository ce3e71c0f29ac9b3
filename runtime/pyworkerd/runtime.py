"""A runtime: the services of one configuration, ready to be sent requests. The library's centre; the server's too.

    async with Runtime() as runtime:
        worker = await runtime.load({"worker.py": SOURCE}, bindings={"GREETING": "hello"})
        response = await worker.fetch("/")
        print(await response.text())

It runs inside the asyncio program that opens it, on uvloop or not, and listens on nothing: see `serving`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pyworkerd_config import ConfigError, with_internet
from pyworkerd_config import check as check_config
from pyworkerd_config.model import Config, External, Limits, Network, Place
from pyworkerd_config.model import Service as ServiceModel
from pyworkerd_config.model import Worker as WorkerModel
from pyworkerd_isolates.errors import EngineError, ImageError
from pyworkerd_isolates.image import Bundle

from pyworkerd.bindings.environments import Environment, build
from pyworkerd.bindings.from_python import all_from_python
from pyworkerd.bindings.outbound import outbound
from pyworkerd.bindings.registry import configure_all
from pyworkerd.bindings.shared import Shared
from pyworkerd.dispatch.fleet import Fleet, FleetLimits, FleetStatistics
from pyworkerd.dispatch.worker import Worker, WorkerOptions
from pyworkerd.errors import ConfigurationError, NoRoute, Overloaded
from pyworkerd.loaded import LoadedWorker
from pyworkerd.routing import Table
from pyworkerd.services.base import DEFAULT, Service, Target

if TYPE_CHECKING:
    from pyworkerd.bindings.base import Binding
    from pyworkerd.messages import Request, Response
    from pyworkerd.observe.logs import LogSink

INTERNET: Final = "internet"


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """What a configuration does not say."""

    fleet: FleetLimits = field(default_factory=FleetLimits)
    home: Path | None = None
    """Folder of engines and images; None for the user's own cache."""
    sinks: tuple[LogSink, ...] = ()
    """Where the logs of all workers go, besides `worker.logs`."""
    progress: Callable[[str], None] = lambda _: None
    environment: Mapping[str, str] | None = None
    """Environment for `environment` and `secret` bindings; None for the process's own."""


class Runtime:
    """Services by name. Open it with `async with`, or `open()` and `aclose()`."""

    def __init__(self, config: Config | None = None, options: RuntimeOptions | None = None) -> None:
        self.config = with_internet(config or Config())
        self.options = options or RuntimeOptions()
        self.services: dict[str, Service] = {}
        self.shared = Shared()
        self._fleet = Fleet(self.options.fleet, self.options.home)
        self._environments: dict[str, Environment] = {}
        self._numbers = count(1)
        self._starting: set[str] = set()
        self._closed = False
        routes = [(route, service.name) for service in self.config.services for route in service.routes]
        self._table = Table(routes)

    async def __aenter__(self) -> Self:
        try:
            await self.open()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def open(self) -> None:
        """Load the engine and deploy every worker. Raises `ConfigurationError` with place and remedy."""
        problems = check_config(self.config)
        if problems:
            raise ConfigurationError(str(ConfigError(problems)))
        try:
            await self._fleet.open(self.options.progress)
        except EngineError as error:
            raise ConfigurationError(str(error)) from error
        for model in self.config.services:
            await self._start(model)

    async def _start(self, model: ServiceModel) -> None:
        match model.kind:
            case Network() as network:
                from pyworkerd.services.network import NetworkService  # noqa: PLC0415 (start-up time)

                self.services[model.name] = NetworkService(model.name, network)
            case External() as external:
                from pyworkerd.services.external import ExternalService  # noqa: PLC0415 (start-up time)

                self.services[model.name] = ExternalService(model.name, external)
            case WorkerModel() as worker:
                await self._start_worker(model.name, worker, model.place)

    async def _start_worker(self, name: str, model: WorkerModel, place: Place) -> None:
        exclude = frozenset({place.file.resolve()}) if place.file is not None else frozenset()
        try:
            bundle = await self._fleet.run(Bundle.read, model.main, model.root, exclude)
        except ImageError as error:
            raise ConfigurationError(f"{place}: service {name!r}: {error}") from error
        options = WorkerOptions(
            model.limits, model.reuse, model.global_outbound is not None, self.options.sinks
        )
        try:
            await self._deploy(name, bundle, configure_all(model.bindings), model.global_outbound, options)
        except ImageError as error:
            raise ConfigurationError(_sentence(error, model.root, model.main.name)) from error

    async def _deploy(
        self,
        name: str,
        bundle: Bundle,
        bindings: tuple[Binding, ...],
        global_outbound: str | Service | None,
        options: WorkerOptions,
    ) -> Worker:
        if name in self.services or name in self._starting:
            raise ConfigurationError(f"there already is a service named {name!r}")
        self._starting.add(name)
        try:
            host = _Host(self, name)
            environment = await build(bindings, outbound(global_outbound, host), host)
            worker = Worker(name, self._fleet, bundle, options, environment.entries, environment.table)
            try:
                await worker.deploy()
                if self._closed:
                    raise Overloaded("the runtime was closed while the worker was loaded")  # noqa: TRY301
            except BaseException:
                await worker.aclose()
                await environment.aclose()
                raise
        finally:
            self._starting.discard(name)
        self.services[name] = worker
        self._environments[name] = environment
        return worker

    # the library's own way in ------------------------------------------------------------------------

    async def load(
        self,
        worker: Path | str | Mapping[str, str | bytes],
        *,
        name: str | None = None,
        bindings: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        reuse: Literal["isolate", "request"] = "isolate",
        network: bool | str | Service = False,
    ) -> LoadedWorker:
        """Load a worker from a path or from sources in memory, and deploy it.

        `worker` is the path of its main module, or a mapping of file names to contents (the first `.py` file is the
        main one). `bindings` are given as Python objects: values, async functions, other workers, services. It has no
        network unless `network` is true, or names a service.
        Raises `ConfigurationError` if it does not deploy; the sentence names file and line.
        """
        name = name or f"worker-{next(self._numbers)}"
        way_out = INTERNET if network is True else network or None
        options = WorkerOptions(limits or Limits(), reuse, way_out is not None, self.options.sinks)
        root, main = Path(), name
        try:
            if isinstance(worker, Mapping):
                bundle = Bundle.of(worker)
                main = f"{bundle.main}.py"
            else:
                root, main = Path(worker).parent, Path(worker).name
                bundle = await self._fleet.run(_read_bundle, Path(worker))
            deployed = await self._deploy(name, bundle, all_from_python(bindings or {}), way_out, options)
        except ImageError as error:
            raise ConfigurationError(_sentence(error, root, main)) from error
        return LoadedWorker(deployed, self._unload)

    def worker(self, name: str) -> LoadedWorker:
        """A worker of the configuration, by the name of its service. Raises `ConfigurationError` for any other name."""
        found = self.services.get(name)
        if not isinstance(found, Worker):
            known = ", ".join(
                sorted(n for n, service in self.services.items() if isinstance(service, Worker))
            )
            raise ConfigurationError(f"there is no worker named {name!r}; there are: {known or 'none'}")
        return LoadedWorker(found, self._unload)

    async def _unload(self, worker: Worker) -> None:
        if self.services.get(worker.name) is worker:
            del self.services[worker.name]
            await worker.aclose()
            await self._environments.pop(worker.name).aclose()

    # requests ----------------------------------------------------------------------------------------

    def route(self, request: Request) -> str:
        """The service for a request by the configured routes. Raises `NoRoute`."""
        parts = urlsplit(request.url)
        found = self._table.match(parts.netloc, parts.path or "/")
        if found is None:
            raise NoRoute(f"no route matches {parts.netloc}{parts.path}")
        return found

    async def fetch(self, request: Request, service: str | None = None, target: Target = DEFAULT) -> Response:
        """Send a request to a service, or to the one that the routes name."""
        name = service or self.route(request)
        found = self.services.get(name)
        if found is None:
            raise ConfigurationError(f"the service {name!r} does not run")
        return await found.fetch(request, target)

    def statistics(self) -> FleetStatistics:
        """Isolates and memory, of all workers together."""
        return self._fleet.statistics()

    async def aclose(self) -> None:
        """End every worker and close every service."""
        if self._closed:
            return
        self._closed = True
        services, self.services = self.services, {}
        async with (
            AsyncExitStack() as closing
        ):  # the last is closed first, and an error of one keeps none open
            closing.push_async_callback(asyncio.to_thread, self._fleet.close)
            closing.push_async_callback(self.shared.aclose)
            for environment in self._environments.values():
                closing.push_async_callback(environment.aclose)
            for service in services.values():
                closing.push_async_callback(service.aclose)


class _Reference:
    """A service by its name: it need not have started yet, and may be replaced by a new version."""

    def __init__(self, runtime: Runtime, name: str, external: bool) -> None:
        self._runtime, self.name, self.external = runtime, name, external

    def _service(self) -> Service:
        found = self._runtime.services.get(self.name)
        if found is None:
            raise ConfigurationError(f"the service {self.name!r} does not run")
        return found

    async def fetch(self, request: Request, target: Target = DEFAULT, **options: Any) -> Response:
        return await self._service().fetch(request, target, **options)

    async def call(self, method: str, arguments: bytes, target: Target = DEFAULT) -> bytes:
        return await self._service().call(method, arguments, target)

    async def aclose(self) -> None:
        """Nothing is held."""


class _Host:
    """What bindings may use of the runtime: see `bindings.base.Host`."""

    def __init__(self, runtime: Runtime, worker: str) -> None:
        self._runtime = runtime
        self.worker = worker
        given = runtime.options.environment
        self.environment: Mapping[str, str] = os.environ if given is None else given
        self.secrets = runtime.config.secrets
        self.shared = runtime.shared

    def service(self, name: str) -> Service:
        """The service of this name, by reference."""
        configured = {model.name: model.kind for model in self._runtime.config.services}
        if name not in configured and name not in self._runtime.services:
            raise ConfigurationError(f"there is no service named {name!r}")
        return _Reference(self._runtime, name, isinstance(configured.get(name), Network | External))

    def now(self) -> float:
        """The wall clock."""
        return time()


def _read_bundle(main: Path) -> Bundle:
    if not main.is_file():
        raise ConfigurationError(f"{main}: there is no such file")
    return Bundle.read(main)


def _sentence(error: ImageError, root: Path, main: str) -> str:
    """Where a worker's top level failed, and how; its main module where the place is not known."""
    place = f"{root / (error.file or main)}"
    line = f":{error.line}" if error.line is not None else ""
    return f"{place}{line}: {error}"
