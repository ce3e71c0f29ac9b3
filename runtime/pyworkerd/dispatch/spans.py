"""Spans of invocations, and of what they ask of their bindings; only made while somebody is told of them."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Final

from pyworkerd_isolates.protocol import Call, Held, Part

from pyworkerd.errors import NoSuchMethod
from pyworkerd.observe import spans

from .failures import outcome
from .invocation import FetchWork, HandlerWork
from .outcomes import Watched
from .tails import cpu_ms_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd_isolates.protocol import Entry, Fetch

    from pyworkerd.observe.scope import Scope
    from pyworkerd.observe.spans import Attribute, Kind

    from .invocation import Invocation, Work
    from .tails import Trace
    from .worker import Worker

TOLD_ELSEWHERE: Final = frozenset(("fetcher", "durable_object"))
"""Shapes of bindings whose calls are spans of their own already: that of the service that is called."""
FUNCTION: Final = "function"
"""What is called where a function is lent, which has no name."""
TRIGGERS: Final = {"scheduled": "timer", "alarm": "timer", "queue": "pubsub"}
"""Semantic conventions of OpenTelemetry, `faas.trigger`."""


def trace_of(worker: Worker, work: Work, work_for: Scope) -> Trace | Watched | InvocationSpan | None:
    """What gathers an invocation that begins: for tail workers, for who follows the server, for its trace."""
    tails, feed = worker.options.tails, worker.fleet.feed
    trace = None if tails is None else tails.begin(worker, work, work_for)
    watched = trace if feed is None or not feed.watched else Watched(feed, worker.name, trace)
    wanted = spans.told.listener is not None and spans.wanted(work_for)
    return InvocationSpan(worker, work, watched) if wanted else watched


class InvocationSpan:
    """A span of one invocation; it tells on what others are told of it, if there are any."""

    __slots__ = ("_began_ns", "_code", "_exception", "_status", "_tail", "_work", "_worker")

    def __init__(self, worker: Worker, work: Work, tail: Trace | Watched | None) -> None:
        self._worker, self._work, self._tail = worker, work, tail
        self._began_ns = time_ns()
        self._status: int | None = None
        self._code = self._exception = ""

    def answered(self, status: int | None) -> None:
        """It gave an answer."""
        self._status = status
        if self._tail is not None:
            self._tail.answered(status)

    def log(self, level: str, message: str) -> None:
        """See `tails.Trace`."""
        if self._tail is not None:
            self._tail.log(level, message)

    def exception(self, name: str, message: str, stack: str) -> None:
        """See `tails.Trace`. Of an exception a span has only the type: its text may be anybody's."""
        self._exception = name
        if self._tail is not None:
            self._tail.exception(name, message, stack)

    def failed(self, error: BaseException) -> None:
        """It was answered with an error."""
        self._code = outcome(error)[1]
        if self._tail is not None:
            self._tail.failed(error)

    def end(self, invocation: Invocation) -> None:
        """Nothing of it is left."""
        scope, target = invocation.scope, self._work.target
        attributes: dict[str, Attribute] = {
            "pyworkerd.worker": self._worker.name,
            "pyworkerd.cpu_ms": round(cpu_ms_of(invocation), 3),
            "faas.trigger": self._trigger(),
        }
        if target.entrypoint is not None:
            attributes["pyworkerd.entrypoint"] = target.entrypoint
        if target.object is not None:
            attributes["pyworkerd.durable_object"] = True
        if invocation.isolate is not None:
            attributes["pyworkerd.isolate"] = invocation.isolate
        if scope.caller:
            attributes["pyworkerd.caller"] = scope.caller
        if self._status is not None:
            attributes["http.response.status_code"] = self._status
        if self._exception:
            attributes["exception.type"] = self._exception
        method = "fetch" if isinstance(self._work, FetchWork) else self._work.method
        error = self._code or (str(self._status) if (self._status or 0) >= 500 else "")
        # The span of a request that came in over HTTP is told by who received it.
        name = f"{self._worker.name} {_known(method, self._code) or FUNCTION}"
        spans.say(scope, name, "internal", self._began_ns, attributes, error, inside=scope.received)
        if self._tail is not None:
            self._tail.end(invocation)

    def _trigger(self) -> str:
        if isinstance(self._work, HandlerWork):
            return TRIGGERS.get(self._work.method, "other")
        return "http" if isinstance(self._work, FetchWork) else "other"


class CallSpans:
    """Spans of what one isolate asks of its bindings, those aside that are services."""

    __slots__ = ("_bindings", "_failed", "_open", "_worker")

    def __init__(self, worker: str, entries: Sequence[Entry]) -> None:
        self._worker = worker
        self._bindings = {
            entry[2]: (entry[0], entry[1])
            for entry in entries
            if isinstance(entry[2], int) and entry[1] not in TOLD_ELSEWHERE
        }
        self._open: dict[int, tuple[Call | Fetch, int]] = {}
        self._failed: dict[int, str] = {}

    def begins(self, effect: Call | Fetch, invocation: Invocation) -> None:
        """It asks."""
        if _index(effect) in self._bindings and spans.wanted(invocation.scope):
            self._open[effect.call] = effect, time_ns()

    def fails(self, effect: Call | Fetch, error: BaseException) -> None:
        """It is answered with this error; `over` follows, or has been."""
        if effect.call in self._open:
            self._failed[effect.call] = spans.code_of(error)

    def over(self, effect: Call | Fetch, invocation: Invocation) -> None:
        """Nothing is left of it."""
        found = self._open.get(effect.call)
        if found is None or found[0] is not effect:
            return
        del self._open[effect.call]
        error = self._failed.pop(effect.call, "")
        name, shape = self._bindings[_index(effect)]
        method = effect.method if isinstance(effect, Call) else effect.method.lower()
        attributes: dict[str, Attribute] = {
            "pyworkerd.worker": self._worker, "pyworkerd.binding": name, "pyworkerd.kind": shape,
        }  # fmt: skip
        kind: Kind = "producer" if shape == "queue" else "client"
        called = _known(method, error)
        spans.say(invocation.scope, f"{name} {called}"[:200], kind, found[1], attributes, error, inside=True)


def _known(method: str, error: str) -> str:
    """The name of a method that there is. Callers choose others, and could make as many names of spans as they like."""
    return spans.OTHER if error == NoSuchMethod.code else method


def _index(effect: Call | Fetch) -> int:
    named = effect.capability
    if isinstance(named, Held):
        return -1  # what is called through a stub is another worker's invocation, with a span of its own
    return named.capability if isinstance(named, Part) else named
