"""A runtime behind its sockets: from addresses to services, from configuration to configuration, until the end.

serving = Serving(runtime)
await serving.start()
await serving.switch(await serving.prepare(changed))   # no request is lost, no connection closed
await serving.drain()
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd_config.model import Worker

from pyworkerd.chores import Chores
from pyworkerd.server import Edge, HttpServer, ServerOptions, bind_socket, open_edge
from pyworkerd.services.base import DEFAULT, Target

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from pyworkerd_config.model import Config, Socket

    from pyworkerd.generation import Generation
    from pyworkerd.messages import Request, Response
    from pyworkerd.observe.feed import Feed
    from pyworkerd.observe.snapshot import Snapshot
    from pyworkerd.runtime import Runtime
    from pyworkerd.server import Balance, Handler, Listener, ServerStatistics
    from pyworkerd.services.base import Ask

logger = logging.getLogger("pyworkerd.serving")

MIB: Final = 1024 * 1024
DRAIN_S: Final = 25.0
"""How long running requests may take to finish after SIGTERM (Kubernetes gives 30 s before it kills)."""
OLD_GENERATIONS: Final = 8
"""Configurations that may finish what they began; one more, and the oldest is ended. Our own figure: whoever saves a
file again and again while a stream is open must not fill the memory."""


class Listening(NamedTuple):
    """A socket of the configuration, and the address that it really has."""

    name: str
    address: str
    service: str | None
    secure: bool = False
    """Whether TLS is spoken there."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A configuration whose workers are deployed and whose sockets are bound: `switch` to it or `discard` it."""

    generation: Generation
    bound: Mapping[str, Listener]
    edges: Mapping[str, Edge]
    """Of all sockets, by name."""


@dataclass(slots=True)
class _Open:
    """A socket that is served."""

    server: HttpServer
    address: str
    model: Socket = field(repr=False)

    def listening(self) -> Listening:
        return Listening(self.model.name, self.address, self.model.service, self.model.https is not None)


class _Routed:
    """A handler: requests of one socket go to its service, or by their routes."""

    def __init__(self, runtime: Runtime, socket: Socket) -> None:
        self._service = socket.service
        self._target = DEFAULT
        if socket.entrypoint is not None or socket.props is not None:
            self._target = Target(socket.entrypoint, {} if socket.props is None else socket.props)
        self._fetch = runtime.fetch
        self.ask: Ask | None = partial(runtime.ask, self._service) if self._target is DEFAULT else None
        """See `services.base.Ask`; it knows no entrypoints."""

    async def __call__(self, request: Request) -> Response:
        return await self._fetch(request, self._service, self._target)


class Serving:
    """The servers of one runtime. `start`, then `drain` and `aclose`.

    `balance` is for a process that shares its sockets with others; `around` makes another handler of a
    socket's; `certificates`: see `Chores`.
    """

    def __init__(
        self,
        runtime: Runtime,
        options: ServerOptions | None = None,
        balance: Balance | None = None,
        around: Callable[[Handler], Handler] | None = None,
        *,
        certificates: bool = True,
    ) -> None:
        self._runtime = runtime
        self._certificates = certificates
        self._chores = Chores(runtime, certificates=certificates)
        self._balance = balance
        self._around = around
        self._given = options or ServerOptions()
        self._open: dict[str, _Open] = {}
        self._old: dict[Generation, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, bound: Mapping[str, Listener] | None = None) -> list[Listening]:
        """Listen on every socket of the configuration, on those in `bound` (by name) as they were bound by somebody.

        Raises `ConfigurationError` for one that cannot be used, `ConfigError` for certificates that cannot.
        """
        config = self._runtime.config
        edges = await self._open_edges(config)
        listening = [
            await self._begin(socket, config, edges[socket.name], (bound or {}).get(socket.name))
            for socket in config.sockets
        ]
        self._chores.start()
        return listening

    async def _begin(
        self, socket: Socket, config: Config, edge: Edge, listener: Listener | None
    ) -> Listening:
        server = HttpServer(self._handler(socket), _admitting(self._given, config), edge, self._balance)
        opened = self._open[key_of(socket)] = _Open(server, socket.address, socket)
        if listener is None:
            listener = await asyncio.to_thread(bind_socket, socket)
        opened.address = await server.start(listener)
        return opened.listening()

    def listening(self) -> list[Listening]:
        """The sockets that are served."""
        return [opened.listening() for opened in self._open.values()]

    def metrics(self) -> Snapshot:
        """What was counted so far, by the sockets and by the runtime: see `observe.families`."""
        snapshot = self._runtime.metrics()
        for opened in self._open.values():
            opened.server.statistics().write(snapshot, opened.model.name)
        return snapshot

    @property
    def feed(self) -> Feed | None:
        """What workers said and did lately, if it is kept."""
        return self._runtime.options.feed

    def _handler(self, socket: Socket) -> Handler:
        handler: Handler = _Routed(self._runtime, socket)
        config = self._runtime.config
        if _has_acme(config):
            from pyworkerd.acme.challenges import Answering  # noqa: PLC0415 (start-up time)
            from pyworkerd.acme.keeper import folder_of  # noqa: PLC0415

            handler = Answering(folder_of(self._runtime.state_dir(config)), handler)
        return handler if self._around is None else self._around(handler)

    async def _open_edges(self, config: Config) -> dict[str, Edge]:
        if _has_acme(config):
            from pyworkerd.acme.keeper import (  # noqa: PLC0415 (start-up time)
                begin_all,
                folder_of,
                must_have_client,
            )

            if self._certificates:
                must_have_client()
            await asyncio.to_thread(begin_all, config, folder_of(self._runtime.state_dir(config)))
        return {socket.name: await open_edge(socket) for socket in config.sockets}

    # another configuration ---------------------------------------------------------------------------

    async def prepare(
        self, config: Config, bound: Mapping[str, Listener] | None = None, only: str = ""
    ) -> Prepared:
        """Deploy what is new in a configuration and bind its new sockets, those in `bound` excepted. See
        `Runtime.prepare` for `only`.

        Nothing changes yet. Raises `ConfigurationError` or `ConfigError`, and then nothing is left of it.
        """
        listeners = dict(bound or {})
        try:
            edges = await self._open_edges(config)
            for socket in self.new_sockets(config):
                if socket.name not in listeners:
                    listeners[socket.name] = await asyncio.to_thread(bind_socket, socket)
                listeners[socket.name].listen(self._given.backlog)
            return Prepared(await self._runtime.prepare(config, only), listeners, edges)
        except BaseException:
            _close(listeners)
            raise

    def new_sockets(self, config: Config) -> list[Socket]:
        """Sockets of a configuration that nobody listens on yet."""
        return [socket for socket in config.sockets if key_of(socket) not in self._open]

    async def discard(self, prepared: Prepared) -> None:
        """Forget it."""
        _close(prepared.bound)
        await self._runtime.discard(prepared.generation)

    async def switch(self, prepared: Prepared) -> list[Listening]:
        """New requests go to what was prepared; what runs is finished by what it began with.

        Returns the sockets that are new. Connections stay open, except those of sockets that are no more.
        """
        old = self._runtime.switch(prepared.generation)
        self._chores.changed()
        config = self._runtime.config
        options = _admitting(self._given, config)
        over: list[Callable[[], Awaitable[None]]] = []
        wanted = {key_of(socket): socket for socket in config.sockets}
        for key, opened in list(self._open.items()):
            if key in wanted:
                opened.model = wanted[key]
                handler, edge = self._handler(opened.model), prepared.edges[opened.model.name]
                over.append(opened.server.replace(handler, options, edge).over)
            else:
                del self._open[key]
                over.append(partial(self._end, opened.server))
        self._finish(old, over)
        new = self.new_sockets(config)
        return [
            await self._begin(socket, config, prepared.edges[socket.name], prepared.bound.get(socket.name))
            for socket in new
        ]

    async def _end(self, server: HttpServer) -> None:
        await server.drain(DRAIN_S)
        await server.aclose()

    def _finish(self, old: Generation, over: Sequence[Callable[[], Awaitable[None]]]) -> None:
        self._old[old] = task = asyncio.create_task(self._retire(old, over))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if len(self._old) > OLD_GENERATIONS:
            oldest = next(iter(self._old))
            logger.warning(
                "more than %d old configurations still answer requests: the oldest is ended", OLD_GENERATIONS
            )
            self._old.pop(oldest).cancel()

    async def _retire(self, old: Generation, over: Sequence[Callable[[], Awaitable[None]]]) -> None:
        try:
            await asyncio.gather(*(each() for each in over))
            await self._runtime.retire(old)
        finally:
            self._old.pop(old, None)
            await self._runtime.end(old)

    def statistics(self) -> dict[str, ServerStatistics]:
        """What the server of each socket has counted, by the socket's name."""
        return {opened.model.name: opened.server.statistics() for opened in self._open.values()}

    # the end -----------------------------------------------------------------------------------------

    async def drain(self, seconds: float = DRAIN_S) -> None:
        """Accept nothing more, finish what runs: requests, and what workers promised with `waitUntil`."""
        until = asyncio.get_running_loop().time() + seconds
        await self._chores.stop()
        await asyncio.gather(*(opened.server.drain(seconds) for opened in self._open.values()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._chores.quiet()
                await self._runtime.quiet()
                await asyncio.gather(*self._tasks)

    async def aclose(self) -> None:
        """Close every connection, and cancel what runs."""
        await self._chores.aclose()
        await asyncio.gather(*(opened.server.aclose() for opened in self._open.values()))
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


def key_of(socket: Socket) -> str:
    """What a socket is known by from one configuration to the next: its address, or its name where that is unknown."""
    return f"{socket.name}={socket.address}" if socket.address.endswith(":0") else socket.address


def _has_acme(config: Config) -> bool:
    return any(socket.https is not None and socket.https.acme is not None for socket in config.sockets)


def _close(listeners: Mapping[str, Listener]) -> None:
    for listener in listeners.values():
        listener.close()


def _admitting(options: ServerOptions, config: Config) -> ServerOptions:
    """The same options, with room for the largest body that any worker takes; each worker keeps its own limit."""
    largest = [s.kind.limits.request_body_mb * MIB for s in config.services if isinstance(s.kind, Worker)]
    body = max([options.limits.body, *largest])
    return replace(options, limits=replace(options.limits, body=body))
