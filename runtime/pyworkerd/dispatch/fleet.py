"""What all workers of a process share: the engine, threads for long steps, and one account of isolates and memory."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from typing import TYPE_CHECKING, Final, TypeVar, TypeVarTuple

from pyworkerd_isolates.bundle import Folder
from pyworkerd_isolates.cache import Cache
from pyworkerd_isolates.engines import Engines
from pyworkerd_isolates.image import Image, load_frame
from pyworkerd_isolates.images import Images
from pyworkerd_isolates.native import Machine
from pyworkerd_isolates.pool import Idle, Shared
from pyworkerd_isolates.slots import Slots
from pyworkerd_isolates.unfrozen import Loading

from pyworkerd.errors import Overloaded
from pyworkerd.interpreter import interval
from pyworkerd.machine import memory
from pyworkerd.objects.owners import Owners
from pyworkerd.observe.counters import LABELLED, Meters
from pyworkerd.observe.snapshot import add

from .hibernation import COST as ASLEEP_COST
from .hibernation import Hibernation
from .loading import LoadingJob, PreparingJob
from .relief import Relief
from .sleepers import Sleepers
from .threads import CORES, Threads, give_way
from .trimming import Trimming
from .turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pyworkerd_isolates.bundle import Bundle
    from pyworkerd_isolates.limits import Limits as IsolateLimits
    from pyworkerd_isolates.subinterpreter.program import Program as TrustedProgram
    from pyworkerd_isolates.subinterpreter.program import Programs

    from pyworkerd.observe.counters import WorkerCounters
    from pyworkerd.observe.feed import Feed
    from pyworkerd.observe.snapshot import Snapshot
    from pyworkerd.replay.options import RecordOptions
    from pyworkerd.replay.recorder import Recorder

    from .live import Live
    from .objects import Objects
    from .worker import Worker

logger = logging.getLogger("pyworkerd.dispatch")

_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")
_Source = TypeVar("_Source")

MAX_ISOLATES: Final = 8000
"""Live isolates of one process. Each maps some regions, and Linux allows 65,530 (vm.max_map_count)."""
EMPTY: Final = 256
"""Each keeps a file open, and the customary limit of a process is 1024 (ulimit -n)."""
FED: Final = 8
"""Workers that look again when room for an isolate has come: one of them will take it."""
MEMORY_SHARE: Final = 0.5
"""Part of the memory that there is for this server that isolates may take, unless a budget is given."""


@dataclass(frozen=True, slots=True)
class FleetLimits:
    """Bounds of the whole process."""

    isolates: int = MAX_ISOLATES
    memory: int | None = None
    """Bytes that isolates may take; None is a share of what there is for this server."""
    process: int | None = None
    """Bytes of its own that the whole process may take before work is refused; None is all that there is."""
    threads: int | None = None
    """Threads for steps that run long; None is one for each core."""
    labelled: int = LABELLED
    """Workers that have a label of their own in metrics."""
    empty: int = EMPTY
    """Workers without an isolate that stay deployed, where workers are deployed at their first request."""
    heaps: int | None = None
    """Bytes on disk for what Durable Objects that hibernate had in memory; None is as many as isolates may take in
    memory, and 0 lets none hibernate."""


@dataclass(frozen=True, slots=True)
class FleetStatistics:
    """How things stand."""

    isolates: int
    idle: int
    memory: int
    started: int
    hibernated: int


class Fleet:
    """One per runtime. Engines are loaded (or built, once per machine) when a worker needs them; `close()` ends all."""

    def __init__(
        self,
        limits: FleetLimits | None = None,
        home: Path | None = None,
        record: RecordOptions | None = None,
        feed: Feed | None = None,
    ) -> None:
        limits = limits or FleetLimits()
        self.feed = feed
        """Hears how invocations end, if somebody wants to know."""
        self.meters = Meters(limits.labelled)
        self._maximum = limits.isolates
        self._budget = limits.memory or int(memory() * MEMORY_SHARE)
        self.relief = Relief(self, limits.process or memory())
        self.threads = Threads(limits.threads)
        self.long_threads = Threads(1)
        """For what can be cut into no slices."""
        self.turns = Turns()
        self._builds = ThreadPoolExecutor(CORES, thread_name_prefix="pyworkerd-build")
        self._compiles = ThreadPoolExecutor(CORES, thread_name_prefix="pyworkerd-compile")
        """For programs: a hostile one makes its compiler run for minutes, and nothing else waits for that."""
        self.closed = False
        self._opening = asyncio.Lock()
        self._progress: Callable[[str], None] = lambda _: None
        self._home = home
        self._record = record
        self._recorder: Recorder | None = None
        self._idle: OrderedDict[int, Live] = OrderedDict()
        self.workers: set[Worker] = set()
        self._hungry: dict[Worker, None] = {}
        self._costs: dict[int, int] = {}
        self._memory = 0
        self._sleeping: set[int] = set()
        """Isolates that hibernate: they count at what the host has of them."""
        self.hibernation = Hibernation(self, self._budget if limits.heaps is None else limits.heaps)
        self.trimming = Trimming()
        self._started = 0
        self.numbers = count(1)
        self.slots = Slots()
        self.sleepers = Sleepers(limits.empty)
        self.owners = Owners()
        self.newest: dict[str, Objects] = {}
        """By unique key: the version of a worker whose code its Durable Objects run."""
        self.machine: Machine | None = None
        self.engines: Engines | None = None
        self.images: Images | None = None
        self.programs: Programs | None = None
        """Trusted workers, once there is one."""

    async def open(self, progress: Callable[[str], None] = lambda _: None) -> Engines:
        """Be ready to load engines, off the event loop's thread; once, however many ask at the same time. `progress` is
        told what is built, from whatever thread."""
        async with self._opening:
            if self.engines is None:
                self._progress = progress
                self.engines = await self.run(self._load, progress)
                self.relief.start()
        return self.engines

    def _load(self, progress: Callable[[str], None]) -> Engines:
        cache = Cache(self._home)
        self.machine = Machine()
        engines = Engines(self.machine, cache, progress)
        self.images = Images(engines, cache, self.slots)
        return engines

    def recorder_of(self, worker: str) -> Recorder | None:
        """What writes down some invocations of the worker of this name. Only once this is open."""
        if self._record is None or not self._record.chooses(worker):
            return None
        if self._recorder is None:
            from pyworkerd.replay.recorder import Recorder  # noqa: PLC0415 (start-up time)

            assert self.images is not None
            self._recorder = Recorder(self._record, self.images.folder)
        return self._recorder

    async def run(self, function: Callable[[*_Arguments], _Result], *arguments: *_Arguments) -> _Result:
        """Run something that blocks or takes long on a thread. Raises `Overloaded` once the fleet is closed."""
        return await self._run(self._builds, function, *arguments)

    async def _run(
        self, threads: ThreadPoolExecutor, function: Callable[[*_Arguments], _Result], *arguments: *_Arguments
    ) -> _Result:
        if self.closed:
            raise Overloaded("the runtime is closed")
        return await asyncio.get_running_loop().run_in_executor(
            threads, interval.during, partial(function, *arguments)
        )

    async def image(self, source: Folder | Bundle, limits: IsolateLimits) -> Image:
        """The image of a worker's files, off the event loop's thread; `release` it. Raises `ImageError`."""
        await self.open()
        assert self.images is not None
        threads = self._builds
        if source.language.is_program:
            source = await self.run(source.read) if isinstance(source, Folder) else source
            if not await self.run(self.images.is_compiled, source):
                threads = self._compiles
                size = len(source.files[source.main]) / 1e6
                self._progress(f"compiling {source.main}, {size:.1f} MB: a large component takes a while")
        return await self._get(self.images.get, self.images.release, source, limits, threads)

    async def program(self, folder: Folder, limits: IsolateLimits) -> TrustedProgram:
        """What a trusted worker's files are, deployed; `release` it. Raises `ImageError` or `EngineError`."""
        if self.programs is None:
            from pyworkerd_isolates.subinterpreter.program import Programs  # noqa: PLC0415 (start-up time)

            self.programs = Programs(give_way)
        return await self._get(self.programs.get, self.programs.release, folder, limits, self._builds)

    async def _get(
        self,
        get: Callable[[_Source, IsolateLimits], _Result],
        release: Callable[[_Result], None],
        source: _Source,
        limits: IsolateLimits,
        threads: ThreadPoolExecutor,
    ) -> _Result:
        getting = asyncio.ensure_future(self._run(threads, get, source, limits))
        try:
            return await asyncio.shield(getting)
        except asyncio.CancelledError:
            getting.add_done_callback(partial(self._unwanted, release))
            raise

    async def load(self, worker: Worker, bundle: Bundle, limits: IsolateLimits) -> Image:
        """An image that is not frozen, of these sources. They are compiled, and the top level runs, in turns of this
        worker, each within `startup_ms`. `release` it. Raises `ImageError`.
        """
        engines = await self.open()
        engine = await self.run(engines.of, bundle.language)
        if engine.prepares(bundle):
            preparing = PreparingJob(engine, bundle, limits.startup_ms)
            self.long_threads.submit(worker.long_account, preparing)
            bundle = await preparing.bundle
        job = LoadingJob(Loading(engine, load_frame(bundle), limits))
        self.threads.submit(worker.thread_account, job)
        try:
            return await job.image
        except asyncio.CancelledError:
            if not job.image.cancelled() and job.image.exception() is None:
                self.release(job.image.result())
            raise

    def _unwanted(self, release: Callable[[_Result], None], getting: asyncio.Future[_Result]) -> None:
        made = not getting.cancelled() and getting.exception() is None
        if made and not self.closed:  # the end has unmapped everything
            release(getting.result())

    def release(self, image: Image | TrustedProgram) -> None:
        """A worker needs its image no more."""
        if not isinstance(image, Image):
            assert self.programs is not None
            self.programs.release(image)
        elif image.sources is not None:
            image.sources.keep(None)
        elif self.images is not None:
            self.images.release(image)

    # workers ---------------------------------------------------------------------------------------------------------

    def enrol(self, worker: Worker) -> WorkerCounters:
        """A worker is there, with its name: where it counts."""
        self.workers.add(worker)
        return self.meters.take(worker.name)

    def dismiss(self, worker: Worker) -> None:
        """It is no more. Harmless when called again."""
        if worker in self.workers:
            self.workers.remove(worker)
            self.sleepers.dismiss(worker)
            self.meters.give_back(worker.name, worker.counters)

    # the account -----------------------------------------------------------------------------------------------------

    def born(self, live: Live, cost: int) -> None:
        """An isolate is about to start: it counts from now on."""
        self._started += 1
        self._costs[live.id] = cost
        self._memory += cost

    def grown(self, live: Live, cost: int) -> None:
        """An isolate's memory has another size now."""
        if live.id in self._costs:
            self._memory += cost - self._costs[live.id]
            self._costs[live.id] = cost

    def sleeps(self, live: Live) -> None:
        """An isolate's memory is being put away."""
        self._idle.pop(live.id, None)
        self._sleeping.add(live.id)
        self.grown(live, ASLEEP_COST + live.room.held)
        self._feed_the_hungry()

    def wakes(self, live: Live) -> None:
        """It has it back, or is about to."""
        self._sleeping.discard(live.id)
        self.grown(live, live.cost)

    def has_room(self, cost: int) -> bool:
        """Make room for an isolate of so many bytes, if others can give way. One may always live."""
        while not self.fits(cost):
            oldest = next(iter(self._idle), None)
            if oldest is not None:
                self.evict(oldest)
            elif not self.hibernation.spare():
                return False
        return True

    def fits(self, cost: int) -> bool:
        """Whether there is room for an isolate of so many bytes without anybody's giving way. One may always live."""
        live = len(self._costs) - len(self._sleeping)
        return not live or (live < self._maximum and self._memory + cost <= self._budget)

    def holds(self, number: int, size: int) -> None:
        """The host holds so many bytes more for an isolate, or fewer: part of what it is reckoned at."""
        if number in self._costs:
            self._memory += size
            self._costs[number] += size

    def cost_of(self, live: Live) -> int:
        """What an isolate is reckoned at."""
        return self._costs.get(live.id, 0)

    def rests(self, live: Live) -> None:
        """An isolate became idle: the last in line to be evicted."""
        self._idle[live.id] = live
        self._idle.move_to_end(live.id)
        self.trimming.rests(live)
        if self._hungry or self.hibernation.waking:
            self._feed_the_hungry()

    def works(self, live: Live) -> None:
        """An isolate is idle no more."""
        self._idle.pop(live.id, None)

    def died(self, live: Live) -> None:
        """An isolate ended."""
        self._idle.pop(live.id, None)
        self._sleeping.discard(live.id)
        self.hibernation.died(live)
        self.trimming.died(live)
        self._memory -= self._costs.pop(live.id, 0)
        self._feed_the_hungry()

    def hungers(self, worker: Worker, wants: bool) -> None:
        """A worker has requests that wait for room which others take, or has none of these any more."""
        if wants:
            self._hungry[worker] = None
            if not self.fits(worker.cost):
                self.hibernation.spare()
        else:
            self._hungry.pop(worker, None)

    def _feed_the_hungry(self) -> None:
        if self._hungry:
            for worker in list(islice(self._hungry, FED)):
                del self._hungry[worker]
                self._hungry[worker] = None  # at the end: the others' turn
                worker.plan_soon()
        self.hibernation.feed()

    def evict(self, number: int) -> None:
        """End an idle isolate of whichever worker, or have it hibernate if it may."""
        live = self._idle.get(number)
        if live is not None:
            live.give_way()

    def shared(self) -> Shared:
        """What `plan()` needs to know of everybody else. The idle ones are only looked at if room is needed."""
        isolates = len(self._costs) - len(self._sleeping)
        return Shared(isolates, self._maximum, self._memory, self._budget, _Oldest(self))

    def oldest(self) -> Iterator[Idle]:
        """Idle isolates, least recently used first."""
        for number, live in self._idle.items():
            yield Idle(number, live.idle_since, self._costs.get(number, 0))

    def measure(self, snapshot: Snapshot) -> None:
        """Add what was counted, and how things stand, to a snapshot."""
        self.meters.write(snapshot)
        for worker in self.workers:
            worker.measure(snapshot)
        add(snapshot, "reckoned_memory_bytes", (), self._memory)
        add(snapshot, "memory_budget_bytes", (), self._budget)
        add(snapshot, "hibernated_bytes", (), len(self.hibernation))
        add(snapshot, "serving_processes", (), 1)

    def statistics(self) -> FleetStatistics:
        """How things stand."""
        asleep = len(self._sleeping)
        return FleetStatistics(
            len(self._costs) - asleep, len(self._idle), self._memory, self._started, asleep
        )

    def close(self) -> None:
        """End the threads and let go of the engine; may block. All isolates have ended before."""
        self.closed = True
        if self._recorder is not None:
            self._recorder.close()
        if self.images is not None:
            self.images.stop_compiling()
        self._compiles.shutdown(wait=True)
        self._builds.shutdown(wait=True)
        self.threads.close()
        if self.programs is not None and (left := self.programs.close()):
            logger.warning(
                "%d isolates of trusted workers do not end: what they run goes on with the process", left
            )
        self.long_threads.close()
        self.hibernation.close()
        if self.images is not None:
            self.images.close()
        if self.engines is not None:
            self.engines.close()
        if self.machine is not None:
            self.machine.close()


class _Oldest:
    """An iterable that begins anew each time, without a list being made of it."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def __iter__(self) -> Iterator[Idle]:
        return self._fleet.oldest()
