"""What a worker has of its caches before it asks for one: next to nothing.

SQLite, and the rules of RFC 9111, take some milliseconds to load, and most workers never use a cache: so they are
loaded when one does, in a thread, because the event loop serves other tenants meanwhile.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyworkerd.bindings.base import Host
    from pyworkerd.messages import Request, Response
    from pyworkerd.storage.layout import Location

    from .capability import Caches


class Front:
    """All caches of one worker: see `capability.Caches`, which comes to life with the first use."""

    external = False

    __slots__ = ("_caches", "_host", "_location", "_size_mb")

    def __init__(self, location: Location | None, host: Host, size_mb: int) -> None:
        self._location, self._host, self._size_mb = location, host, size_mb
        self._caches: Caches | None = None

    async def _used(self) -> Caches:
        if self._caches is None:
            await asyncio.to_thread(import_module, f"{__package__}.capability")
            from .capability import caches_at  # noqa: PLC0415 (loaded by now; this gives the checker its type)

            # Another use may have come here meanwhile.
            if self._caches is None:
                self._caches = caches_at(self._location, self._host, self._size_mb)
        return self._caches

    async def call(self, method: str, arguments: bytes) -> bytes:
        """See `Caches`."""
        return await (await self._used()).call(method, arguments)

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:
        """See `Caches`."""
        try:
            caches = await self._used()
        except BaseException:
            await request.body.aclose()
            raise
        return await caches.fetch(request, redirect)

    async def aclose(self) -> None:
        """Let go of what was opened."""
        if self._caches is not None:
            await self._caches.aclose()


def caches_of(host: Host, size_mb: int, *, kept: bool) -> Front | None:
    """The caches of a worker; None if it may have none. `kept`: on disk, under the worker's name."""
    if not size_mb:
        return None
    return Front(host.store("cache", "caches") if kept else None, host, size_mb)
