"""A real worker behind a real server, with a hook from the worker into the test."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pyworkerd.runtime import Runtime
from pyworkerd_config.model import Limits

from tests.runtime.server.client import Client, Site, site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Hook:
    """What worker and test tell each other: `await env.NEXT()` waits for `give`, `await env.TELL(x)` is `told`."""

    def __init__(self) -> None:
        self._given: asyncio.Queue[Any] = asyncio.Queue()
        self._told: asyncio.Queue[Any] = asyncio.Queue()
        self.asked = 0
        """How often the worker has asked for the next thing."""
        self.waiting = 0
        """How many of those wait."""
        self.changed = asyncio.Condition()

    def give(self, *things: Any) -> None:
        """For the worker, one thing for each time that it asks."""
        for thing in things:
            self._given.put_nowait(thing)

    async def told(self) -> Any:
        """The next thing that the worker tells."""
        return await self._told.get()

    async def next(self) -> Any:
        """Binding."""
        self.asked += 1
        self.waiting += 1
        try:
            return await self._given.get()
        finally:
            self.waiting -= 1

    async def tell(self, thing: Any) -> None:
        """Binding."""
        self._told.put_nowait(thing)


class Place:
    """Where it is served, and what a test needs of it."""

    def __init__(self, site: Site, runtime: Runtime, worker: Any, hook: Hook) -> None:
        self.site, self.runtime, self.worker, self.hook = site, runtime, worker, hook

    async def connect(self) -> Client:
        """A client."""
        return await self.site.connect()

    async def nothing_runs(self) -> None:
        """Wait until no invocation and no connection is left. A test that leaks one does not end."""
        while self._running():
            await asyncio.sleep(0)

    def _running(self) -> bool:
        states = set(self.worker.service.statistics()["states"])
        return not states <= {"idle"} or self.site.server.statistics().active_now > 0


@asynccontextmanager
async def served(source: str, *, limits: Limits | None = None, **options: Any) -> AsyncIterator[Place]:
    """Serve a worker."""
    hook = Hook()
    async with Runtime() as runtime:
        worker = await runtime.load(
            {"w.py": source},
            bindings={"NEXT": hook.next, "TELL": hook.tell},
            limits=limits or Limits(cpu_ms=60_000),
        )
        async with site(worker.service.fetch, **options) as place:
            yield Place(place, runtime, worker, hook)
