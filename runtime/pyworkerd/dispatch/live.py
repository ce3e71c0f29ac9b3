"""One live isolate at work: events that wait for its next step, and what is done about the effects that come out.

Everything here runs on the event loop's thread; only the step itself may run on another (`placement`). Events that
arrive while a step runs wait for the next one, and all that wait go into it together.

Rule 1: whatever the guest names (invocation, stream, call, capability) is looked up in this isolate's own tables.
Rule 2: an effect that breaks the protocol ends the isolate, and nothing else.
Rule 3: when an isolate dies, each of its invocations is either answered with an error, or run again in another one
        if no effect of it has left yet.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_isolates.errors import (
    CpuExhausted,
    IsolateError,
    MemoryExhausted,
    OutputTooLarge,
    ProtocolError,
    Refused,
)
from pyworkerd_isolates.lifecycle import Cause, State
from pyworkerd_isolates.protocol import (
    WINDOW,
    Abandon,
    BodyRef,
    Broken,
    Call,
    Crash,
    Data,
    Done,
    Effect,
    Events,
    Fail,
    Fetch,
    HandedOn,
    Log,
    Output,
    Pull,
    Respond,
    Return,
    Stop,
    StreamRef,
)

from pyworkerd.errors import (
    BadEffect,
    ExceededCpu,
    ExceededMemory,
    ExceededOutput,
    ExceededSubrequests,
    ExceededWallTime,
    NoHandler,
    NoSuchEntrypoint,
    NoSuchMethod,
    PyworkerdError,
    UpstreamError,
    WorkerError,
    WorkerException,
)
from pyworkerd.messages import Body, Request, Response

from .invocation import CallWork, FetchWork, Invocation
from .streams import Feed, Outflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.isolate import Isolate

    from .worker import Worker

BATCH: Final = 16
"""Invocations that begin in one step at most, however short they are (the design's measurement)."""
GRACE_S: Final = 1.0
"""How long a cancelled invocation may take to wind up before its isolate is ended."""
MIN_BUDGET_MS: Final = 2.0
_FAILURES: Final = {"no_handler": NoHandler, "no_entrypoint": NoSuchEntrypoint, "no_method": NoSuchMethod}


class Live:
    """An isolate with its invocations, streams and calls. Made by `Worker`, which hears when it rests or dies."""

    def __init__(self, worker: Worker, number: int) -> None:
        self.id = number
        self._worker = worker
        self._loop = worker.loop
        self._isolate: Isolate | None = None
        self.state = State.COLD
        self.idle_since = 0.0
        self.stepping = False
        self.invocations: dict[int, Invocation] = {}
        self._events = Events()
        self._begun: list[Invocation] = []
        self._touched: set[int] = set()
        self._queue: list[Invocation] = []
        self._scheduled = False
        self._wake: asyncio.TimerHandle | None = None
        self._feeds: dict[int, Feed] = {}
        self._outflows: dict[int, Outflow] = {}
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._next_stream = 1

    def __repr__(self) -> str:
        return f"<isolate {self.id} of {self._worker.name}: {self.state.value}, {len(self.invocations)} invocations>"

    # work comes in ---------------------------------------------------------------------------------------------------

    def take(self, invocation: Invocation) -> None:
        """Begin an invocation with the next step."""
        self.invocations[invocation.id] = invocation
        if self.state is not State.COLD:
            self._move(Cause.INVOKE)
        self._queue.append(invocation)
        self._schedule()

    def cancel(self, invocation: Invocation) -> None:
        """Its caller has gone. What it promised to finish it may still finish, within its grace."""
        if invocation.id not in self.invocations:
            return
        if invocation in self._queue:
            self._queue.remove(invocation)
            self._forget(invocation)
            return
        self._send(invocation.id, partial(Events.cancel, invocation=invocation.id))

    def _move(self, cause: Cause) -> None:
        if self._isolate is not None:
            self._isolate.move(cause)
            self.state = self._isolate.state

    def _send(self, invocation: int | None, event: Callable[[Events], None]) -> None:
        if self.state is State.DEAD:
            return
        event(self._events)
        if invocation is not None:
            self._touched.add(invocation)
        self._schedule()

    # stream events, for `streams` (they carry no invocation: streams are few and cheap)

    def send_data(self, stream: int, data: bytes, end: bool) -> None:
        """See `streams.Door`."""
        self._send(None, lambda events: events.data(stream, data, end))

    def send_error(self, stream: int, message: str) -> None:
        """See `streams.Door`."""
        self._send(None, lambda events: events.error(stream, message))

    def send_pull(self, stream: int, credit: int) -> None:
        """See `streams.Door`."""
        self._send(None, lambda events: events.pull(stream, credit))

    def send_stop(self, stream: int) -> None:
        """See `streams.Door`."""
        self._outflows.pop(stream, None)
        self._send(None, lambda events: events.stop(stream))

    # stepping --------------------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        if not self._scheduled and not self.stepping and self.state is not State.DEAD:
            self._scheduled = True
            self._loop.call_soon(self._step)

    def _step(self) -> None:
        self._scheduled = False
        if self.state is State.DEAD or self.stepping:
            return
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        self._begin_queued()
        events, self._events = self._events, Events()
        budget = self._budget()
        self.stepping = True
        if self._worker.placement.inline:
            try:
                result: Output | BaseException = self._run(events, budget)
            except Exception as error:  # noqa: BLE001 - told apart in _stepped
                result = error
            self._stepped(result)
        else:
            future = self._worker.fleet.submit(lambda: self._run(events, budget))
            future.add_done_callback(self._stepped_elsewhere)

    def _begin_queued(self) -> None:
        """Put waiting invocations into the batch: as many as stay short together, or one alone."""
        share = self._worker.placement.share(BATCH)
        while self._queue and len(self._begun) < share:
            if self._begun and (self._queue[0].alone or self._begun[0].alone):
                break
            invocation = self._queue.pop(0)
            self._begun.append(invocation)
            self._touched.add(invocation.id)
            self._begin(invocation)

    def _begin(self, invocation: Invocation) -> None:
        work = invocation.work
        target = work.target
        if isinstance(work, CallWork):
            self._events.rpc(invocation.id, target.entrypoint, target.props, work.method, work.arguments)
            return
        request = work.request
        body = self._inbound(request.body)
        self._events.fetch(
            invocation.id, target.entrypoint, target.props, request.method, request.url, request.headers, body
        )

    def _budget(self) -> float:
        """CPU time for the next step: what its most generously provided invocation still has."""
        left = [self.invocations[i].cpu_left_ms for i in self._touched if i in self.invocations]
        if not left:
            left = [invocation.cpu_left_ms for invocation in self.invocations.values()]
        return max(MIN_BUDGET_MS, *left) if left else float(self._worker.limits.cpu_ms)

    def _run(self, events: Events, budget: float) -> Output:
        """The step itself, perhaps on another thread; the first one starts the isolate."""
        isolate = self._isolate
        if isolate is None:
            isolate = self._isolate = self._worker.start_isolate()
            events.init(self._worker.environment, self._worker.meta)
        return isolate.step(events, budget)

    def _stepped_elsewhere(self, future: asyncio.Future[Any]) -> None:
        error = None if future.cancelled() else future.exception()
        if future.cancelled():
            error = asyncio.CancelledError()
        self._stepped(error if error is not None else future.result())

    def _stepped(self, result: Output | BaseException) -> None:
        self.stepping = False
        touched, self._touched = self._touched, set()
        begun, self._begun = self._begun, []
        isolate = self._isolate
        used = isolate.last_step_ms if isolate is not None else 0.0
        shares = touched & self.invocations.keys() or set(self.invocations)
        self._worker.placement.record(used, len(shares))
        for number in shares:
            self.invocations[number].cpu_left_ms -= used / len(shares)
        if self.state is State.DEAD:
            if isolate is not None:
                isolate.end()
            return
        if isinstance(result, BaseException):
            self._died(result, shares, begun)
            return
        assert isolate is not None
        if self.state is State.COLD:
            isolate.move(Cause.INVOKE if self.invocations else Cause.READY)
            self.state = isolate.state
            self._worker.fleet.born(self, self._worker.cost)
        elif isolate.growth:
            self._worker.fleet.grown(self, self._worker.cost + isolate.growth)
        try:
            for effect in result.effects:
                self._perform(effect)
        except BadEffect as error:
            self._died(error, shares, [])
            return
        self._after_step(result.wake, shares)

    def _after_step(self, wake: float | None, shares: set[int]) -> None:
        for number in shares:
            invocation = self.invocations.get(number)
            if invocation is not None and invocation.cpu_left_ms <= 0:
                self._died(CpuExhausted("used up over several steps"), {number}, [])
                return
        if not self.invocations:
            self._rest()
        if self.state is State.DEAD:
            return
        if len(self._events) or self._queue:
            self._schedule()
        elif wake is not None and self._isolate is not None:
            delay = max(wake - self._isolate.now_ns() / 1e9, 0.0)
            self._wake = self._loop.call_later(delay, self._schedule) if delay else None
            if not delay:
                self._schedule()

    # effects ---------------------------------------------------------------------------------------------------------

    def _perform(self, effect: Effect) -> None:
        _PERFORM[type(effect)](self, effect)

    def _log(self, effect: Log) -> None:
        invocation = self.invocations.get(effect.invocation)
        message = effect.message
        if invocation is not None:
            if invocation.log_left <= 0:
                return
            invocation.log_left -= len(message) + 16
            if invocation.log_left <= 0:
                message = message[: max(invocation.log_left, 0)] + " [the log limit of this invocation is reached]"
        self._worker.log(effect.invocation, effect.level, effect.source, message)

    def _respond(self, effect: Respond) -> None:
        invocation = self._asked(effect.invocation, FetchWork)
        if invocation is None:
            self._discard(effect.body)
            return
        invocation.touched_outside = True
        invocation.succeed(Response(effect.status, effect.headers, self._outbound(effect.body)))

    def _return(self, effect: Return) -> None:
        invocation = self._asked(effect.invocation, CallWork)
        if invocation is not None:
            invocation.touched_outside = True
            invocation.succeed(effect.value)

    def _asked(self, number: int, kind: type) -> Invocation | None:
        """The invocation that this answers; None if its caller has gone. Answering twice breaks the protocol."""
        invocation = self.invocations.get(number)
        if invocation is None or not isinstance(invocation.work, kind):
            raise BadEffect("the worker answered something that it was not asked")
        if invocation.answered():
            if invocation.touched_outside and not invocation.answer.cancelled() and not invocation.answer.exception():
                raise BadEffect("the worker answered twice")
            return None
        return invocation

    def _fail(self, effect: Fail) -> None:
        invocation = self.invocations.get(effect.invocation)
        if invocation is None:
            raise BadEffect("the worker failed something that it was not asked")
        if effect.reason == "exception":
            if not invocation.answered():
                self._worker.log(effect.invocation, "error", "exception", effect.traceback or effect.message)
            if effect.type_name == "MemoryError":
                invocation.fail(ExceededMemory(f"the worker used more than {self._worker.limits.memory_mb} MB"))
                self.retire()
                return
            invocation.fail(WorkerException(effect.type_name, effect.message, effect.traceback))
            return
        invocation.fail(_FAILURES[effect.reason](effect.message))

    def _done(self, effect: Done) -> None:
        invocation = self.invocations.get(effect.invocation)
        if invocation is not None:
            invocation.fail(WorkerError("the handler ended without an answer"))
            self._forget(invocation)

    def _forget(self, invocation: Invocation) -> None:
        del self.invocations[invocation.id]
        if invocation.timer is not None:
            invocation.timer.cancel()
        for number in list(invocation.calls):
            self._abandon(Abandon(number))

    def _data(self, effect: Data) -> None:
        outflow = self._outflows.get(effect.stream)
        if outflow is not None:
            outflow.feed(effect.data, effect.end)
            if effect.end:
                del self._outflows[effect.stream]

    def _broken(self, effect: Broken) -> None:
        outflow = self._outflows.pop(effect.stream, None)
        if outflow is not None:
            outflow.fail(UpstreamError(effect.message))

    def _pull(self, effect: Pull) -> None:
        feed = self._feeds.get(effect.stream)
        if feed is not None:
            feed.pull(effect.credit)

    def _stop(self, effect: Stop) -> None:
        feed = self._feeds.get(effect.stream)
        if feed is not None:
            feed.stop()

    def _abandon(self, effect: Abandon) -> None:
        task = self._calls.pop(effect.call, None)
        if task is not None:
            task.cancel()

    def _crash(self, effect: Crash) -> None:
        self._worker.log(0, "critical", "pyworkerd", effect.message)
        raise BadEffect("the worker's isolate broke down")

    # calls -----------------------------------------------------------------------------------------------------------

    def _call(self, effect: Call) -> None:
        channels = self._worker.channels
        self._ask(effect, lambda: self._answer_call(effect, channels.call(effect.capability, effect.method, effect.arguments)))

    def _fetch(self, effect: Fetch) -> None:
        body = self._outbound(effect.body)
        request = Request(effect.method, effect.url, effect.headers, body)
        channels = self._worker.channels
        self._ask(effect, lambda: self._answer_fetch(effect, channels.fetch(effect.capability, request, effect.redirect)))

    def _ask(self, effect: Call | Fetch, perform: Callable[[], Any]) -> None:
        """Perform a call in a task of its own, if its invocation lives and may still ask."""
        invocation = self.invocations.get(effect.invocation)
        if effect.call in self._calls:
            raise BadEffect("the worker used the number of a call twice")
        if invocation is None:
            self._reject(effect.call, BadEffect("its invocation has ended"))
            return
        try:
            self._charge(invocation, effect)
        except PyworkerdError as error:
            self._reject(effect.call, error)
            return
        invocation.touched_outside = True
        invocation.calls.add(effect.call)
        self._calls[effect.call] = self._loop.create_task(perform(), context=invocation.context)

    def _charge(self, invocation: Invocation, effect: Call | Fetch) -> None:
        if len(self._calls) >= self._worker.limits.pending:
            raise ExceededSubrequests(f"more than {self._worker.limits.pending} calls wait at once")
        if self._worker.channels.external(effect.capability):
            if invocation.subrequests_left <= 0:
                raise ExceededSubrequests(
                    f"more than {self._worker.subrequests} subrequests in one invocation (limits.subrequests)"
                )
            invocation.subrequests_left -= 1

    async def _answer_call(self, effect: Call, performing: Any) -> None:
        try:
            value = await performing
            self._answered(effect)
            self._send(effect.invocation, lambda events: events.resolve_value(effect.call, value))
        except Exception as error:  # noqa: BLE001 - every failure is an answer
            self._answered(effect)
            self._reject(effect.call, error, effect.invocation)

    async def _answer_fetch(self, effect: Fetch, performing: Any) -> None:
        try:
            response, url = await performing
            self._answered(effect)
            if self.state is State.DEAD:
                await response.body.aclose()
                return
            body = self._inbound(response.body)
            self._send(
                effect.invocation,
                lambda events: events.resolve_response(effect.call, response.status, response.headers, body, url),
            )
        except Exception as error:  # noqa: BLE001 - every failure is an answer
            self._answered(effect)
            self._reject(effect.call, error, effect.invocation)

    def _answered(self, effect: Call | Fetch) -> None:
        self._calls.pop(effect.call, None)
        invocation = self.invocations.get(effect.invocation)
        if invocation is not None:
            invocation.calls.discard(effect.call)

    def _reject(self, call: int, error: Exception, invocation: int | None = None) -> None:
        code, message, type_name = self._worker.describe(error)
        self._send(invocation, lambda events: events.reject(call, code, message, type_name))

    # bodies ----------------------------------------------------------------------------------------------------------

    def _inbound(self, body: Body) -> bytes | StreamRef | None:
        """A body for the guest: in hand if it is small, otherwise fed as it reads."""
        if body.data is not None and len(body.data) <= WINDOW:
            return body.data or None
        number = self._next_stream
        self._next_stream += 1
        self._feeds[number] = Feed(self, number, body, self._fed)
        return StreamRef(number, body.length)

    def _fed(self, number: int) -> None:
        self._feeds.pop(number, None)

    def _outbound(self, body: BodyRef) -> Body:
        """A body that the guest sends, for whoever reads it."""
        if isinstance(body, HandedOn):
            feed = self._feeds.get(body.number)
            if feed is None:
                raise BadEffect("the worker handed on a body that it was not given")
            return feed.take()
        if not isinstance(body, StreamRef):
            return Body(body or b"")
        if body.number in self._outflows:
            raise BadEffect("the worker used the number of a stream twice")
        outflow = self._outflows[body.number] = Outflow(self, body.number, body.length)
        return outflow.body()

    def _discard(self, body: BodyRef) -> None:
        if isinstance(body, StreamRef):
            self.send_stop(body.number)

    # the end ---------------------------------------------------------------------------------------------------------

    def expire(self, invocation: Invocation) -> None:
        """It took longer than its wall time: answer, cancel, and end the isolate if that does not help."""
        if invocation.id not in self.invocations:
            return
        if invocation.answered() and invocation.timer is None:
            self._died(ExceededWallTime("an invocation would not end"), {invocation.id}, [])
            return
        invocation.fail(ExceededWallTime(f"the invocation took longer than {self._worker.wall_ms} ms (limits.wall_ms)"))
        invocation.timer = None
        self.cancel(invocation)
        self._loop.call_later(GRACE_S, self.expire, invocation)

    def retire(self) -> None:
        """Take nothing new; end when what it holds has ended."""
        if self.state not in (State.DEAD, State.COLD, State.DRAINING):
            self._move(Cause.DRAIN)
            self._worker.retired(self)

    def _rest(self) -> None:
        if self.state is State.DRAINING or self._worker.policy.fresh:
            self.end()
            return
        if self.state is State.BUSY:
            self._move(Cause.REST)
        self.idle_since = self._loop.time()
        self._worker.rested(self)

    def _died(self, error: BaseException, culprits: set[int], begun: list[Invocation]) -> None:
        """The isolate is dead. Say so to whoever caused it; run again whoever can be."""
        alone = len(culprits) <= 1
        answer = self._translate(error)
        self._worker.log(0, "error", "pyworkerd", f"an isolate ended: {answer}")
        again: list[Invocation] = []
        for invocation in list(self.invocations.values()):
            guilty = invocation.id in culprits and (alone or invocation.alone)
            if not guilty and not invocation.touched_outside and invocation.work.repeatable and not invocation.answered():
                invocation.alone = invocation.alone or invocation.id in culprits
                again.append(invocation)
            else:
                invocation.fail(answer if invocation.id in culprits else UpstreamError("its isolate ended"))
        del begun
        self.end(again)

    def _translate(self, error: BaseException) -> PyworkerdError:
        limits = self._worker.limits
        if isinstance(error, PyworkerdError):
            return error
        if isinstance(error, CpuExhausted):
            return ExceededCpu(f"the worker used more than {limits.cpu_ms} ms of CPU time (limits.cpu_ms)")
        if isinstance(error, MemoryExhausted):
            return ExceededMemory(f"the worker used more than {limits.memory_mb} MB (limits.memory_mb)")
        if isinstance(error, OutputTooLarge):
            return ExceededOutput(str(error))
        if isinstance(error, ProtocolError):
            return BadEffect(str(error))
        if isinstance(error, Refused):
            return WorkerException("Refused", f"the worker reached for the system ({error}); there is none inside")
        if isinstance(error, IsolateError):
            return WorkerException("Trap", str(error))
        self._worker.report(error)
        return WorkerError("the runtime failed while it ran the worker")

    def end(self, again: list[Invocation] | None = None) -> None:
        """Give everything back. Invocations in `again` go back to the worker's queue."""
        if self.state is State.DEAD:
            return
        self.state = State.DEAD
        if self._isolate is not None and not self.stepping:
            self._isolate.end()
        if self._wake is not None:
            self._wake.cancel()
        for invocation in self.invocations.values():
            if invocation not in (again or ()):
                invocation.fail(UpstreamError("its isolate ended"))
                if invocation.timer is not None:
                    invocation.timer.cancel()
        for task in list(self._calls.values()):
            task.cancel()
        for feed in list(self._feeds.values()):
            feed.stop()
        for outflow in self._outflows.values():
            outflow.fail(UpstreamError("the worker ended before its answer was complete"))
        self._calls.clear()
        self._outflows.clear()
        self.invocations.clear()
        self._worker.ended(self, again or [])


_PERFORM: Final[dict[type, Callable[[Live, Any], None]]] = {
    Abandon: Live._abandon,  # noqa: SLF001 - the class's own table
    Broken: Live._broken,  # noqa: SLF001
    Call: Live._call,  # noqa: SLF001
    Crash: Live._crash,  # noqa: SLF001
    Data: Live._data,  # noqa: SLF001
    Done: Live._done,  # noqa: SLF001
    Fail: Live._fail,  # noqa: SLF001
    Fetch: Live._fetch,  # noqa: SLF001
    Log: Live._log,  # noqa: SLF001
    Pull: Live._pull,  # noqa: SLF001
    Respond: Live._respond,  # noqa: SLF001
    Return: Live._return,  # noqa: SLF001
    Stop: Live._stop,  # noqa: SLF001
}
