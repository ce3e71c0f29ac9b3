"""What has lost its purpose, a thousand calls of a dead isolate say, is ended some at a time: each wakes a task.

To cancel a task is done at once, and what that causes is done in the loop's next turn, by all of them together: a turn
of tens of milliseconds, at everybody's expense. So they wait here for turns like the steps of their worker.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from .fairness import Account
    from .turns import Turns

AT_ONCE: Final = 16
"""In one turn. A cancelled call to another worker takes some 30 microseconds to wind up."""


class Clearing:
    """Of one worker. Everything that is added is done, in order."""

    __slots__ = ("_account", "_jobs", "_turns")

    def __init__(self, turns: Turns, account: Account[Callable[[], None]]) -> None:
        self._turns, self._account = turns, account
        self._jobs: deque[Callable[[], object]] = deque()

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, job: Callable[[], object]) -> None:
        """Do this in one of the next turns. It raises nothing, and may no longer be needed by then."""
        self._jobs.append(job)
        if len(self._jobs) == 1:
            self._turns.ready(self._account, self._some)

    def _some(self) -> None:
        for _ in range(min(AT_ONCE, len(self._jobs))):
            self._jobs[0]()
            self._jobs.popleft()  # only now: what it adds must find that a turn is coming
        if self._jobs:
            self._turns.ready(self._account, self._some)
