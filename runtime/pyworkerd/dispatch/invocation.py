"""One run of a handler, as the host sees it: what was asked, what may still be used, who waits for the answer."""

from __future__ import annotations

from contextvars import Context
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from pyworkerd.errors import ClientError
    from pyworkerd.messages import Request, Response
    from pyworkerd.observe.scope import Scope
    from pyworkerd.services.base import Surroundings, Target

    from .asked import Asking
    from .budget import Budget
    from .callers import Callers
    from .expiry import Expiry
    from .outcomes import Watched
    from .spans import InvocationSpan
    from .tails import Trace


# Not frozen, although nothing of them changes: a frozen dataclass takes thrice as long to make.


@dataclass(slots=True)
class FetchWork:
    """A request to answer."""

    request: Request
    target: Target

    @property
    def repeatable(self) -> bool:
        """Whether it can be given to another isolate from the start: its body must still be in hand."""
        return self.request.body.data is not None


@dataclass(slots=True)
class CallWork:
    """A method to call."""

    method: str
    arguments: bytes
    target: Target
    repeatable: bool = True


@dataclass(slots=True)
class LentWork(CallWork):
    """Something to call that one isolate lends, or a property of it to read: no other isolate can do it."""

    loan: int = 0
    reads: bool = False


@dataclass(slots=True)
class HandlerWork(CallWork):
    """A handler to run that no client waits for: `scheduled`, say. `method` is its name, `arguments` the event."""

    about: Mapping[str, object] = field(default_factory=dict)
    """What tail workers are told of an event that is too large to be read for that."""


Work = FetchWork | CallWork


class Invocation:
    """The host's record of one invocation, from the queue to `done`.

    What most invocations leave as it is stands on the class: that many fewer attributes to set for each.
    """

    begun = False
    """The guest has heard of it."""
    alone = False
    """It gets an isolate to itself: a step that it was part of has trapped before."""
    touched_outside = False
    """An effect of it has left: it must not be run again."""
    ran_again = False
    """It was begun anew in another isolate, which happens once."""
    winding_up = False
    """It passed a limit and was cancelled: the next time, its isolate is ended."""
    failed = False
    """The answer was an error."""
    done = False
    """The guest has nothing left of it, or never had."""
    isolate: int | None = None
    """Number of the isolate that has it."""
    timer: asyncio.TimerHandle | None = None
    """When its time is up, if that is its own."""
    expiry: Expiry | None = None
    """Who ends it when its time is up, if it has as long as others that began with it."""
    client_error: ClientError | None = None
    """What broke the body that it reads. Where its handler fails after that, this is the reason."""
    resting = False
    """It has answered with a WebSocket that is open, and lives as long as that."""
    inside = False
    """Another guest has the other end of that."""
    renewals = 0
    """Of the request, when its subrequests were renewed."""
    renewed = 0.0
    """Loop time at which it got its budgets, if it rests."""
    log_renewed = 0.0
    held: set[object] | None = None
    """Calls and bodies that end with it at the latest."""
    forsake: Callable[[], object] | None = None
    """Tells whoever works for it elsewhere that its caller has gone."""
    asked_since = 0.0
    """Loop time since which other processes are asked, one after the other, if any is."""
    place: Callers | None = None
    """Where it has a place: in the queue, or in an isolate."""
    trace: Trace | Watched | InvocationSpan | None = None
    """What is gathered of it for tail workers, for its trace, and for whoever follows the server."""

    def __init__(  # noqa: PLR0913, PLR0917 - all that is known of one, for each request
        self,
        number: int,
        work: Work,
        answer: asyncio.Future[Response | bytes] | Asking | None,
        since: float,
        budget: Budget,
        subrequests: int,
        log_bytes: int,
        context: Context | Surroundings,
        work_for: Scope,
    ) -> None:
        self.id, self.work = number, work
        self.answer = answer
        """None once it was given: a response is its reader's alone, so that it can be seen to be forgotten, and an
        error holds with its traceback whatever the caller holds."""
        self.since = since
        """Loop time since which it waits for an isolate."""
        self.budget = budget
        self.subrequests_left, self.log_left = subrequests, log_bytes
        if isinstance(context, Context):
            self.context = context
        else:
            self._surroundings = context
        self.scope = work_for
        """The request that it works for."""
        self.cpu_left_ms = self.shared_left_ms = budget.cpu_ms
        """What it has not used: in steps of its own, and, by a guess, of steps that it shared (see `sharing`)."""

    @cached_property
    def context(self) -> Context:
        """The context of its caller, made by whoever asks first: what is done on its behalf happens in it."""
        return self._surroundings()

    @property
    def size(self) -> int:
        """Bytes of what it was given, as far as they are in hand."""
        work = self.work
        return len(work.arguments if isinstance(work, CallWork) else work.request.body.data or b"")

    @property
    def can_run_again(self) -> bool:
        """Whether it can be given to another isolate, and nobody would ever know."""
        if type(self.work) is LentWork:
            return False
        if not self.begun:
            return not self.answered()
        return not (self.answered() or self.touched_outside or self.ran_again or not self.work.repeatable)

    def hold(self, thing: object) -> None:
        """Something of it has begun."""
        if self.held is None:
            self.held = set()
        self.held.add(thing)

    def let_go(self, thing: object) -> None:
        """It has ended."""
        if self.held is not None:
            self.held.discard(thing)

    def again(self, now: float) -> None:
        """Back to the queue: its isolate died, and nothing of it has left. It begins anew, with all of its time."""
        self.since, self.isolate, self.held = now, None, None
        self.cpu_left_ms = self.shared_left_ms = self.budget.cpu_ms
        self.ran_again, self.begun = self.ran_again or self.begun, False

    def move(self, place: Callers | None) -> None:
        """It has a place elsewhere now, or none any more."""
        if self.place is not None:
            self.place.give_back(self.scope.caller)
        self.place = place
        if place is not None:
            place.take(self.scope.caller)

    def finish(self) -> None:
        """Nothing of it is left."""
        self.done = True
        if (place := self.place) is not None:
            self.place = None
            place.give_back(self.scope.caller)
        if self.trace is not None:
            trace, self.trace = self.trace, None
            trace.end(self)
        if self.expiry is not None or self.timer is not None:
            self.stop_clock()

    def stop_clock(self) -> None:
        """Its time is not counted any more, or anew from now on."""
        if self.expiry is not None:
            self.expiry.forget(self)
            self.expiry = None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def answered(self) -> bool:
        """Whether nobody waits for the answer any more: it was given, or its caller has gone."""
        return self.answer is None or self.answer.done()

    def succeeded(self) -> bool:
        """Whether the worker itself gave the answer."""
        return self.answer is None and not self.failed

    def succeed(self, value: Response | bytes) -> None:
        """Give the answer, if it is still wanted."""
        if self.answer is not None and not self.answer.done():
            answer, self.answer = self.answer, None
            if self.trace is not None:
                self.trace.answered(None if isinstance(value, bytes) else value.status)
            answer.set_result(value)

    def fail(self, error: Exception) -> None:
        """Answer with an error, if an answer is still wanted."""
        if self.answer is not None and not self.answer.done():
            answer, self.answer, self.failed = self.answer, None, True
            if self.trace is not None:
                self.trace.failed(error)
            answer.set_exception(error)
