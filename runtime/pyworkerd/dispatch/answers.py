"""What an isolate's handlers answer and log: the effects that end an invocation's wait, or say something of it.

Rule: an invocation is answered once. What answers one that was never asked, or twice, breaks the protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyworkerd_isolates.protocol import Crash, Fail, Log, Replied, Respond, Result, Return, Shared, Upgrade

from pyworkerd.errors import (
    ERROR_HEADER,
    BadEffect,
    BrokenStub,
    ExceededStubs,
    NoHandler,
    NoSuchEntrypoint,
    NoSuchMethod,
    Overloaded,
    WorkerException,
)
from pyworkerd.messages import Response
from pyworkerd.services.stubs import gone

from .failures import too_much_memory
from .invocation import CallWork, FetchWork, HandlerWork
from .log_limit import admit

if TYPE_CHECKING:
    from pyworkerd_isolates.errors import HeapError

    from pyworkerd.messages import Headers

    from .invocation import Invocation
    from .live import Live
    from .worker import Worker

_EXCEPTION: Final = "exception"
"""The source of entries about exceptions, which tail workers get as such."""
_FAILURES: Final = {
    "broken_stub": BrokenStub, "no_handler": NoHandler, "no_entrypoint": NoSuchEntrypoint, "no_method": NoSuchMethod,
}  # fmt: skip


class Answers:
    """Those of one isolate."""

    __slots__ = ("_live", "_worker", "stray_log_left")

    def __init__(self, live: Live, worker: Worker) -> None:
        self._live, self._worker = live, worker
        self.stray_log_left = worker.log_bytes
        """Bytes that may still be logged of no invocation, anew with each that begins."""

    def log(self, effect: Log) -> None:
        """Something to log, of an invocation or of none."""
        invocation = self._live.invocations.get(effect.invocation)
        before = self.stray_log_left if invocation is None else invocation.log_left
        message, left = admit(effect.message, before)
        if message is None:
            return
        if left <= 0:
            self._worker.counters.limit("log_kb")
        if invocation is None:
            self.stray_log_left = left
        else:
            invocation.log_left = left
            if invocation.trace is not None and effect.source != _EXCEPTION:
                invocation.trace.log(effect.level, message)
        # Its number as the guest wrote it counts only if it is one of this isolate's own.
        number, work_for = (invocation.id, invocation.scope) if invocation is not None else (0, None)
        self._worker.log(number, effect.level, effect.source, message, work_for)

    def upgrade(self, effect: Upgrade) -> None:
        """Answered with a WebSocket: from now on the invocation lives as long as that, and rests meanwhile."""
        invocation = _asked(self._live, effect.invocation, FetchWork)
        if invocation is None:
            self._live.sockets.discard(effect.socket, effect.invocation)
            return
        invocation.touched_outside = True
        headers = _own(effect.headers)
        self._live.sockets.answer(invocation, headers, effect.socket)
        self._worker.freed()

    def failed(self, effect: Fail) -> None:
        """The handler did not answer."""
        invocation = self._live.invocations.get(effect.invocation)
        if invocation is None:
            raise BadEffect("the worker failed something that it was not asked")
        if effect.reason != "exception":
            invocation.fail(_FAILURES[effect.reason](effect.message) if effect.message else gone())
            return
        if not invocation.answered():
            level = "error" if invocation.client_error is None else "info"
            self.log(Log(effect.invocation, level, _EXCEPTION, effect.traceback or effect.message))
        if invocation.trace is not None:
            invocation.trace.exception(effect.type_name, effect.message, effect.traceback or "")
        if effect.type_name == "MemoryError":
            reached = too_much_memory(self._worker.limits)
            self._worker.counters.limit(reached.code)
            invocation.fail(reached)
            self._live.retire()
            return
        invocation.fail(
            invocation.client_error or WorkerException(effect.type_name, effect.message, effect.traceback)
        )

    def turn_away(self, invocation: Invocation, why: str) -> None:
        """One that has not begun will not."""
        self._worker.counters.limit(Overloaded.code)
        invocation.fail(Overloaded(why))
        self._live.cancel(invocation)

    def lost(self, error: HeapError) -> None:
        """What it had in memory is gone."""
        self._worker.counters.lost += 1
        self._worker.log(0, "error", "pyworkerd", f"what the object had in memory is lost: {error}")

    def crash(self, effect: Crash) -> None:
        """The guest's own machinery failed."""
        self.log(Log(0, "critical", "pyworkerd", effect.message))
        raise BadEffect("the worker's isolate broke down")


def respond(live: Live, effect: Respond) -> None:
    """The response to a request."""
    invocation = _asked(live, effect.invocation, FetchWork)
    if invocation is None:
        live.bodies.discard(effect.body)
        return
    invocation.touched_outside = True
    invocation.succeed(
        Response(effect.status, _own(effect.headers), live.bodies.outbound(effect.body, invocation))
    )


def replied(live: Live, effect: Replied) -> None:
    """The whole of a response, and nothing of the invocation is left."""
    respond(live, effect)
    live.done(effect)


def returned(live: Live, effect: Return) -> None:
    """What a method returned."""
    invocation, value = _asked(live, effect.invocation, CallWork), effect.value
    if invocation is None:
        live.stubs.refuse(value)
        return
    invocation.touched_outside = True
    if type(value) is Shared:
        if type(invocation.work) is HandlerWork:
            raise BadEffect("the worker lent something to nobody")
        try:
            value = live.stubs.carry(value, invocation)
        except ExceededStubs as error:
            live.stubs.refuse(value)
            invocation.fail(error)
            return
    invocation.succeed(value)


def result(live: Live, effect: Result) -> None:
    """What a method returned, and nothing of the invocation is left."""
    returned(live, effect)
    live.done(effect)


def _asked(live: Live, number: int, kind: type) -> Invocation | None:
    """The invocation that this answers; None if its caller has gone. Answering twice breaks the protocol."""
    invocation = live.invocations.get(number)
    if invocation is None or not isinstance(invocation.work, kind):
        raise BadEffect("the worker answered something that it was not asked")
    answer = invocation.answer
    if answer is None and not invocation.failed:
        raise BadEffect("the worker answered twice")
    return None if answer is None or answer.done() else invocation


def _own(headers: Headers) -> Headers:
    """Without the header by which only the runtime says what failed."""
    for name, _ in headers:
        if name == ERROR_HEADER:
            return tuple([pair for pair in headers if pair[0] != ERROR_HEADER])
    return headers
