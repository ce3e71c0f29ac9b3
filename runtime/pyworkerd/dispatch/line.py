"""The line before a worker's isolates: who waits for one, and who of them has to let others go first."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from .callers import OUTSIDE, Callers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyworkerd_isolates.pool import Policy

    from .invocation import Invocation


class Line:
    """Invocations in the order in which they came, and the places that they have here or in an isolate."""

    def __init__(self, policy: Policy) -> None:
        self.waiting: OrderedDict[int, Invocation] = OrderedDict()
        """By number. Changed here alone."""
        self._most = policy.queue
        self._patience_s = policy.queue_s
        self._places = Callers(policy.concurrency * policy.isolates)
        """Of isolates."""
        self._queue = Callers(policy.queue)
        self._held_back = 0
        """How many of them must not begin yet, since their caller holds as much as it leaves to others."""
        self._some_alone = False

    def fit(self, policy: Policy) -> None:
        """Another policy holds from now on. Nobody may have a place yet."""
        self._places = Callers(policy.concurrency * policy.isolates)

    def __len__(self) -> int:
        return len(self.waiting)

    def __contains__(self, invocation: Invocation) -> bool:
        return invocation.id in self.waiting

    def __iter__(self) -> Iterator[Invocation]:
        return iter(self.waiting.values())

    def __getitem__(self, number: int) -> Invocation:
        return self.waiting[number]

    def eager(self) -> bool:
        """Whether somebody waits who could begin if there were room."""
        return len(self.waiting) > self._held_back

    def must_wait(self, invocation: Invocation) -> bool:
        """Whether its caller holds as many isolates' places as it leaves to others."""
        return not self._places.open_to(invocation.scope.caller)

    def put(self, invocation: Invocation) -> bool:
        """At the end. Returns whether it may wait there: not if its caller holds as much of the line as it leaves."""
        may_wait = self._queue.open_to(invocation.scope.caller)
        self._enter(invocation)
        return may_wait

    def put_back(self, invocation: Invocation) -> None:
        """At the front: it was begun before."""
        self._enter(invocation)
        self.waiting.move_to_end(invocation.id, last=False)
        self._some_alone = self._some_alone or invocation.alone

    def _enter(self, invocation: Invocation) -> None:
        self.waiting[invocation.id] = invocation
        invocation.move(self._queue)

    def hold_back(self) -> None:
        """The last one that came has to let others go first."""
        self._held_back += 1

    def overflows(self) -> bool:
        """Whether more wait than may."""
        return len(self.waiting) > self._most

    def begin(self, invocation: Invocation) -> None:
        """It gets a place in an isolate, whether it waited or not."""
        if invocation.place is not None:
            self.waiting.pop(invocation.id, None)
            invocation.move(self._places)
        else:
            invocation.place = self._places
            self._places.take(invocation.scope.caller)

    def leave(self, invocation: Invocation) -> None:
        """It does not wait any more."""
        del self.waiting[invocation.id]

    def alone(self) -> list[Invocation]:
        """Those that want an isolate to themselves."""
        found = [i for i in self if i.alone] if self._some_alone else []
        self._some_alone = bool(found)
        return found

    def candidates(self, now: float) -> tuple[list[Invocation], list[Invocation]]:
        """The others, without calls of workers that hold as many places as they leave; and those of such calls that
        have waited for too long.
        """
        waiting = [i for i in self if not i.alone]
        self._held_back = 0
        if all(invocation.scope.caller == OUTSIDE for invocation in waiting):
            return waiting, []
        places = self._places.copy()
        allowed: list[Invocation] = []
        late: list[Invocation] = []
        for invocation in waiting:
            if places.open_to(invocation.scope.caller):
                places.take(invocation.scope.caller)
                allowed.append(invocation)
            elif now - invocation.since >= self._patience_s:
                late.append(invocation)
            else:
                self._held_back += 1
        return allowed, late
