"""A request or a call asked of a worker without a task: its answer is given to a function, in the turn in which it
comes.

Most requests wait for one thing, the worker's answer. A task, a future and a turn of the event loop for each of them
cost more than the rest of the way through the house, so servers and other workers ask like this where they can
(`services.base.Ask`, `Asks`). `Asked` and `AskedCall` stand where other invocations have a future.
"""

from __future__ import annotations

import asyncio
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from pyworkerd.bindings.arguments import bounded
from pyworkerd.messages import Response

from .failures import outcome
from .invocation import CallWork, FetchWork

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from pyworkerd.messages import Request
    from pyworkerd.observe.scope import Scope
    from pyworkerd.services.base import CallReply, Reply, Surroundings, Target

    from .invocation import Invocation, LentWork
    from .live import Live
    from .worker import Worker


class Asking:
    """What both kinds have in common. `reply` is called once, unless `cancel` is called before; it raises nothing."""

    __slots__ = ("_reply", "_worker", "invocation")

    def __init__(self, worker: Worker, reply: Callable[[Any, Exception | None], None]) -> None:
        self._worker = worker
        self._reply: Callable[[Any, Exception | None], None] | None = reply
        self.invocation: Invocation | None = None
        """As long as it is not answered: each holds the other."""

    def done(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self._reply is None

    def set_result(self, answer: Response | bytes) -> None:
        """The worker answered. Counts it."""
        raise NotImplementedError

    def set_exception(self, error: Exception) -> None:
        """It will not."""
        reply, self._reply, self.invocation = self._reply, None, None
        assert reply is not None
        self.failed(error)
        reply(None, error)

    def cancel(self) -> None:
        """Its caller has gone."""
        invocation, self.invocation = self.invocation, None
        if self._reply is not None and invocation is not None:
            self._reply = None
            self.failed(asyncio.CancelledError())
            self._worker.forsaken(invocation)

    def failed(self, error: BaseException) -> None:
        """Count a failure."""
        raise NotImplementedError


class Asked(Asking):
    """A request."""

    __slots__ = ("_began",)

    def __init__(self, worker: Worker, reply: Reply) -> None:
        self._worker = worker
        self._reply = reply
        self.invocation = None
        self._began = monotonic_ns()

    def set_result(self, answer: Response | bytes) -> None:
        """The worker answered."""
        reply, self._reply, self.invocation = self._reply, None, None
        assert reply is not None
        assert isinstance(answer, Response)
        self._worker.counters.answered(answer.status, monotonic_ns() - self._began)
        reply(answer, None)

    def failed(self, error: BaseException) -> None:
        """Count a failure."""
        status, code = outcome(error)
        self._worker.counters.failed(status, code, monotonic_ns() - self._began)


class AskedCall(Asking):
    """A call."""

    __slots__ = ()

    def set_result(self, answer: Response | bytes) -> None:
        """The worker answered."""
        reply, self._reply, self.invocation = self._reply, None, None
        assert reply is not None
        self._worker.counters.calls += 1
        reply(answer, None)

    def failed(self, error: BaseException) -> None:
        """Count a failure."""
        self._worker.counters.call_failed(outcome(error)[1])


def ask_fetch(
    worker: Worker, request: Request, target: Target, span: Scope, context: Context, reply: Reply
) -> Asked | None:
    """See `services.base.Asks`."""
    front = worker.options.front
    if target.object is not None:
        worker = worker.objects.find(target)
    elif front is not None and not front.passes(request):
        return None
    return begin(worker, Asked(worker, reply), FetchWork(request, target), span, context)


def ask_call(
    worker: Worker,
    method: str,
    arguments: bytes,
    target: Target,
    span: Scope,
    context: Context,
    reply: CallReply,
) -> AskedCall:
    """See `services.base.Asks`."""
    if target.object is not None:
        worker = worker.objects.find(target)
    asked = AskedCall(worker, reply)
    try:
        if len(arguments) > worker.easy_bytes:
            check_readable(worker, arguments)
        worker.check(target)
    except BaseException as error:
        asked.failed(error)
        raise
    work = CallWork(method, arguments, target)
    asked.invocation = invocation = worker.invocation(work, asked, context, span)
    worker.arrive(invocation)
    return asked


def check_readable(worker: Worker, arguments: bytes) -> None:
    """Raises what a guest is told whose arguments would take this worker long to read."""
    bounded(arguments, "the arguments", worker.limits.cpu_ms)


def ask_lent(
    worker: Worker, live: Live, work: LentWork, span: Scope, context: Context, reply: CallReply
) -> AskedCall:
    """See `services.stubs.Loan`. It waits in no queue: the isolate holds already what it is for."""
    asked = AskedCall(worker, reply)
    try:
        check_readable(worker, work.arguments)
        invocation = worker.invocation(work, asked, context, span)
        live.stubs.enter(invocation)
    except BaseException as error:
        asked.failed(error)
        raise
    asked.invocation = invocation
    worker.fleet.turns.hurry(worker.loop_account)
    return asked


def begin(
    worker: Worker, asked: Asked, work: FetchWork, span: Scope, context: Context | Surroundings
) -> Asked:
    """Queue a request that was asked. Raises what cannot be asked, and counts it."""
    try:
        length = work.request.body.length
        if length is None or length > worker.request_body_bytes:
            work.request = worker.limited(work.request)
        worker.check(work.target)
    except BaseException as error:
        asked.failed(error)
        raise
    asked.invocation = invocation = worker.invocation(work, asked, context, span)
    worker.arrive(invocation)
    return asked
