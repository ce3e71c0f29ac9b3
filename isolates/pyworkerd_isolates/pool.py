"""Which isolate takes which request: decided by a pure function, performed by its caller.

    for action in plan(worker, shared, now): ...

`plan` looks at one worker, and at what all workers share: a number of isolates and a budget of memory. It reads no
clock, starts nothing and ends nothing. What it promises, whatever it is given (each is a property test):

*   never more isolates than the worker's or the shared maximum, never more invocations on one than its concurrency;
*   every waiting request is assigned, refused, or still waiting: none is lost, none is given twice;
*   only idle isolates are evicted, the least recently used first, and only as many as are needed, never one that the
    same plan gives a request to;
*   the memory budget is kept, except that one isolate may always live: a server that can serve nobody serves nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from .lifecycle import TAKES_WORK, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Policy:
    """What one worker may have. Times in seconds."""

    isolates: int = 4
    concurrency: int = 100
    """Invocations that one isolate holds at once; 1 and `fresh` together give every request its own isolate."""
    queue: int = 1000
    queue_s: float = 5.0
    fresh: bool = False
    """Every request gets an isolate of its own (`reuse = "request"`)."""
    cost: int = 1 << 20
    """Bytes that one more isolate is expected to take."""
    idle_s: float = 300.0
    """An isolate that has been idle for so long is ended (Workers: minutes, unspecified; workerd objects: 10 s); at
    once if it is `fresh`."""


class Member(NamedTuple):
    """One live isolate of the worker."""

    id: int
    state: State
    invocations: int
    stepping: bool
    """Its code runs at this moment, on another thread."""
    idle_since: float


class Waiting(NamedTuple):
    """A request that no isolate has yet."""

    id: int
    since: float


class Idle(NamedTuple):
    """An idle isolate of any worker, as a candidate for eviction."""

    id: int
    idle_since: float
    cost: int


@dataclass(frozen=True, slots=True)
class Shared:
    """What all workers of a process share. `idle`, least recently used first, is only iterated when room is needed."""

    isolates: int
    maximum: int
    used: int
    budget: int
    idle: Iterable[Idle] = ()


class Assign(NamedTuple):
    """Give the request to this live isolate."""

    request: int
    isolate: int


class Start(NamedTuple):
    """Start an isolate and give it the request."""

    request: int


class Evict(NamedTuple):
    """End this idle isolate."""

    isolate: int


class Refuse(NamedTuple):
    """Answer the request with 503; it waited too long, or too many wait."""

    request: int


Action: TypeAlias = Assign | Start | Evict | Refuse


def plan(
    policy: Policy, members: Sequence[Member], waiting: Sequence[Waiting], shared: Shared, now: float
) -> list[Action]:
    """What to do now, in this order. `waiting` is in order of arrival; what gets no action goes on waiting."""
    actions: list[Action] = []
    free = {member.id: member for member in members if _has_room(member, policy)}
    load = {member.id: member.invocations for member in members}
    room = _Room(policy, len(members), shared, free)
    remaining: list[Waiting] = []
    for request in waiting:
        if now - request.since >= policy.queue_s:
            actions.append(Refuse(request.id))
            continue
        choice = _choose(free, load)
        if choice is not None and not (choice.stepping and room.can_start()):
            load[choice.id] += 1
            if load[choice.id] >= policy.concurrency:
                del free[choice.id]
            room.keep(choice.id)
            actions.append(Assign(request.id, choice.id))
        elif (evictions := room.start()) is not None:
            actions.extend(Evict(victim) for victim in evictions)
            actions.append(Start(request.id))
        else:
            remaining.append(request)
    actions.extend(Refuse(request.id) for request in remaining[policy.queue :])
    actions.extend(
        Evict(member.id)
        for member in members
        if member.state is State.IDLE
        and (policy.fresh or now - member.idle_since >= policy.idle_s)
        and not room.spoken_for(member.id)
    )
    return actions


def starts_at_once(policy: Policy, members: int, shared: Shared) -> bool:
    """Whether `plan` would start an isolate for the only request that waits, and do nothing else, where no isolate is
    used twice. `members` is how many the worker has, none of them idle.
    """
    return policy.fresh and policy.queue_s > 0 and _Room(policy, members, shared, {}).can_start()


def _has_room(member: Member, policy: Policy) -> bool:
    return not policy.fresh and member.state in TAKES_WORK and member.invocations < policy.concurrency


def _choose(free: dict[int, Member], load: dict[int, int]) -> Member | None:
    """The isolate that will answer soonest: one that is not running code just now, then the least loaded."""
    if not free:
        return None
    if len(free) == 1:
        return next(iter(free.values()))
    return min(free.values(), key=lambda member: (member.stepping, load[member.id], member.id))


class _Room:
    """Whether one more isolate fits, and what has to go for it."""

    def __init__(self, policy: Policy, members: int, shared: Shared, free: Mapping[int, Member]) -> None:
        self._policy = policy
        self._members = members
        self._shared = shared
        self._isolates, self._used = shared.isolates, shared.used
        self._free = free
        self._victims: Iterator[Idle] | None = None
        self._gone: set[int] = set()
        self._kept: set[int] = set()

    def keep(self, member: int) -> None:
        """This isolate has been given a request: it is idle no more, whatever the list says."""
        self._kept.add(member)

    def spoken_for(self, member: int) -> bool:
        """Whether it has been given a request or is to go already."""
        return member in self._kept or member in self._gone

    def can_start(self) -> bool:
        """Whether one more fits without evicting anything."""
        return self._members < self._policy.isolates and self._fits(self._isolates, self._used)

    def _fits(self, isolates: int, used: int) -> bool:
        if isolates <= 0:
            return True
        return isolates < self._shared.maximum and used + self._policy.cost <= self._shared.budget

    def start(self) -> list[int] | None:
        """Take the room for one isolate. Returns the isolates to evict first, or None if it does not fit."""
        if self._members >= self._policy.isolates:
            return None
        evicted: list[Idle] = []
        isolates, used = self._isolates, self._used
        if self._victims is None:
            self._victims = iter(self._shared.idle)
        while not self._fits(isolates, used):
            victim = next(
                (v for v in self._victims if v.id not in self._kept and v.id not in self._free), None
            )
            if victim is None:
                self._victims = iter(evicted)
                return None
            evicted.append(victim)
            isolates, used = isolates - 1, used - victim.cost
        self._gone.update(victim.id for victim in evicted)
        self._members += 1
        self._isolates, self._used = isolates + 1, used + self._policy.cost
        return [victim.id for victim in evicted]
