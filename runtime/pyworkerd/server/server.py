"""`HttpServer`: listening sockets, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from pyworkerd.http.writer import Heads

from .accepting import Acceptor
from .connection import Connection
from .edge import Edge
from .listening import Listener, bind
from .options import ServerOptions
from .shared import Answering, Handler, Shared

if TYPE_CHECKING:
    from .arrival import Arrival
    from .balance import Balance
    from .statistics import ServerStatistics


class HttpServer:
    """Serves HTTP/1.1 on any number of addresses with one handler. Create it inside the running event loop.

    `start` for each address; `drain` for an orderly end, then `aclose`, which may also be called alone. The
    handler is called once for each request, is cancelled when its client leaves, and may raise: see
    `failures`. `balance` is for a process that shares its sockets with others.
    """

    def __init__(
        self,
        handler: Handler,
        options: ServerOptions | None = None,
        edge: Edge | None = None,
        balance: Balance | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._shared = Shared(handler, options or ServerOptions(), loop, edge or Edge())
        self._watching: asyncio.Task[None] | None = None
        self._balance = balance
        self._acceptors: list[Acceptor] = []
        self._listeners: list[Listener] = []
        self._replaced: list[Answering] = []

    async def start(self, where: str | Listener) -> str:
        """Listen, and return the real address: with the port that the system chose for port 0.

        `where` is an address as `listening.bind` takes it, or what it has bound (maybe in another process); the
        server closes it when it stops listening.
        Raises `ConfigurationError` for an address that is not one or cannot be used.
        """
        if self._shared.draining:
            raise RuntimeError("the server has been stopped")
        listener = where if isinstance(where, Listener) else await asyncio.to_thread(bind, where)
        self._listeners.append(listener)
        listener.listen(self._shared.options.backlog)
        self._watch()
        if self._balance is not None:
            self._balance.join(self._shared.connections)
        self._acceptors += [Acceptor(each, self._protocol, self._balance) for each in listener.sockets]
        return str(listener.address)

    def _protocol(self) -> Connection | Arrival:
        if self._shared.edge.is_plain:
            return Connection(self._shared)
        from .arrival import Arrival  # noqa: PLC0415 (start-up time)

        return Arrival(self._shared)

    def _watch(self) -> None:
        """Keep the certificates fresh, if there are any."""
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        tls = self._shared.edge.tls
        if tls is not None:
            check = self._shared.options.certificate_check
            self._watching = self._shared.loop.create_task(tls.watch(check))

    def replace(self, handler: Handler, options: ServerOptions, edge: Edge | None = None) -> Answering:
        """Answer new requests with another handler, also those of open connections.

        Options and edge are those of new connections. Returns the handler before: wait for its `over()`.
        """
        if edge is not None:
            self._shared.edge = edge
            self._watch()
        before, self._shared.answering = self._shared.answering, Answering(handler)
        self._shared.options, self._shared.heads = options, Heads(options.server_name)
        self._replaced = [each for each in (*self._replaced, before) if each.active]
        return before

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - not an error: work goes on after it
        """Stop accepting, finish what runs, close what is idle; after `timeout` seconds cancel what is left.

        Returns when every connection is closed and every handler has ended, or when handlers resisted
        cancelling.
        """
        self._shared.patience = min(self._shared.options.drain_idle, timeout / 2)
        await self._stop_listening()
        for connection in tuple(self._shared.connections):
            connection.begin_drain()
        if not await self._wait_empty(timeout):
            await self._cancel_all()

    async def aclose(self) -> None:
        """Stop now: cancel every handler and close every connection. Harmless when called again."""
        await self._stop_listening()
        await self._cancel_all()

    def statistics(self) -> ServerStatistics:
        """A snapshot of what the server has counted."""
        active = sum(each.active for each in (self._shared.answering, *self._replaced))
        return self._shared.counters.snapshot(len(self._shared.connections), active)

    async def _stop_listening(self) -> None:
        """Returns when all that were accepted are among the connections."""
        self._shared.draining = True
        if self._watching is not None:
            self._watching.cancel()
        for acceptor in self._acceptors:
            acceptor.close()
        if self._balance is not None:
            self._balance.leave(self._shared.connections)
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        for acceptor in self._acceptors:
            await acceptor.settle()

    async def _cancel_all(self) -> None:
        for connection in tuple(self._shared.connections):
            connection.cancel()
        if not await self._wait_empty(self._shared.options.cancel_grace):
            for connection in tuple(self._shared.connections):
                connection.abort()
            await self._wait_empty(self._shared.options.cancel_grace)

    async def _wait_empty(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._shared.empty.wait(), seconds)
        return self._shared.empty.is_set()
