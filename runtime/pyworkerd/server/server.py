"""`HttpServer`: listening sockets, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from pyworkerd.errors import ConfigurationError

from .address import TcpAddress, UnixAddress, parse_address
from .connection import Connection
from .options import ServerOptions
from .shared import Handler, Shared

if TYPE_CHECKING:
    from .statistics import ServerStatistics


class HttpServer:
    """Serves HTTP/1.1 on any number of addresses with one handler. Create it inside the running event loop.

    `start` for each address; `drain` for an orderly end, then `aclose`, which may also be called alone. The
    handler is called once for each request, is cancelled when its client leaves, and may raise: see
    `failures`.
    """

    def __init__(self, handler: Handler, options: ServerOptions | None = None) -> None:
        self._shared = Shared(handler, options or ServerOptions(), asyncio.get_running_loop())
        self._servers: list[asyncio.AbstractServer] = []
        self._paths: list[Path] = []

    async def start(self, address: str) -> str:
        """Listen, and return the real address: with the port that the system chose for port 0.

        Address: `host:port`, `[ipv6]:port`, `*:port` (every interface), `unix:/path`.
        Raises `ConfigurationError` for an address that is not one or cannot be used.
        """
        if self._shared.draining:
            raise RuntimeError("the server has been stopped")
        wanted = parse_address(address)
        try:
            if isinstance(wanted, UnixAddress):
                return await self._start_unix(wanted)
            return await self._start_tcp(wanted)
        except OSError as error:
            raise ConfigurationError(f"cannot listen on {address}: {error.strerror or error}") from error

    async def _start_tcp(self, wanted: TcpAddress) -> str:
        loop, backlog = self._shared.loop, self._shared.options.backlog
        if wanted.host is None:
            listener = _every_interface(wanted.port, backlog)
            server = await loop.create_server(self._connection, sock=listener, backlog=backlog)
        else:
            server = await loop.create_server(self._connection, wanted.host, wanted.port, backlog=backlog)
        self._servers.append(server)
        return str(TcpAddress(wanted.host, server.sockets[0].getsockname()[1]))

    async def _start_unix(self, wanted: UnixAddress) -> str:
        path = Path(wanted.path)
        _remove_stale(path)
        server = await self._shared.loop.create_unix_server(
            self._connection, wanted.path, backlog=self._shared.options.backlog
        )
        self._servers.append(server)
        self._paths.append(path)
        return str(wanted)

    def _connection(self) -> Connection:
        return Connection(self._shared)

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - not an error: work goes on after it
        """Stop accepting, finish what runs, close the rest; after `timeout` seconds cancel what is left.

        Returns when every connection is closed and every handler has ended, or when handlers resisted
        cancelling.
        """
        self._stop_listening()
        for connection in tuple(self._shared.connections):
            connection.begin_drain()
        if not await self._wait_empty(timeout):
            await self._cancel_all()

    async def aclose(self) -> None:
        """Stop now: cancel every handler and close every connection. Harmless when called again."""
        self._stop_listening()
        await self._cancel_all()

    def statistics(self) -> ServerStatistics:
        """A snapshot of what the server has counted."""
        return self._shared.counters.snapshot(len(self._shared.connections))

    def _stop_listening(self) -> None:
        self._shared.draining = True
        for server in self._servers:
            server.close()
        self._servers.clear()
        for path in self._paths:
            path.unlink(missing_ok=True)
        self._paths.clear()

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


def _every_interface(port: int, backlog: int) -> socket.socket:
    """One socket for IPv4 and IPv6 where the system can, so that port 0 means one port."""
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):
            return socket.create_server(
                ("", port), family=socket.AF_INET6, backlog=backlog, dualstack_ipv6=True
            )
    return socket.create_server(("", port), backlog=backlog)


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on any more. Raises OSError if somebody does."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise OSError("another server listens there")
