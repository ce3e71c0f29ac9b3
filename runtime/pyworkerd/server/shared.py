"""What all connections of one server have in common."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from pyworkerd.http import parser_class
from pyworkerd.http.dates import format_date
from pyworkerd.http.forwarded import neighbourhood
from pyworkerd.http.writer import Heads
from pyworkerd.messages import Request, Response
from pyworkerd.observe.spans import say_request, told

from .statistics import Counters

if TYPE_CHECKING:
    from pyworkerd.services.base import Ask

    from .edge import Edge
    from .info import ConnectionInfo
    from .members import Member
    from .options import ServerOptions
    from .record import Record
    from .request_body import RequestBody

Handler = Callable[[Request], Awaitable[Response]]

logger: Final = logging.getLogger("pyworkerd.server")

COMPLAIN_S: Final = 60.0
"""Between two log lines of `Shared.complain`."""


class Answering:
    """A handler, and how many requests it is answering: from their head to the end of their response."""

    __slots__ = ("_over", "active", "ask", "handler")

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.ask: Ask | None = getattr(handler, "ask", None)
        self.active = 0
        self._over: asyncio.Event | None = None

    def end(self) -> None:
        """One of its responses is complete, or broken off."""
        self.active -= 1
        if self._over is not None and not self.active:
            self._over.set()

    async def over(self) -> None:
        """Wait until it answers nothing more. It has been replaced, so it gets no new requests."""
        if self.active:
            self._over = asyncio.Event()
            await self._over.wait()


class Shared:
    """Handler, options, counters, the open connections and the date."""

    __slots__ = (
        "_complained",
        "_crowds",
        "_date",
        "_date_second",
        "_neighbourhoods",
        "answering",
        "connections",
        "context",
        "counters",
        "draining",
        "edge",
        "empty",
        "heads",
        "loop",
        "new_parser",
        "options",
        "patience",
    )

    def __init__(
        self, handler: Handler, options: ServerOptions, loop: asyncio.AbstractEventLoop, edge: Edge
    ) -> None:
        self.answering = Answering(handler)
        self.edge = edge
        self.options = options
        self.loop = loop
        self.context = copy_context()
        """What each request begins in, a copy of it: whoever ends one request begins the next, in its own context."""
        self.new_parser = parser_class(options.parser)
        self.heads = Heads(options.server_name)
        self.counters = Counters()
        self.connections: set[Member] = set()
        """Open connections, also those that still arrive."""
        self._neighbourhoods: dict[Member, str] = {}
        """Where connections come from; empty where that limits nothing."""
        self._crowds: Counter[str] = Counter()
        """How many of them come from each place."""
        self.draining = False
        self.patience = 0.0
        """Seconds for which idle connections stay open while the server drains."""
        self.empty = asyncio.Event()
        """Set while there is no connection; meaningful once accepting has stopped."""
        self.empty.set()
        self._complained = -COMPLAIN_S
        self._date = ""
        self._date_second = -1

    def crowded(self, peer: str | None, times: int = 1) -> bool:
        """Whether as many connections are open as may be, or so many times as many; `peer` is who comes."""
        options = self.options
        if len(self.connections) >= times * options.max_connections:
            return True
        if options.max_connections_each is None or peer is None:
            return False
        return self._crowds[neighbourhood(peer)] >= times * options.max_connections_each

    def join(self, connection: Member, peer: str | None = None) -> None:
        """A connection opened."""
        self.connections.add(connection)
        if peer is not None and self.options.max_connections_each is not None:
            where = self._neighbourhoods[connection] = neighbourhood(peer)
            self._crowds[where] += 1
        self.empty.clear()

    def leave(self, connection: Member) -> None:
        """A connection is gone, and its handler too."""
        self.connections.discard(connection)
        if self._neighbourhoods and (where := self._neighbourhoods.pop(connection, None)) is not None:
            self._crowds[where] -= 1
            if not self._crowds[where]:
                del self._crowds[where]
        if not self.connections:
            self.empty.set()

    def log(self, record: Record, info: ConnectionInfo, body: RequestBody | None) -> None:
        """A request is over: count it, and tell the access log, if there is one."""
        self.counters.answers[record.status // 100] += 1
        if self.options.access_log is None and told.listener is None:
            return
        entry = record.entry(info, body)
        if self.options.access_log is not None:
            self.options.access_log(entry)
        say_request(record.scope, entry)

    def complain(self, message: str, *values: object) -> None:
        """Tell the operator of peers that may be misconfigured; now and then, since anybody can cause it."""
        now = self.loop.time()
        if now - self._complained >= COMPLAIN_S:
            self._complained = now
            logger.warning(message, *values)

    def date(self) -> str:
        """The `date` header, made once per second (RFC 9110 section 5.6.7)."""
        now = time.time()
        second = int(now)
        if second != self._date_second:
            self._date_second = second
            self._date = format_date(second)
        return self._date

    if sys.version_info >= (3, 12):

        def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
            """Start at once; a handler that never waits is done when this returns, without a turn of the
            loop."""
            return asyncio.Task(work, loop=self.loop, eager_start=True, context=self.context.copy())

        def cancel(self, task: asyncio.Task[None]) -> None:
            """Cancel a handler where it waits."""
            task.cancel()
    else:

        def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
            """Start in the loop's next turn: before 3.12, a coroutine driven by hand has no current task, and
            `asyncio.timeout` and its like would fail in it."""
            return self.loop.create_task(work, context=self.context.copy())

        def cancel(self, task: asyncio.Task[None]) -> None:
            """Cancel a handler where it waits, which is not before it has begun: a task that is cancelled before its
            first step never runs, and so ends nothing that it was to end."""
            self.loop.call_soon(task.cancel)
