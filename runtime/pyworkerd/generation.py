"""A generation: the services of one configuration, ready to be sent requests.

A runtime has one that new requests go to, and perhaps old ones that finish what they began. A service that a new
configuration leaves as it is goes over from the old generation to the new one, and its warm isolates with it.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import urlsplit

from pyworkerd_config import with_internet
from pyworkerd_config.checks.objects import unique_key
from pyworkerd_config.model import Disk, External, Network
from pyworkerd_config.model import Worker as WorkerModel
from pyworkerd_config.problems import MAX_PROBLEMS
from pyworkerd_isolates.bundle import Bundle
from pyworkerd_isolates.errors import BundleError, EngineError, ImageError
from pyworkerd_isolates.languages import JAVASCRIPT

from pyworkerd.bindings.environments import Environment, build
from pyworkerd.bindings.outbound import outbound
from pyworkerd.bindings.registry import configure_all
from pyworkerd.caches.front import caches_of
from pyworkerd.dispatch.options import ClassOptions, WorkerOptions
from pyworkerd.dispatch.tails import Tails
from pyworkerd.dispatch.worker import Worker
from pyworkerd.dormant import Dormant
from pyworkerd.errors import ConfigurationError, NoRoute, Overloaded
from pyworkerd.foreign import Foreign
from pyworkerd.host import Host
from pyworkerd.isolation import must_be_allowed, worker_class
from pyworkerd.routing import Table
from pyworkerd.sources import sentence_of, source_of
from pyworkerd.storage import layout
from pyworkerd.triggers import tell_unanswered
from pyworkerd.webcrypto.capability import WebCrypto

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pyworkerd_config.model import Assets, Config, Queue, Rollout
    from pyworkerd_config.model import Service as ServiceModel
    from pyworkerd_isolates.bundle import Folder
    from pyworkerd_isolates.image import Image

    from pyworkerd.bindings.base import Binding
    from pyworkerd.bindings.shared import Shared
    from pyworkerd.dispatch.fleet import Fleet
    from pyworkerd.messages import Request
    from pyworkerd.objects.storage import ObjectStores
    from pyworkerd.observe.logs import LogSink
    from pyworkerd.services.assets.service import AssetsService
    from pyworkerd.services.base import Service
    from pyworkerd.storage.lane import Lane
    from pyworkerd.versions.split import Split


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

    def service(self, name: str) -> Service:
        """What new requests can be sent to, by its name. Raises `ConfigurationError`."""

    @property
    def allow_trusted(self) -> bool:
        """Whether workers may run without a sandbox that their configuration says so of."""

    def state_dir(self, config: Config) -> Path:
        """The folder of the stores of a configuration. It need not exist."""

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
    frozen: bool = True
    """Whether an image is made of it: see `pyworkerd_isolates.unfrozen`."""
    tails: tuple[str, ...] = ()
    """Workers that are told what its invocations did."""
    isolation: str = "wasm"


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
    asleep: bool = False
    """It was closed because nobody needed it; another generation may still hold it."""

    def join(self, generation: Generation) -> None:
        """Belong to this generation from now on, and call the others in it."""
        self.owner = generation
        if self.host is not None:
            self.host.generation = generation

    async def aclose(self) -> None:
        """Close the service, then what it and its bindings hold."""
        async with AsyncExitStack() as closing:
            if self.environment is not None:
                closing.push_async_callback(self.environment.aclose)
            if isinstance(self.service, Worker) and self.service.options.tails is not None:
                closing.push_async_callback(self.service.options.tails.aclose)
            closing.push_async_callback(self.service.aclose)


class Generation:
    """Made by `Runtime`. `start` it; when nothing runs in it any more (`quiet`), `aclose` it."""

    def __init__(self, config: Config, ground: Ground) -> None:
        self.config = config
        self.ground = ground
        self.services: dict[str, Service] = {}
        self.running: dict[str, Running] = {}
        self._models = {service.name: service for service in config.services}
        self._stores = {(store.kind, store.name): store for store in config.stores}
        self._foreign = Foreign(config)
        self._splits: dict[str, Split] = {}
        """What requests to a service with two versions go to."""
        self.asked: Callable[[str], Service] = self.service
        """What a request or a call to a name goes to: `service`, or what divides them among two versions."""
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False
        routes = [(route, service.name) for service in config.services for route in service.routes]
        self._table = Table(routes)
        # A service that has become one outside the process is another kind of thing to those that call it.
        self._outside = tuple(
            sorted(s.name for s in config.services if isinstance(s.kind, Network | External))
        )

    async def start(self, before: Generation | None = None, only: str = "") -> None:
        """Start every service of the configuration, or find it unchanged in the generation before. With `only`, workers
        besides this one are known to be unchanged.

        That one goes on as if nothing had happened, until `take_over`. Raises `ConfigurationError`, with a sentence for
        each service that cannot be started.
        """
        wrong: list[str] = []
        for number, model in enumerate(self.config.services, 1):
            found = before.running.get(model.name) if before is not None else None
            try:
                if found is not None and found.made_of is None:
                    raise _taken(model.name)
                if only and before is not None and model.name != only and self._keep(model, before):
                    continue
                self._add(
                    model.name,
                    await self._start(model, found if found is None else self._like(model, before)),
                )
                if model.rollout is not None:
                    await self._roll_out(model, model.rollout, before)
            except ConfigurationError as error:
                wrong += error.sentences
                if len(wrong) >= MAX_PROBLEMS:
                    wrong.append(f"{len(self.config.services) - number} more services have not been tried")
                    break
        if wrong:
            raise ConfigurationError(*wrong)

    def _like(self, model: ServiceModel, before: Generation | None) -> Running | None:
        """What runs already that this would be: one of two versions, where one of them is promoted or taken back."""
        assert before is not None
        found = before.running[model.name]
        for running in (found, before.running.get(_second(model.name))):
            if (
                running is not None
                and isinstance(running.made_of, tuple)
                and running.made_of[0] == model.kind
            ):
                return running
        return found

    async def _roll_out(self, model: ServiceModel, rollout: Rollout, before: Generation | None) -> None:
        """Start the second version of a worker beside the first one."""
        second = replace(model, kind=rollout.worker)
        found = self._like(second, before) if before is not None and model.name in before.running else None
        running = await self._deploy_model(second, rollout.worker, found)
        self._stays_awake(running)
        self._divide(model, rollout, running)

    def _keep(self, model: ServiceModel, before: Generation) -> bool:
        """Take over a worker of the generation before as it is, if it is deployed."""
        found, second = before.running.get(model.name), before.running.get(_second(model.name))
        if (
            found is None
            or not isinstance(found.service, Worker)
            or (second is None) != (model.rollout is None)
        ):
            return False
        self._add(model.name, found)
        if model.rollout is not None and second is not None:
            self._divide(model, model.rollout, second)
        return True

    def _divide(self, model: ServiceModel, rollout: Rollout, running: Running) -> None:
        from pyworkerd.versions.model import CONFIGURED  # noqa: PLC0415 (start-up time)
        from pyworkerd.versions.split import Split  # noqa: PLC0415 (start-up time)

        self.running[_second(model.name)] = running
        first = partial(self.service, model.name)
        self.asked = self._asked
        versions = model.version or CONFIGURED, rollout.version
        self._splits[model.name] = Split(
            model.name, first, running.service, versions, rollout.percent, self.ground.fleet.meters.versions
        )

    async def _start(self, model: ServiceModel, before: Running | None) -> Running:
        if isinstance(model.kind, WorkerModel):
            return await self._start_worker(model, model.kind, before)
        if before is not None and before.made_of == model.kind:
            return before
        return Running(_other_service(model.name, model.kind, self.ground.shared), model.kind, self)

    async def _start_worker(
        self, model: ServiceModel, worker: WorkerModel, before: Running | None
    ) -> Running:
        must_be_allowed(model, worker, self.ground.allow_trusted)
        if self.config.deploy == "eager":
            deployed = await self._deploy_model(model, worker, before)
            self._stays_awake(deployed)
            return deployed
        if before is not None and isinstance(before.service, Worker):
            kept = await self._kept(model, worker, before)
            if kept is not None:
                return kept
        return self._lay_down(model, worker)

    async def _kept(self, model: ServiceModel, worker: WorkerModel, before: Running) -> Running | None:
        """The deployed worker of the generation before, if it is what this configuration would deploy."""
        if not isinstance(before.made_of, tuple) or before.made_of[0] != worker:
            return None
        try:
            running = await self._deploy_model(model, worker, before)
        except ConfigurationError:
            return None  # told by the next request that deploys it
        if running is not before:
            await running.aclose()
            return None
        self._may_sleep(before)
        return before

    async def _deploy_model(
        self, model: ServiceModel, worker: WorkerModel, before: Running | None = None
    ) -> Running:
        place = model.place
        assets = None if worker.assets is None else site(model.name, worker.assets, self.ground.shared)
        options = WorkerOptions(
            worker.limits,
            worker.reuse,
            worker.global_outbound is not None,
            self.ground.sinks,
            classes(model.name, worker),
            assets,
        )
        bindings = configure_all(worker.bindings)
        if assets is not None and worker.assets is not None and worker.assets.binding is not None:
            from pyworkerd.bindings.service import ServiceBinding  # noqa: PLC0415 (start-up time)

            bindings += (ServiceBinding(worker.assets.binding, assets),)
        try:
            source = await source_of(
                self._foreign.folder(worker, place), worker, self.config.extensions, self.ground.fleet
            )
            program = Program(
                model.name, source, bindings, worker.global_outbound, options, True, worker.tails, worker.isolation
            )  # fmt: skip
            running = await self.deploy(program, worker, before)
        except (BundleError, EngineError) as error:
            raise ConfigurationError(f"{place}: service {model.name!r}: {error}") from error
        except ImageError as error:
            raise ConfigurationError(sentence_of(error, worker)) from error
        if running is not before:
            tell_unanswered(running.service, self.config, worker)
        return running

    async def deploy(
        self, program: Program, model: WorkerModel | None = None, before: Running | None = None
    ) -> Running:
        """A worker, deployed, or the one of the generation before if both are made of the same; `add` it then.

        `model` is what was configured; None for what a program loads. Raises `ConfigurationError` or `ImageError`.
        """
        host = Host(self, program.name, program.options.limits.cpu_ms)
        limits = program.options.limits
        caches = caches_of(host, limits.cache_mb, kept=model is not None)
        crypto = WebCrypto() if program.source.language is JAVASCRIPT else None
        sending = outbound(program.global_outbound, host)
        environment = await build(program.bindings, sending, host, caches, crypto)
        tails = Tails(program.tails, host.awake) if program.tails else None
        recorder = self.ground.fleet.recorder_of(program.name)
        worker = worker_class(program.isolation, recorded=recorder is not None)(
            program.name,
            self.ground.fleet,
            program.source,
            environment.complete(program.options, tails, recorder),
            environment.entries,
            environment.table,
        )
        host.own = worker
        running = Running(worker, None, self, environment, host)
        try:
            image = await worker.deploy(await self._unfrozen(program, worker))
            if image.objects:
                worker.objects.storage = storage = self._object_storage()
                if any("alarm" in handlers for handlers in image.objects.values()):
                    storage.alarms.start()
        except BaseException:
            await running.aclose()
            raise
        running.made_of = model and (
            model, image.name, environment.entries, self._outside, tuple(host.given),
        )  # fmt: skip
        if running.made_of is not None and before is not None and before.made_of == running.made_of:
            await running.aclose()
            return before
        return running

    def _object_storage(self) -> ObjectStores:
        from pyworkerd.objects.storage import stores_of  # noqa: PLC0415 (start-up time)

        return stores_of(self.ground.shared, self.ground.state_dir(self.config), self.ground.service)

    async def _unfrozen(self, program: Program, worker: Worker) -> Image | None:
        if program.frozen or not isinstance(program.source, Bundle):
            return None
        return await self.ground.fleet.load(worker, program.source, worker.limits)

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
        for name, running in tuple(self.running.items()):
            if running.asleep:
                model = self._models[name]
                assert isinstance(model.kind, WorkerModel)
                self._add(name, self._lay_down(model, model.kind))
            else:
                running.join(self)

    def has(self, name: str) -> bool:
        """Whether there is a service of this name, started or not."""
        return name in self._models or name in self.services

    def is_outside(self, name: str) -> bool:
        """Whether it is a network or an external server."""
        return name in self._outside

    # dormant workers ---------------------------------------------------------------------------------

    def _lay_down(self, model: ServiceModel, worker: WorkerModel) -> Running:
        return Running(Dormant(model.name, worker.limits, self, self.ground.fleet.meters), worker, self)

    def awake(self, name: str) -> Service | None:
        """See `dormant.Beds`."""
        return self.services.get(name)

    async def deploy_dormant(self, dormant: Dormant) -> Service:
        """See `dormant.Beds`."""
        model = self._models[dormant.name]
        assert isinstance(model.kind, WorkerModel)
        running = await self._deploy_model(model, model.kind)
        if self._closed or self.services.get(model.name) is not dormant:
            await running.aclose()
            raise Overloaded("the runtime was closed while the worker was deployed")
        self._add(model.name, running)
        dormant.discharge()
        self._may_sleep(running)
        return running.service

    def _may_sleep(self, running: Running) -> None:
        """Let the fleet close a worker that has no isolate when others need the room."""
        if isinstance(worker := running.service, Worker):
            self.ground.fleet.sleepers.admit(worker, lambda: running.owner.put_to_sleep(running))

    def _stays_awake(self, running: Running) -> None:
        if isinstance(worker := running.service, Worker):
            self.ground.fleet.sleepers.dismiss(worker)

    def put_to_sleep(self, running: Running) -> None:
        """Close a worker until the next request for it. It has no isolate, and nobody waits for one."""
        name = running.service.name
        model = self._models[name]
        assert isinstance(model.kind, WorkerModel)
        running.asleep = True
        self._add(name, self._lay_down(model, model.kind))
        task = asyncio.get_running_loop().create_task(running.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def wake(self, name: str) -> Worker:
        """A configured worker, deployed if it is not; it stays so. Raises `ConfigurationError`, `Overloaded`."""
        service = self.services.get(name)
        if isinstance(service, Dormant):
            service = await service.wake()
        if not isinstance(service, Worker):
            known = ", ".join(sorted(n for n, m in self._models.items() if isinstance(m.kind, WorkerModel)))
            raise ConfigurationError(f"there is no worker named {name!r}; there are: {known or 'none'}")
        self.ground.fleet.sleepers.dismiss(service)
        return service

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

    def second(self, name: str) -> Worker:
        """The second version of a worker that has two. Raises `ConfigurationError`."""
        running = self.running.get(_second(name))
        if running is None or not isinstance(running.service, Worker):
            raise ConfigurationError(f"the service {name!r} has no second version")
        return running.service

    def _asked(self, name: str) -> Service:
        return self._splits.get(name) or self.service(name)

    def store(self, kind: str, worker: str, name: str) -> layout.Location:
        """Where a worker's store of this name is: its own, unless `[[stores]]` lets it share one."""
        root = self.ground.state_dir(self.config)
        store = self._stores.get((kind, name))
        if store is not None and worker in store.workers:
            return layout.shared(root, kind, name, store.size_mb, store.workers)
        return layout.own(root, kind, worker, name)

    def queue(self, name: str) -> tuple[Queue, layout.Location]:
        """A queue of the configuration, and where it is. Raises `ConfigurationError`."""
        for queue in self.config.queues:
            if queue.name == name:
                location = layout.shared(self.ground.state_dir(self.config), "queue", name, queue.size_mb)
                return queue, location
        raise ConfigurationError(f"there is no queue {name!r}: declare it in [[queues]]")

    def digest(self) -> str:
        """A name for exactly this: equal in two processes that serve the same configuration and the same files.

        Files of workers that are deployed when they are needed are not part of it: who needs them differs.
        """
        eager = self.running if self.config.deploy == "eager" else {}
        made = [(name, running.made_of) for name, running in sorted(eager.items())]
        return f"{digest_of(self.config)}-{_hash(made)}"

    # the end -----------------------------------------------------------------------------------------

    def _own(self) -> list[Running]:
        return [running for running in self.running.values() if running.owner is self]

    async def quiet(self) -> None:
        """Wait until none of its own workers has anything left to do, also for each other."""
        while busy := [w for r in self._own() if isinstance(w := r.service, Worker | Dormant) and w.busy]:
            await asyncio.gather(*(worker.quiet() for worker in busy))

    async def aclose(self) -> None:
        """Close what it owns: for a generation that was never used, only what is new in it."""
        own = self._own()
        self._closed = True
        while self._splits:
            self._splits.popitem()[1].close()
        self.running.clear()
        self.services.clear()
        async with AsyncExitStack() as closing:  # an error of one keeps none open
            if self._closing:
                closing.push_async_callback(asyncio.wait, tuple(self._closing))
            for running in own:
                closing.push_async_callback(running.aclose)


def digest_of(config: Config) -> str:
    """A name for exactly this configuration, the values of secrets aside."""
    return _hash(with_internet(config))


def classes(service: str, worker: WorkerModel) -> dict[str, ClassOptions]:
    """What was configured for the Durable Object classes of a worker."""
    return {
        each.class_name: ClassOptions.of(each, unique_key(service, worker, each.class_name))
        for each in worker.durable_objects
    }


def _hash(value: object) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _second(name: str) -> str:
    """Among what runs: the second version of a worker. No service has such a name."""
    return f"{name}\0second"


def _taken(name: str) -> ConfigurationError:
    return ConfigurationError(f"there already is a service named {name!r}")


def site(worker: str, model: Assets, shared: Shared) -> AssetsService:
    """The static files of a worker."""
    from pyworkerd.services.assets.service import AssetsService  # noqa: PLC0415 (start-up time)

    return AssetsService(f"{worker}'s assets", model, disk_lane(f"assets of {worker!r}", shared))


def disk_lane(label: str, shared: Shared) -> Lane:
    """For work on a folder of the operator's."""
    from pyworkerd.storage.lane import Lane  # noqa: PLC0415 (start-up time)
    from pyworkerd.storage.stores import Stores  # noqa: PLC0415

    return Lane(shared.get(Stores, Stores).threads, label)


def _other_service(name: str, model: Network | External | Disk, shared: Shared) -> Service:
    if isinstance(model, Disk):
        from pyworkerd.services.disk import DiskService  # noqa: PLC0415 (start-up time)

        return DiskService(name, model, disk_lane(f"disk {name!r}", shared))
    if isinstance(model, Network):
        from pyworkerd.services.network import NetworkService  # noqa: PLC0415 (start-up time)

        return NetworkService(name, model)
    from pyworkerd.services.external import ExternalService  # noqa: PLC0415 (start-up time)

    return ExternalService(name, model)
