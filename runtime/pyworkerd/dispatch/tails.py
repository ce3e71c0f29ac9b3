"""Tail workers: what an invocation did is told to the `tail` handlers of other workers when it has ended.

Invocations of one worker that end while its tail workers are busy are told together, so that a flood of requests is a
small number of calls. What they cannot keep up with is dropped, and the worker's log says how much. Invocations of
`tail` handlers, and those that they cause by calls, are not told to anybody: otherwise workers that tail each other, or
call whom they tail, would never come to rest.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from time import time
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_isolates import wire

from pyworkerd.bindings.arguments import bounded
from pyworkerd.errors import PyworkerdError, WorkerException
from pyworkerd.observe.redaction import joined, redact_headers, redact_url
from pyworkerd.observe.scope import begin, scope
from pyworkerd.observe.trace_item import TraceItem

from .failures import outcome
from .invocation import CallWork, FetchWork, HandlerWork

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pyworkerd.observe.scope import Scope

    from .invocation import Invocation, Work
    from .worker import Worker

MAX_WAITING: Final = 100
"""Items that wait for the tail workers to be ready."""
MAX_CHARACTERS: Final = 1 << 20
"""Of all that wait."""
_MAX_EVENT: Final = 4096
"""Bytes of an event that is told: those of `scheduled` and `alarm` are small, batches of queues are not read."""
HANDLER: Final = "tail"


class Trace:
    """What an invocation says of itself to the tail workers of its worker."""

    __slots__ = ("_tails", "_worker", "item")

    def __init__(self, tails: Tails, worker: Worker, item: TraceItem) -> None:
        self._tails, self._worker, self.item = tails, worker, item

    def log(self, level: str, message: str) -> None:
        """It logged something."""
        self.item.log(level, message, now_ms())

    def exception(self, name: str, message: str, stack: str) -> None:
        """Its handler raised."""
        self.item.exception(name, message, stack, now_ms())

    def answered(self, status: int | None) -> None:
        """It gave an answer: with this status, if it was a request."""
        self.item.answered(status)

    def failed(self, error: BaseException) -> None:
        """It was answered with an error."""
        self.item.failed(outcome(error)[1])

    def end(self, invocation: Invocation) -> None:
        """Nothing of it is left."""
        self._tails.ended(self._worker, self.item, cpu_ms_of(invocation))


class Tails:
    """Those of one worker. `find` gives a worker by its name, deployed."""

    def __init__(self, names: Sequence[str], find: Callable[[str], Awaitable[Worker]]) -> None:
        self._names, self._find = tuple(names), find
        self._waiting: list[dict[str, Any]] = []
        self._characters = 0
        self._dropped = 0
        self._telling: asyncio.Task[None] | None = None
        self._closed = False

    def begin(self, worker: Worker, work: Work, work_for: Scope) -> Trace | None:
        """What gathers an invocation that begins; None if nobody is told of it."""
        if work_for.root.tail:
            return None
        event, target = event_of(work), work.target
        model = "stateless" if target.object is None else "durableObject"
        return Trace(
            self, worker, TraceItem(worker.name, target.entrypoint, event, model, now_ms(), len(repr(event)))
        )

    def ended(self, worker: Worker, item: TraceItem, cpu_ms: float) -> None:
        """Nothing of an invocation is left."""
        if self._closed:
            return
        if len(self._waiting) >= MAX_WAITING or self._characters + item.size > MAX_CHARACTERS:
            self._dropped += 1
            return
        self._waiting.append(item.finish(cpu_ms, now_ms()))
        self._characters += item.size
        if not self.telling:
            # Not in the context of the request that ended: it is over, and it pays for nothing any more.
            self._telling = worker.loop.create_task(self._tell(worker), context=Context())

    async def _tell(self, worker: Worker) -> None:
        while self._waiting:
            batch, dropped = self._waiting, self._dropped
            self._waiting, self._characters, self._dropped = [], 0, 0
            if dropped:
                worker.counters.limit("tails")
                worker.log(
                    0, "warning", "pyworkerd",
                    f"{dropped} invocations were not told to {', '.join(self._names)}: too slow to keep up",
                )  # fmt: skip
            # On a thread: of many small entries this takes a tenth of a second.
            for events in await worker.fleet.run(written, batch):
                for name in self._names:
                    await self._hand_over(worker, name, events)

    async def _hand_over(self, worker: Worker, name: str, events: bytes) -> None:
        own = begin()[0]
        own.tail = True
        try:
            listener = await self._find(name)  # whoever it has to wake works for nobody
            before = scope.set(own)
            try:
                await listener.handle(HANDLER, events)
            finally:
                scope.reset(before)
        except PyworkerdError as error:
            worker.log(0, "error", "pyworkerd", f"the tail worker {name!r} failed: {error}")
        except Exception as error:  # noqa: BLE001 - a fault of the runtime must not end the telling of the others
            worker.report(error)

    @property
    def telling(self) -> bool:
        """Whether something has not been told yet."""
        return self._telling is not None and not self._telling.done()

    async def quiet(self) -> None:
        """Wait until everything was told."""
        while self._telling is not None and not self._telling.done():
            await asyncio.wait((self._telling,))

    async def aclose(self) -> None:
        """Tell nothing any more. Harmless when called again."""
        self._closed = True
        if self._telling is not None:
            self._telling.cancel()
            await self.quiet()


def written(items: list[dict[str, Any]]) -> list[bytes]:
    """These items in lists, few and as long as a handler may be given; an item that is too much by itself is cut, and
    says so.
    """
    value = wire.dump_value(items)
    try:
        return [bounded(value, "what happened")]
    except WorkerException:
        pass
    half = len(items) // 2
    if half:
        return written(items[:half]) + written(items[half:])
    (item,) = items
    logs, exceptions = item["logs"], item["exceptions"]
    if not logs and not exceptions:
        return []  # only headers that no server lets through are so large
    less = {"logs": logs[: len(logs) // 2], "exceptions": exceptions[: len(exceptions) // 2]}
    return written([{**item, **less, "truncated": True}])


def event_of(work: Work) -> dict[str, Any]:
    """What began an invocation, as a tail worker is told."""
    if isinstance(work, FetchWork):
        return {"request": _request(work)}
    if not isinstance(work, HandlerWork):
        return {"rpcMethod": work.method}
    known = _HANDLERS.get(work.method)
    return {} if known is None else known(work)


def _request(work: FetchWork) -> dict[str, Any]:
    request = work.request
    whole = joined(request.headers)
    url, headers = redact_url(request.url), redact_headers(whole)
    hidden = {name: value for name, value in whole.items() if value != headers[name]}
    return {
        "method": request.method, "url": url, "headers": headers,
        "unredacted": {"url": request.url, "headers": hidden},
    }  # fmt: skip


def _scheduled(work: CallWork) -> dict[str, Any]:
    event = wire.load_value(work.arguments, max_size=_MAX_EVENT)
    return {"cron": event["cron"], "scheduledTime": event["scheduled_time"]}


def _alarm(work: CallWork) -> dict[str, Any]:
    return {"scheduledTime": wire.load_value(work.arguments, max_size=_MAX_EVENT)["scheduledTime"]}


_HANDLERS: Final[dict[str, Callable[[CallWork], dict[str, Any]]]] = {
    "scheduled": _scheduled,
    "alarm": _alarm,
    "queue": lambda work: dict(work.about) if isinstance(work, HandlerWork) else {},
}


def now_ms() -> int:
    """Now."""
    return int(time() * 1000)


def cpu_ms_of(invocation: Invocation) -> float:
    """What it used, in steps of its own and, by a guess, in those that it shared."""
    each = invocation.budget.cpu_ms
    return max(2 * each - invocation.cpu_left_ms - invocation.shared_left_ms, 0.0)
