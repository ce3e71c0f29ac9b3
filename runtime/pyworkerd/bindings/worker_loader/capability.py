"""Workers that a worker has started from source: found again by name, bounded, and its own.

Rule 1: what is loaded belongs to one worker and one binding of it. Numbers and names mean nothing to anybody else.
Rule 2: a loaded worker may use what its parent could, no more: its limits are the lower of two, its stubs are the
        parent's, its turns on the processor come out of the parent's share.
Rule 3: one top level runs at a time for each loader, and only so many wait. When there are too many loaded workers, or
        they take too much memory, the one that was asked longest ago and is idle goes first.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from pyworkerd_isolates import wire
from pyworkerd_isolates.errors import ImageError
from pyworkerd_isolates.limits import Limits as IsolateLimits

from pyworkerd.bindings import arguments as args
from pyworkerd.bindings.service.capability import ServiceCapability
from pyworkerd.dispatch.channels import Table
from pyworkerd.dispatch.options import UNFROZEN_COST, WorkerOptions
from pyworkerd.dispatch.worker import Worker
from pyworkerd.errors import LoadFailed, NoSuchMethod, NotLoaded, Overloaded
from pyworkerd.services.base import Target
from pyworkerd.services.stubs import Carried

from .code import MAX_NAME, Address, Code, lower, read_address, read_code, sentence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyworkerd_isolates.protocol import Entry

    from pyworkerd.bindings.base import Host
    from pyworkerd.dispatch.channels import Capability
    from pyworkerd.messages import Request, Response
    from pyworkerd.observe.logs import LogEntry

MAX_LOADED: Final = 64
"""Loaded workers of one binding. Those without an isolate cost some kilobytes and their source."""
MAX_LOADED_BYTES: Final = 16 << 20
"""Source of all of them: it is kept to start isolates from."""
MAX_WAITING: Final = 32
"""That wait to be loaded; the next one is refused. At three milliseconds each that is a tenth of a second."""
ADDRESS_HEADER: Final = "x-pyworkerd-loaded"
"""First field of a request through the binding. It is taken off again; one further back is the guest's own."""
GIVEN: Final = frozenset(("fetcher", "callable"))
"""Shapes of capabilities that may be handed on to a loaded worker."""
_MB: Final = 1 << 20


class _Loaded(NamedTuple):
    number: int
    name: str | None
    worker: Worker
    size: int


class Loader:
    """Stages 3 and 4 of the binding."""

    __slots__ = (
        "_binding",
        "_closed",
        "_closing",
        "_host",
        "_loaded",
        "_named",
        "_numbers",
        "_turn",
        "_waiting",
    )

    external = False
    reads = True
    methods: ClassVar[Mapping[str, Mapping[str, type]]] = {
        "open": {"name": str},
        "load": {"name": str, "code": dict},
        "call": {"address": str, "method": str, "arguments": bytes},
    }

    def __init__(self, binding: str, host: Host) -> None:
        self._binding, self._host = binding, host
        self._loaded: OrderedDict[int, _Loaded] = OrderedDict()
        self._named: dict[str, int] = {}
        self._numbers = count(1)
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._loaded)

    # what a guest asks -------------------------------------------------------------------------------

    async def call(self, method: str, arguments: bytes) -> bytes:
        """See `bindings.base.Capability`. What a loaded worker is called with, and answers, is passed on unread."""
        parameters = self.methods.get(method)
        if parameters is None:
            raise NoSuchMethod(f"this binding has no method {method[:40]!r}")
        bound = args.bind(method, parameters, args.decode(arguments, wire.MAX_VALUE))
        if method == "call":
            through = self._through(read_address(bound["address"]))
            return await self._pass_on(through, bound["method"], bound["arguments"], arguments)
        return wire.dump_value(await getattr(self, method)(**bound))

    async def _pass_on(
        self, through: ServiceCapability, method: str, arguments: bytes, asked: bytes
    ) -> bytes:
        if type(asked) is not Carried:
            return await through.call(method, arguments)
        carried = Carried.of(arguments, asked.stubs)
        try:
            return await through.call(method, carried)
        finally:
            carried.release()

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:
        """Send a request to a loaded worker. Its first header field says to which."""
        try:
            name, text = request.headers[0] if request.headers else ("", "")
            through = self._through(read_address(text if name == ADDRESS_HEADER else None))
        except BaseException:
            await request.body.aclose()
            raise
        return await through.fetch(replace(request, headers=request.headers[1:]), redirect)

    async def open(self, name: str) -> int:
        """The number of the loaded worker of this name; 0 if there is none."""
        number = self._named.get(name, 0)
        if number:
            self._loaded.move_to_end(number)
        return number

    async def load(self, name: str, code: dict[str, Any]) -> int:
        """Load a worker, or find the one of this name ("" is none). Its number.

        Raises `LoadFailed` if its top level fails, `Overloaded` if too much is loaded or waits to be.
        """
        if len(name) > MAX_NAME:
            raise args.type_error(f"a name may have {MAX_NAME} characters")
        wanted = read_code(code)
        if self._waiting >= MAX_WAITING:
            raise Overloaded(f"{MAX_WAITING} workers wait to be loaded")
        self._waiting += 1
        try:
            async with self._turn:
                if known := await self.open(name):
                    return known
                return await self._load(name, wanted)
        finally:
            self._waiting -= 1

    # loading -----------------------------------------------------------------------------------------

    def _own(self) -> Worker:
        own = self._host.own
        if own is None or self._closed:
            raise Overloaded("the worker is closed")
        return own

    async def _load(self, name: str, code: Code) -> int:
        own = self._own()
        if own.refused:
            raise Overloaded("the server is short of memory")
        limits = lower(own.options.limits, code)
        entries, table = self._environment(own, code)
        size = code.size()
        self._make_room(own, size)
        sandbox = IsolateLimits(
            cpu_ms=limits.cpu_ms, memory_mb=limits.memory_mb, startup_ms=limits.startup_ms
        )
        try:
            image = await own.fleet.load(own, code.bundle, sandbox)
        except ImageError as error:
            raise LoadFailed(sentence(error, code.bundle)) from None

        def sink(entry: LogEntry) -> None:
            source = f"{name}/{entry.source}" if name else entry.source
            entry = entry._replace(worker=own.name, source=source)
            for each in own.sinks:
                each(entry)

        options = WorkerOptions(limits, "isolate", code.outbound is not None, (sink,))
        worker = Worker(f"{own.name}/{self._binding}", own.fleet, None, options, entries, table, kin=own)
        try:
            await worker.deploy(image)
            self._own()
        except BaseException:
            await worker.aclose()
            raise
        number = next(self._numbers)
        self._loaded[number] = _Loaded(number, name or None, worker, size)
        if name:
            self._named[name] = number
        return number

    def _environment(self, own: Worker, code: Code) -> tuple[tuple[Entry, ...], Table]:
        """What fills `env` of the loaded worker, and the table of what it may use: both out of its parent's."""
        shapes = {entry[2]: entry[1] for entry in own.environment if isinstance(entry[2], int)}

        def given(index: int) -> Capability:
            if shapes.get(index) not in GIVEN or not isinstance(own.channels, Table):
                raise args.type_error("only a worker's own service stubs can be given to one that it loads")
            return own.channels.find(index)

        table: list[Capability | None] = [None if code.outbound is None else given(code.outbound)]
        entries: list[Entry] = []
        for name, value in code.env:
            if isinstance(value, bytes):
                entries.append((name, "value", value))
                continue
            table.append(given(value))
            entries.append((name, shapes[value], len(table) - 1))
        return tuple(entries), Table(table)

    # what there is -----------------------------------------------------------------------------------

    def _through(self, address: Address) -> ServiceCapability:
        own = self._own()
        loaded = self._loaded.get(address.number)
        if loaded is None:
            raise NotLoaded("the loaded worker has gone: load it again")
        self._loaded.move_to_end(address.number)
        self._bound_memory(own, loaded)
        target = Target(address.entrypoint, address.props)
        return ServiceCapability(loaded.worker, target, own.name, own.limits.cpu_ms)

    def _make_room(self, own: Worker, size: int) -> None:
        """Let go of idle ones until there is room for one more. Raises `Overloaded` if all are busy."""
        kept = sum(loaded.size for loaded in self._loaded.values())
        while len(self._loaded) >= MAX_LOADED or (self._loaded and kept + size > MAX_LOADED_BYTES):
            kept -= self._forget_idle()
        self._bound_memory(own, coming=UNFROZEN_COST)

    def _bound_memory(self, own: Worker, wanted: _Loaded | None = None, coming: int = 0) -> None:
        """All of them together take no more than their parent may itself: `memory_mb` times `isolates`."""
        limits = own.options.limits
        most = limits.memory_mb * _MB * limits.isolates
        while (
            self._loaded and coming + sum(loaded.worker.memory() for loaded in self._loaded.values()) > most
        ):
            self._forget_idle(wanted)

    def _forget_idle(self, wanted: _Loaded | None = None) -> int:
        """Let go of the one that was asked longest ago, of those that do nothing. Bytes of its source."""
        for loaded in self._loaded.values():
            if loaded is not wanted and not loaded.worker.busy:
                del self._loaded[loaded.number]
                if loaded.name is not None:
                    del self._named[loaded.name]
                task = asyncio.get_running_loop().create_task(loaded.worker.aclose())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
                return loaded.size
        raise Overloaded("too many loaded workers are busy, or they take too much memory")

    async def aclose(self) -> None:
        """End all of them."""
        self._closed = True
        loaded, self._loaded = list(self._loaded.values()), OrderedDict()
        self._named.clear()
        for one in loaded:
            await one.worker.aclose()
        if self._closing:
            await asyncio.wait(tuple(self._closing))
