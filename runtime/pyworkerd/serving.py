"""A runtime behind its sockets: from addresses to services, until it is told to stop."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd_config.model import Worker

from pyworkerd.server import HttpServer, ServerOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyworkerd_config.model import Config

    from pyworkerd.messages import Request, Response
    from pyworkerd.runtime import Runtime
    from pyworkerd.server import Handler, Listener

MIB: Final = 1024 * 1024
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
        self._options = _admitting(options or ServerOptions(), runtime.config)
        self._servers: list[HttpServer] = []

    async def start(self, bound: Mapping[str, Listener] | None = None) -> list[Listening]:
        """Listen on every socket of the configuration, on those in `bound` (by name) as they were bound by somebody.

        Raises `ConfigurationError` for one that cannot be used.
        """
        listening = []
        for socket in self._runtime.config.sockets:
            server = HttpServer(self._handler(socket.service), self._options)
            self._servers.append(server)
            address = await server.start((bound or {}).get(socket.name, socket.address))
            listening.append(Listening(socket.name, address, socket.service))
        return listening

    def _handler(self, service: str | None) -> Handler:
        runtime = self._runtime
        if service is None:
            return runtime.fetch

        async def handle(request: Request) -> Response:
            return await runtime.fetch(request, service)

        return handle

    async def drain(self, seconds: float = DRAIN_S) -> None:
        """Accept nothing more, finish what runs."""
        for server in self._servers:
            await server.drain(seconds)

    async def aclose(self) -> None:
        """Close every connection."""
        for server in self._servers:
            await server.aclose()


def _admitting(options: ServerOptions, config: Config) -> ServerOptions:
    """The same options, with room for the largest body that any worker takes; each worker keeps its own limit."""
    largest = [s.kind.limits.request_body_mb * MIB for s in config.services if isinstance(s.kind, Worker)]
    body = max([options.limits.body, *largest])
    return replace(options, limits=replace(options.limits, body=body))
