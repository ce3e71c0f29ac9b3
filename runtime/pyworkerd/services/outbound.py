"""The shared front of network and external services: a client that comes to life with the first fetch.

Importing aiohttp takes more than a tenth of a second, and most workers never leave the house: so it is loaded
when it is needed, in a thread, because the event loop serves other tenants meanwhile.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from pyworkerd.errors import NoSuchEntrypoint, NoSuchMethod, UpstreamError

from .base import DEFAULT

if TYPE_CHECKING:
    from pyworkerd.messages import Request, Response

    from .base import Target
    from .outbound_client import Client
    from .outbound_plan import Plan


class OutboundService:
    """A service whose requests leave the process. `fetch` is what the two kinds of it differ in."""

    external = True

    def __init__(self, name: str, plan: Plan) -> None:
        self.name = name
        self._plan = plan
        self._client: Client | None = None
        self._closed = False

    async def _exchange(self, request: Request, target: Target, redirect: str) -> Response:
        if target.entrypoint is not None:
            await request.body.aclose()
            raise NoSuchEntrypoint(f"the service {self.name!r} has no entrypoint {target.entrypoint!r}")
        try:
            client = self._client or await self._start()
        except BaseException:
            await request.body.aclose()
            raise
        return await client.fetch(request, redirect)

    async def _start(self) -> Client:
        await asyncio.to_thread(import_module, f"{__package__}.outbound_client")
        from .outbound_client import Client  # noqa: PLC0415  (loaded by now; this gives the checker its type)

        # Another fetch may have come here meanwhile, or the end.
        if self._closed:
            raise UpstreamError(f"the service {self.name!r} was closed")
        self._client = self._client or Client(self._plan)
        return self._client

    async def call(self, method: str, arguments: bytes, target: Target = DEFAULT) -> bytes:  # noqa: ARG002
        """Raises `NoSuchMethod`: there is no program here."""
        raise NoSuchMethod(f"the service {self.name!r} has no method {method!r}: it only answers fetch")

    async def aclose(self) -> None:
        """Close every connection. Nothing is asked through it any more."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
