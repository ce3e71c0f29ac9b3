"""Stubs of one isolate: what it lends to others, and what others have lent to it; and the streams in values.

A guest lends a function or an object by a number of its own; whoever is given it holds a stub, by a number of the
host's, which means nothing in any other isolate. What is called through a stub becomes an invocation of the isolate
that lends, and of no other.

Rule 1: what is lent belongs to the invocation that lent it, and ends with it; guests see to it that what a method
        returned keeps it from ending. A stub belongs to the invocation that was given it, and ends with it.
Rule 2: once an invocation has answered, what it lends lives for `limits.wall_ms` after its last use.
Rule 3: the way through a stub is a `Channels` too: there is no other for a guest that names one.
Rule 4: a stream is a body like that of a request (`bodies`): it belongs to the invocation that sends it, and at the
        other end to the one that it came to. One that is handed on unread is not the middle one's any more.
"""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd_isolates.protocol import WINDOW, Events, Held, Reference, Shared, StreamRef

from pyworkerd.bindings.service.capability import deeper
from pyworkerd.errors import BadEffect, ExceededStubs, Overloaded
from pyworkerd.observe.scope import begin, scope
from pyworkerd.services.stubs import Carried, Flow, gone, release

from .asked import ask_lent
from .invocation import LentWork
from .streams import Feed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextvars import Context

    from pyworkerd_isolates.protocol import Beside, Drop, Named

    from pyworkerd.messages import Body, Request, Response
    from pyworkerd.observe.scope import Scope
    from pyworkerd.services.base import CallReply, Pending
    from pyworkerd.services.stubs import Loan

    from .channels import Capability
    from .invocation import Invocation
    from .live import Live
    from .worker import Worker

MOST: Final = 1000
"""That one isolate lends at once, and as many that it holds; so many calls may run in it through stubs beside what it
holds otherwise. As many as calls may wait (`Limits.pending`)."""
REFUSED: Final = 1000
"""What one step would have lent and is refused: guests lend no more at once, and to tell them of each is work."""
MOST_OF_ONE: Final = 250
"""The same of one invocation: it does not take the places of all others."""


class Lent:
    """Something that an isolate lends. Implements `services.stubs.Loan`."""

    __slots__ = ("_holders", "_live", "_worker", "number", "owner")

    def __init__(self, live: Live, worker: Worker, number: int, owner: Invocation) -> None:
        self._live: Live | None = live
        self._worker = worker
        self.number, self.owner = number, owner
        self._holders = 0

    def __repr__(self) -> str:
        return f"<loan {self.number} of {self._live!r}: {self._holders} holders>"

    def take(self) -> None:
        """See `Loan`."""
        self._holders += 1

    def give_back(self) -> None:
        """See `Loan`."""
        self._holders -= 1
        if not self._holders and self._live is not None:
            self._live.stubs.call_in(self)

    def end(self) -> None:
        """Nobody answers for it any more."""
        self._live = None
        self.owner.let_go(self)

    def ask(
        self, method: str, reads: bool, arguments: bytes, span: Scope, context: Context, reply: CallReply
    ) -> Pending:
        """See `Loan`."""
        live = self._live
        if live is None:
            raise gone()
        live.stubs.used(self.owner)
        work = LentWork(method, arguments, self.owner.work.target, loan=self.number, reads=reads)
        return ask_lent(self._worker, live, work, span, context, reply)


class _Stub(NamedTuple):
    number: int
    loan: Loan
    holder: Invocation


class Stubs:
    """See the module. Implements `channels.Channels` for what `Held` names."""

    __slots__ = ("_ended", "_held", "_lent", "_live", "_numbers", "_refused", "_worker", "stale")

    def __init__(self, live: Live, worker: Worker) -> None:
        self._live, self._worker = live, worker
        self._lent: dict[int, Lent] = {}
        self._held: dict[int, _Stub] = {}
        self._numbers = count(1)
        self._refused = 0
        """Loans that the last step would have made, and that were refused."""
        self._ended: set[int] = set()
        """Stubs that ended with invocations of the last step: it may have been handed one after that, and let go."""
        self.stale = False
        """Some were refused or have ended since the last step: the next one begins with `renew`."""

    def renew(self) -> None:
        """A step begins."""
        self._refused, self.stale = 0, False
        self._ended.clear()

    # lending ---------------------------------------------------------------------------------------------------------

    def carry(self, value: bytes, owner: Invocation) -> bytes:
        """A value that the guest sends, with the loans that it names. Raises `ExceededStubs`, after which it is to be
        refused, and `BadEffect` for what the guest does not hold, or lends already."""
        if type(value) is not Shared:
            return value
        lends = sum(type(each) is Reference and each.lends for each in value.stubs)
        own = sum(type(held) is Lent for held in owner.held or ())
        streams = sum(type(each) is StreamRef for each in value.stubs)
        if not self._live.room.has(streams * WINDOW):
            most = self._live.room.limit // WINDOW
            raise ExceededStubs(
                f"an isolate sends {most} streams at once, or fewer while arguments and bodies wait"
            )
        if lends and (len(self._lent) + lends > MOST or own + lends > MOST_OF_ONE):
            raise ExceededStubs(
                f"an isolate lends {MOST} functions and objects at once, an invocation {MOST_OF_ONE}: dispose of stubs "
                "that are not needed any more"
            )
        return Carried.of(value, [self._loan(reference, owner) for reference in value.stubs])

    def _loan(self, reference: Beside, owner: Invocation) -> Loan:
        if not isinstance(reference, Reference):
            return Flow(self._live.bodies.outbound(reference, owner, upload=True), self._close)
        if not reference.lends:
            return self._found(reference.number).loan
        if reference.number in self._lent:
            raise BadEffect("the worker lent something by a number that it had used already")
        loan = self._lent[reference.number] = Lent(self._live, self._worker, reference.number, owner)
        owner.hold(loan)
        return loan

    def _close(self, body: Body) -> None:
        self._live.spawn(body.aclose())

    def refuse(self, value: bytes) -> None:
        """A value that the guest sends goes nowhere: it gets back what it would have lent. Raises `BadEffect` where
        that is more than `REFUSED` in one step."""
        if type(value) is Shared:
            lends = [each for each in value.stubs if isinstance(each, Reference) and each.lends]
            bodies = [each for each in value.stubs if not isinstance(each, Reference)]
            back = {each.number for each in lends if each.number not in self._lent}
            self._refused += len(back) + len(bodies)
            self.stale = True
            if self._refused > REFUSED:
                raise BadEffect(
                    f"the worker lent more than {REFUSED} functions, objects and streams in calls that are refused"
                )
            for number in back:
                self._live.send(None, partial(Events.released, loan=number))
            for body in bodies:
                self._live.bodies.discard(body)
        release(value)

    def call_in(self, loan: Lent) -> None:
        """The last holder of a loan has let go of it, or is not to hold it any more: the guest has it back."""
        del self._lent[loan.number]
        loan.end()
        self._live.send(loan.owner.id, partial(Events.released, loan=loan.number))

    def used(self, owner: Invocation) -> None:
        """Something that an invocation lends is used: if it has answered, it has its wall time anew."""
        counted = owner.timer is not None or owner.expiry is not None
        if owner.answer is None and counted and not (owner.winding_up or owner.resting):
            owner.stop_clock()
            owner.timer = self._live.loop.call_later(owner.budget.wall_ms / 1000, self._live.expire, owner)

    def enter(self, invocation: Invocation) -> None:
        """Something that the isolate lends is called. Raises `Overloaded`."""
        live = self._live
        if live.load >= self._worker.policy.concurrency + MOST:
            raise Overloaded(f"more than {MOST} calls run in the isolate of this stub's object")
        invocation.timer = live.loop.call_later(invocation.budget.wall_ms / 1000, live.expire, invocation)
        self._worker.fleet.works(live)
        live.take(invocation)

    # holding ---------------------------------------------------------------------------------------------------------

    def receive(self, value: bytes, holder: Invocation) -> Sequence[int | StreamRef] | None:
        """The numbers by which an invocation holds the stubs of a value from now on, and the bodies that stream into
        it; None if there is no room."""
        if type(value) is not Carried:
            return ()
        flows = sum(type(loan) is Flow for loan in value.stubs)
        if not (
            self._has_room(holder, _Stub, len(self._held), len(value.stubs) - flows)
            and self._has_room(holder, Feed, self._live.bodies.arriving, flows)
        ):
            return None
        holder.touched_outside |= flows > 0  # what it reads of them, nobody can read again
        return [self._hold(loan, holder) for loan in value.stubs]

    def _has_room(self, holder: Invocation, kind: type, held: int, more: int) -> bool:
        own = sum(type(each) is kind for each in holder.held or ()) if more else 0
        return not more or (held + more <= MOST and own + more <= MOST_OF_ONE)

    def _hold(self, loan: Loan, holder: Invocation) -> int | StreamRef:
        if type(loan) is Flow:
            return self._live.bodies.stream(loan.claim(), holder)
        stub = _Stub(next(self._numbers), loan, holder)
        self._held[stub.number] = stub
        holder.hold(stub)
        loan.take()
        return stub.number

    def _found(self, number: int) -> _Stub:
        stub = self._held.get(number)
        if stub is None:
            raise BadEffect("the worker named a stub that it does not hold")
        return stub

    def drop(self, effect: Drop) -> None:
        """The guest lets go of one. Raises `BadEffect`."""
        if effect.stub in self._ended:
            self._ended.discard(effect.stub)
            return
        self._let_go(self._found(effect.stub))

    def _let_go(self, stub: _Stub) -> None:
        del self._held[stub.number]
        stub.holder.let_go(stub)
        stub.loan.give_back()

    # the end ---------------------------------------------------------------------------------------------------------

    def break_off(self, owner: Invocation) -> None:
        """An invocation is to end: it lends nothing any more."""
        for held in tuple(owner.held or ()):
            if type(held) is Lent:
                self.call_in(held)

    def release(self, owner: Invocation) -> None:
        """An invocation has ended, and with it what it lent and what it held."""
        held = tuple(owner.held or ())
        for each in held:  # first: what it was handed back of this, it holds as well
            if type(each) is Lent:
                del self._lent[each.number]
                each.end()
        for each in held:
            if type(each) is _Stub:
                self._ended.add(each.number)
                self.stale = True
                self._let_go(each)

    def end(self) -> None:
        """The isolate is dead."""
        lent, self._lent = self._lent, {}
        for loan in lent.values():
            loan.end()
        for stub in tuple(self._held.values()):
            self._live.clear(partial(self._let_go, stub))

    # through a stub --------------------------------------------------------------------------------------------------

    def find(self, named: Named) -> Capability:
        """See `Channels`."""
        assert isinstance(named, Held)
        return _Way(self._found(named.stub).loan, named.reads, self._worker)

    def computing(self, named: Named) -> None:
        """See `Channels`."""


class _Way:
    """What a stub leads to, as a capability: what is called through it counts as a call within the process."""

    __slots__ = ("_loan", "_reads", "_worker")

    external, foreign = False, True

    def __init__(self, loan: Loan, reads: bool, worker: Worker) -> None:
        self._loan, self._reads, self._worker = loan, reads, worker

    def ask(self, method: str, arguments: bytes, context: Context, reply: CallReply) -> Pending:
        """See `channels.Asked`. One service deeper, as a call of any other is."""
        span = (context.get(scope) or begin()[0]).inner(self._worker.name)
        return self._loan.ask(method, self._reads, arguments, span, deeper(context, span), reply)

    async def call(self, method: str, arguments: bytes) -> bytes:  # noqa: ARG002
        """Whatever is held can be asked without a task."""
        raise BadEffect("the worker named a stub where none can be used")

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:  # noqa: ARG002
        """Nothing that is lent answers requests."""
        raise BadEffect("the worker named a stub where none can be used")
