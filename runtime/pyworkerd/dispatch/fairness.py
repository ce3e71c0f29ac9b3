"""Whose turn it is: weighted fair queueing between workers. Pure.

A processor that workers share has one `FairQueue`, and each worker one `Account` with it. `take` gives the turn to the
account that has had least for its weight, `charge` says afterwards what the turn cost: nobody knows before.

This is start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996). Each account has a tag, what it has had divided
by its weight, and the queue a virtual time, the tag of whoever had the last turn. Who comes after a pause begins at the
virtual time: it goes before all that have had more than their part meanwhile, and cannot save up turns either.

What it promises, whatever it is given (each is a property test):

*   two accounts that both wait all the time differ, in what they have had for their weight, by less than one turn of
    each for every turn that is given out at once;
*   a turn is given out whenever somebody waits;
*   jobs of one account begin in the order in which they came.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush, heapreplace
from itertools import count
from typing import Final, Generic, NamedTuple, TypeVar

WEIGHT: Final = 100
"""What an account weighs unless somebody says otherwise (cgroup v2, cpu.weight)."""
LEAST_COST: Final = 1e-3
"""What a turn costs at least, so that turns that cost nothing come to an end."""

Job = TypeVar("Job")


class Account(Generic[Job]):
    """What one worker has had of a processor, and its jobs that wait for more."""

    __slots__ = ("behind", "jobs", "tag", "weight")

    def __init__(self, weight: int = WEIGHT) -> None:
        self.weight = weight / WEIGHT
        self.tag = 0.0
        self.behind = 0.0
        """How much more others had had for their weight when it came last."""
        self.jobs: deque[Job] = deque()
        """As long as there are any, it stands in the line."""


class Turn(NamedTuple, Generic[Job]):
    """This job of this account goes now."""

    account: Account[Job]
    job: Job


class FairQueue(Generic[Job]):
    """The line before one processor."""

    def __init__(self) -> None:
        self._only: Account[Job] | None = None
        """Who waits, if nobody else does: there is no line then."""
        self._line: list[tuple[float, int, Account[Job]]] = []
        self._order = count()
        self._now = 0.0

    def __bool__(self) -> bool:
        """Whether somebody waits."""
        return self._only is not None or bool(self._line)

    def put(self, account: Account[Job], job: Job) -> None:
        """A job waits for its turn, behind the others of its account."""
        jobs = account.jobs
        if not jobs:
            now = self._now
            account.behind = now - account.tag
            if account.behind > 0:
                account.tag = now
            if self._only is None and not self._line:
                self._only = account
            else:
                self._join(account)
        jobs.append(job)

    def _join(self, account: Account[Job]) -> None:
        if self._only is None and not self._line:
            self._only = account
            return
        if self._only is not None:
            heappush(self._line, (self._only.tag, next(self._order), self._only))
            self._only = None
        heappush(self._line, (account.tag, next(self._order), account))

    def take(self) -> Turn[Job] | None:
        """Whose turn it is; None if nobody waits."""
        account = self.next()
        return None if account is None else Turn(account, self.begin(account))

    def begin(self, account: Account[Job]) -> Job:
        """The turn of the account that `next` has just named."""
        if account is self._only:
            self._only = None
        else:
            heappop(self._line)
        self._now = max(self._now, account.tag)
        job = account.jobs.popleft()
        if account.jobs:
            self._join(account)
        return job

    def next(self) -> Account[Job] | None:
        """Whose turn would be next."""
        if self._only is not None:
            return self._only
        while self._line:
            tag, _, account = self._line[0]
            if tag >= account.tag:
                return account
            # it was charged while it waited
            heapreplace(self._line, (account.tag, next(self._order), account))
        return None

    def charge(self, account: Account[Job], cost: float) -> None:
        """A turn of this account is over, and cost so much: milliseconds, or whatever unit the caller keeps to."""
        account.tag += (cost if cost > LEAST_COST else LEAST_COST) / account.weight
