"""The admin address, served: guard, then route; what is below `/api/v1` by the table of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pyworkerd.http import HttpLimits
from pyworkerd.messages import Response
from pyworkerd.server import HttpServer, ServerOptions, connection_info
from pyworkerd.server.address import TcpAddress

from .api import ROOT, Api
from .auth import Gate
from .guard import refusal
from .routes import HEADERS, find
from .table import ROUTES
from .tokens import TokenFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd.messages import Request
    from pyworkerd.server import Listener

    from .routes import Server

MAX_UPLOAD: Final = 64 << 20
"""Bytes of a body: a version of a worker, packed. Pages that take less say so themselves."""
OPTIONS: Final = ServerOptions(
    limits=HttpLimits(body=MAX_UPLOAD), max_connections=200, max_connections_each=48
)
"""Probes, scrapers, and of each address more than those who may follow the logs: what is more is a mistake, or
somebody's intent. With those that are being refused, nobody takes half of all."""


class Site:
    """`start` it inside the event loop, `aclose` it in the end."""

    def __init__(self, server: Server, hosts: Sequence[str] = (), tokens: TokenFile | None = None) -> None:
        self._about = server
        tokens = tokens or TokenFile(None)
        self._api = Api(server, Gate(tokens.now, wanted=tokens.wanted), ROUTES)
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
        if answer is None and urlsplit(request.url).path.startswith(f"{ROOT}/"):
            answer = await self._api.answer(request, "" if info is None else info.client)
        elif answer is None:
            page = find(request)
            answer = page if isinstance(page, Response) else await page(self._about, request)
        own = {name for name, _ in answer.headers}
        more = tuple(pair for pair in HEADERS if pair[0] not in own)
        return Response(answer.status, (*answer.headers, *more), answer.body)

    async def aclose(self) -> None:
        """Answer nothing more."""
        await self._http.aclose()
