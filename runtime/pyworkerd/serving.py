"""A runtime behind its sockets: from addresses to services, until it is told to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd.server import HttpServer, ServerOptions

if TYPE_CHECKING:
    from pyworkerd.messages import Request, Response
    from pyworkerd.runtime import Runtime
    from pyworkerd.server import Handler

DRAIN_S: Final = 25.0
"""How long running requests may take to finish after SIGTERM (Kubernetes gives 30 s before it kills)."""


class Listening(NamedTuple):
    """A socket of the configuration, and the address that it really has."""

    name: str
    address: str
    service: str | None


class Serving:
    """The servers of one runtime. `start`, then `drain` and `aclose`."""

    def __init__(self, runtime: Runtime, options: ServerOptions | None = None) -> None:
        self._runtime = runtime
        self._options = options or ServerOptions()
        self._servers: list[HttpServer] = []

    async def start(self) -> list[Listening]:
        """Listen on every socket of the configuration. Raises `ConfigurationError` for one that cannot be used."""
        listening = []
        for socket in self._runtime.config.sockets:
            server = HttpServer(self._handler(socket.service), self._options)
            self._servers.append(server)
            address = await server.start(socket.address)
            listening.append(Listening(socket.name, address, socket.service))
        return listening

    def _handler(self, service: str | None) -> Handler:
        runtime = self._runtime
        if service is None:
            return runtime.fetch

        async def handle(request: Request) -> Response:
            return await runtime.services[service].fetch(request)

        return handle

    async def drain(self, seconds: float = DRAIN_S) -> None:
        """Accept nothing more, finish what runs."""
        for server in self._servers:
            await server.drain(seconds)

    async def aclose(self) -> None:
        """Close every connection."""
        for server in self._servers:
            await server.aclose()
