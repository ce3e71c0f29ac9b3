"""The admin address, served: guard, then route."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyworkerd.http import HttpLimits
from pyworkerd.messages import Response
from pyworkerd.server import HttpServer, ServerOptions, connection_info
from pyworkerd.server.address import TcpAddress

from .guard import refusal
from .routes import HEADERS, find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd.messages import Request
    from pyworkerd.server import Listener

    from .routes import Server

OPTIONS: Final = ServerOptions(limits=HttpLimits(body=1 << 20), max_connections=100)
"""A handful of probes and scrapers: what is more is a mistake, or somebody's intent."""


class Site:
    """`start` it inside the event loop, `aclose` it in the end."""

    def __init__(self, server: Server, hosts: Sequence[str] = ()) -> None:
        self._about = server
        self._hosts = frozenset(hosts)
        self._http = HttpServer(self.handle, OPTIONS)

    async def start(self, listener: Listener) -> None:
        """Answer on what was bound. Raises `ConfigurationError`."""
        if isinstance(listener.address, TcpAddress) and listener.address.host is not None:
            self._hosts |= {listener.address.host}
        await self._http.start(listener)

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        info = connection_info.get()
        local = info is not None and info.client is None
        answer: Response | None = refusal(request, self._hosts, local=local)
        if answer is None:
            page = find(request)
            answer = page if isinstance(page, Response) else await page(self._about, request)
        return Response(answer.status, (*answer.headers, *HEADERS), answer.body)

    async def aclose(self) -> None:
        """Answer nothing more."""
        await self._http.aclose()
