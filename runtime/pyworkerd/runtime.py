"""A runtime: the services of one configuration, ready to be sent requests. The library's centre; the server's too.

    async with Runtime() as runtime:
        worker = await runtime.load({"worker.py": SOURCE}, bindings={"GREETING": "hello"})
        response = await worker.fetch("/")
        print(await response.text())

It runs inside the asyncio program that opens it, on uvloop or not, and listens on nothing: see `serving`.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, cast

from pyworkerd_config import check as check_config
from pyworkerd_config import with_internet
from pyworkerd_config.model import Config, Limits
from pyworkerd_isolates.bundle import Bundle
from pyworkerd_isolates.errors import EngineError, ImageError

from pyworkerd.bindings.shared import Shared
from pyworkerd.dispatch.fleet import Fleet, FleetLimits, FleetStatistics
from pyworkerd.dispatch.options import ClassOptions, WorkerOptions
from pyworkerd.dispatch.worker import Worker
from pyworkerd.dormant import Dormant
from pyworkerd.errors import ConfigurationError, Overloaded
from pyworkerd.generation import Generation, Program
from pyworkerd.loaded import LoadedWorker
from pyworkerd.observe.background import Background
from pyworkerd.observe.scope import scope
from pyworkerd.observe.snapshot import add
from pyworkerd.services.base import DEFAULT, Service, Target
from pyworkerd.sources import sentence
from pyworkerd.storage import layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd_config.model import ObjectClass

    from pyworkerd.admission import Admission
    from pyworkerd.bindings.d1.handle import D1
    from pyworkerd.bindings.kv.handle import KV
    from pyworkerd.bindings.queue.handle import Queue
    from pyworkerd.bindings.r2.handle import R2
    from pyworkerd.messages import Request, Response
    from pyworkerd.observe.feed import Feed
    from pyworkerd.observe.logs import LogSink
    from pyworkerd.observe.scope import Scope
    from pyworkerd.observe.snapshot import Snapshot
    from pyworkerd.queues.broker import Sender
    from pyworkerd.replay.options import RecordOptions
    from pyworkerd.services.base import Ask, Pending, Reply, Surroundings

INTERNET: Final = "internet"


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """What a configuration does not say."""

    fleet: FleetLimits = field(default_factory=FleetLimits)
    state_dir: Path | None = None
    """Folder of the stores, in place of the configuration's. A runtime whose configuration was read from no file, and
    names no folder, keeps its stores in a temporary one, which ends with it.
    """
    home: Path | None = None
    """Folder of engines and images; None for the user's own cache."""
    sinks: tuple[LogSink, ...] = ()
    """Where the logs of all workers go, besides `worker.logs`."""
    feed: Feed | None = None
    """Hears how invocations end. It is no sink by itself: give it to `sinks` as well."""
    progress: Callable[[str], None] = lambda _: None
    allow_trusted: bool = False
    """Whether workers whose configuration says `isolation = "subinterpreter"` may run: without a sandbox."""
    environment: Mapping[str, str] | None = None
    """Environment for `environment` and `secret` bindings; None for the process's own."""
    record: RecordOptions | None = None
    """Which invocations are recorded, if any: see docs/replay.md."""


class Runtime:
    """Services by name. Open it with `async with`, or `open()` and `aclose()`."""

    def __init__(self, config: Config | None = None, options: RuntimeOptions | None = None) -> None:
        self.options = options or RuntimeOptions()
        self.shared = Shared()
        self.fleet = Fleet(self.options.fleet, self.options.home, self.options.record, self.options.feed)
        self._generation = Generation(with_internet(config or Config()), self)
        self._prepared: Generation | None = None
        self._old: set[Generation] = set()
        self._numbers = count(1)
        self._starting: set[str] = set()
        self._closed = False
        self._temporary: Path | None = None
        self._admission = self._admission_of(self.config)

    async def __aenter__(self) -> Self:
        try:
            await self.open()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    @property
    def config(self) -> Config:
        """The configuration that new requests are answered by."""
        return self._generation.config

    def service(self, name: str) -> Service:
        """See `generation.Ground`."""
        return self._generation.service(name)

    def state_dir(self, config: Config) -> Path:
        """See `generation.Ground`."""
        if self.options.state_dir is not None:
            return self.options.state_dir.absolute()
        if config.place.file is not None or config.state_dir != Config().state_dir:
            return config.state_dir.absolute()
        if self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="pyworkerd-"))
        return self._temporary

    @property
    def services(self) -> Mapping[str, Service]:
        """What new requests can be sent to."""
        return self._generation.services

    @property
    def sinks(self) -> tuple[LogSink, ...]:
        """See `RuntimeOptions`."""
        return self.options.sinks

    @property
    def allow_trusted(self) -> bool:
        """See `RuntimeOptions`."""
        return self.options.allow_trusted

    @property
    def environment(self) -> Mapping[str, str] | None:
        """See `RuntimeOptions`."""
        return self.options.environment

    async def open(self) -> None:
        """Load the engine and deploy every worker. Raises `ConfigurationError` with place and remedy."""
        _must_be_sound(self.config)
        try:
            await self.fleet.open(self.options.progress)
        except EngineError as error:
            raise ConfigurationError(str(error)) from error
        await self._generation.start()

    # another configuration ---------------------------------------------------------------------------

    async def prepare(self, config: Config, only: str = "") -> Generation:
        """Deploy what is new in a configuration. Nothing changes yet: `switch` to it, or `discard` it. With `only`
        nothing else than this service is new: the files of other workers are not looked at.

        Raises `ConfigurationError` if it cannot work, and then nothing is left of it.
        """
        config = with_internet(config)
        _must_be_sound(config)
        if self._prepared is not None:
            raise ConfigurationError("another configuration is being loaded")
        generation = self._prepared = Generation(config, self)
        try:
            await generation.start(self._generation, only)
        except BaseException:
            await self.discard(generation)
            raise
        return generation

    async def discard(self, generation: Generation) -> None:
        """Forget what was prepared."""
        self._prepared = None
        await generation.aclose()

    def switch(self, generation: Generation) -> Generation:
        """New requests go to what was prepared. Returns the generation before, which goes on: `retire` it."""
        self._prepared = None
        before, self._generation = self._generation, generation
        self._admission = self._admission_of(generation.config, self._admission)
        generation.take_over(before)
        self._old.add(before)
        return before

    def _admission_of(self, config: Config, before: Admission | None = None) -> Admission | None:
        if not any(service.rate_limits for service in config.services):
            return None
        from pyworkerd.admission import Admission  # noqa: PLC0415 (start-up time)

        return Admission(config.services, self.shared, before)

    async def retire(self, generation: Generation) -> None:
        """Close an old generation when nothing runs in it any more."""
        await generation.quiet()
        await self.end(generation)

    async def end(self, generation: Generation) -> None:
        """Close an old generation now; what runs in it is cancelled."""
        if generation in self._old:
            self._old.discard(generation)
            await generation.aclose()

    async def reload(self, config: Config) -> None:
        """`prepare`, `switch` and `retire`: returns when the old configuration's last invocation has ended."""
        await self.retire(self.switch(await self.prepare(config)))

    # the library's own way in ------------------------------------------------------------------------

    async def load(  # noqa: PLR0913 - what a configuration says of a worker, by name
        self,
        worker: Path | str | Mapping[str, str | bytes],
        *,
        name: str | None = None,
        bindings: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        reuse: Literal["isolate", "request"] = "isolate",
        network: bool | str | Service = False,
        frozen: bool = True,
        durable_objects: Sequence[ObjectClass] = (),
        tails: Sequence[str] = (),
    ) -> LoadedWorker:
        """Load a worker from a path or from sources in memory, and deploy it.

        `worker` is the path of its main module, or a mapping of file names to contents (the first `.py`, `.js` or
        `.ts` file is the main one). `bindings` are given as Python objects: values, async functions, other workers,
        services. It has no network unless `network` is true, or names a service.

        With `frozen=False` no image is made and nothing is written to disk: it is there in milliseconds, and each of
        its isolates runs the top level itself. That is for code that is run once.

        `durable_objects` say what holds for classes of Durable Objects, as in a configuration; `tails` are names of
        workers that are told what its invocations did.
        Raises `ConfigurationError` if it does not deploy; the sentence names file and line.
        """
        from pyworkerd.bindings.from_python import all_from_python  # noqa: PLC0415 (start-up time)

        name = name or f"worker-{next(self._numbers)}"
        way_out = INTERNET if network is True else network or None
        options = WorkerOptions(
            limits or Limits(),
            reuse,
            way_out is not None,
            self.options.sinks,
            {
                each.class_name: ClassOptions.of(each, each.unique_key or f"{name}-{each.class_name}")
                for each in durable_objects
            },
        )
        root, main = Path(), Path(name)
        try:
            if isinstance(worker, Mapping):
                bundle = Bundle.of(worker)
                main = Path(f"{bundle.main}.py" if bundle.language.dotted else bundle.main)
            else:
                root, main = Path(worker).parent, Path(worker)
                bundle = await self.fleet.run(_read_bundle, Path(worker))
            deployed = await self._load(
                Program(name, bundle, all_from_python(bindings or {}), way_out, options, frozen, tuple(tails))
            )
        except ImageError as error:
            raise ConfigurationError(sentence(error, root, main)) from error
        return LoadedWorker(deployed, self._unload)

    def kv(self, name: str, *, worker: str | None = None, size_mb: int | None = None) -> KV:
        """The program's own KV store of this name, or that which a worker of the configuration knows by it.

        Give it to workers as a binding: those share it. It is open until the runtime is closed.
        """
        from pyworkerd.bindings.kv.handle import KV  # noqa: PLC0415 (start-up time)
        from pyworkerd.storage.stores import Stores  # noqa: PLC0415

        return KV(self.location("kv", name, worker), self.shared.get(Stores, Stores), size_mb)

    def r2(self, name: str, *, worker: str | None = None, size_mb: int | None = None) -> R2:
        """The program's own R2 bucket of this name, or that which a worker of the configuration knows by it."""
        from pyworkerd.bindings.r2 import buckets_of  # noqa: PLC0415 (start-up time)
        from pyworkerd.bindings.r2.handle import R2  # noqa: PLC0415

        return R2(self.location("r2", name, worker), buckets_of(self.shared), size_mb)

    def queue(self, name: str) -> Queue:
        """The program's own queue of this name. Give it to workers as a binding: they send to it, the program receives.
        It is open until the runtime is closed.
        """
        from pyworkerd.bindings.queue.handle import Queue  # noqa: PLC0415 (start-up time)

        return Queue(layout.program(self.state_dir(self.config), "queue", name), self.shared)

    def sender(self, name: str) -> Sender:
        """A queue of the configuration, to send to and to look into. It is open until the runtime is closed.

        Raises `ConfigurationError` if there is none of this name.
        """
        from pyworkerd.queues.broker import Sender  # noqa: PLC0415 (start-up time)

        return Sender(self.shared, self.queue_location(name), time.time)

    def queue_location(self, name: str) -> layout.Location:
        """Where a queue of the configuration is. Raises `ConfigurationError` if there is none of this name."""
        return self._generation.queue(name)[1]

    def d1(self, name: str, *, worker: str | None = None, size_mb: int | None = None) -> D1:
        """The program's own D1 database of this name, or that which a worker of the configuration knows by it.

        Give it to workers as a binding: those share it. It is open until the runtime is closed.
        """
        from pyworkerd.bindings.d1.handle import D1  # noqa: PLC0415 (start-up time)
        from pyworkerd.storage.stores import Stores  # noqa: PLC0415

        return D1(self.location("d1", name, worker), self.shared.get(Stores, Stores), size_mb)

    def location(self, kind: str, name: str, worker: str | None) -> layout.Location:
        """Where a store is: the program's own, or that which a worker of the configuration knows by this name."""
        if worker is not None:
            return self._generation.store(kind, worker, name)
        return layout.program(self.state_dir(self.config), kind, name)

    async def _load(self, program: Program) -> Worker:
        name = program.name
        taken = (self.services, self._starting, self._prepared.services if self._prepared else ())
        if any(name in names for names in taken):
            raise ConfigurationError(f"there already is a service named {name!r}")
        self._starting.add(name)
        try:
            running = await self._generation.deploy(program)
            if self._closed:
                await running.aclose()
                raise Overloaded("the runtime was closed while the worker was loaded")
            self._generation.add(name, running)  # a generation later, perhaps
        finally:
            self._starting.discard(name)
        return cast("Worker", running.service)

    def worker(self, name: str) -> LoadedWorker:
        """A deployed worker, by the name of its service. Raises `ConfigurationError` for any other name.

        With `deploy = "lazy"` it has to be deployed first: see `deploy`.
        """
        found = self.services.get(name)
        if isinstance(found, Dormant):
            raise ConfigurationError(
                f"the worker {name!r} is not deployed yet: await runtime.deploy({name!r})"
            )
        if not isinstance(found, Worker):
            known = ", ".join(
                sorted(n for n, service in self.services.items() if isinstance(service, Worker))
            )
            raise ConfigurationError(f"there is no worker named {name!r}; there are: {known or 'none'}")
        return LoadedWorker(found, self._unload)

    async def deploy(self, name: str) -> LoadedWorker:
        """A worker of the configuration, deployed now if it is not, as with `deploy = "lazy"`. It stays deployed.

        Raises `ConfigurationError` if it does not deploy, or for any other name.
        """
        return LoadedWorker(await self._generation.wake(name), self._unload)

    async def _unload(self, worker: Worker) -> None:
        await self._generation.remove(worker)

    # requests ----------------------------------------------------------------------------------------

    def route(self, request: Request) -> str:
        """The service for a request by the configured routes. Raises `NoRoute`."""
        return self._generation.route(request)

    async def fetch(self, request: Request, service: str | None = None, target: Target = DEFAULT) -> Response:
        """Send a request to a service, or to the one that the routes name."""
        generation = self._generation
        name = service or generation.route(request)
        if (work_for := scope.get()) is not None and not work_for.root.service:
            work_for.root.service = name
            if self._admission is not None:
                await self._admission.admit(name, request)
        return await generation.asked(name).fetch(request, target)

    def ask(
        self, service: str | None, request: Request, span: Scope, surroundings: Surroundings, reply: Reply
    ) -> Pending | None:
        """The same without a task, as far as the service can: see `services.base.Ask`."""
        generation = self._generation
        name = service or generation.route(request)
        found = generation.asked(name)
        ask: Ask | None = getattr(found, "ask", None)
        if ask is None:
            return None
        if self._admission is not None and not self._admission.admit_nowait(
            name, request, span, surroundings
        ):
            return None
        span.service = name
        return ask(request, span, surroundings, reply)

    def digest(self) -> str:
        """A name for what new requests are answered by: see `Generation.digest`."""
        return self._generation.digest()

    def statistics(self) -> FleetStatistics:
        """Isolates and memory, of all workers together."""
        return self.fleet.statistics()

    async def quiet(self) -> None:
        """Wait until no worker has anything left to do, its `waitUntil` included."""
        await asyncio.gather(*(generation.quiet() for generation in (self._generation, *self._old)))

    def metrics(self) -> Snapshot:
        """What was counted so far, and how things stand, worker by worker: see `observe.families`."""
        snapshot: Snapshot = {}
        self.fleet.measure(snapshot)
        dropped = [sink.dropped for sink in self.options.sinks if isinstance(sink, Background)]
        add(snapshot, "log_lines_dropped", (), sum(dropped))
        if self._admission is not None:
            self._admission.write(snapshot)
        return snapshot

    async def aclose(self) -> None:
        """End every worker and close every service."""
        if self._closed:
            return
        self._closed = True
        async with AsyncExitStack() as closing:  # the last is closed first
            if self._temporary is not None:
                remove = partial(shutil.rmtree, self._temporary, ignore_errors=True)
                closing.push_async_callback(asyncio.to_thread, remove)
            closing.push_async_callback(asyncio.to_thread, self.fleet.close)
            closing.push_async_callback(self.shared.aclose)
            for generation in (self._generation, self._prepared, *self._old):
                if generation is not None:
                    closing.push_async_callback(generation.aclose)


def _must_be_sound(config: Config) -> None:
    problems = check_config(config)
    if problems:
        raise ConfigurationError(*map(str, problems))


def _read_bundle(main: Path) -> Bundle:
    if not main.is_file():
        raise ConfigurationError(f"{main}: there is no such file")
    return Bundle.read(main)
