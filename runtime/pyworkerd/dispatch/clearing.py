"""What has lost its purpose, a thousand calls of a dead isolate say, is ended some at a time: each wakes a task.

To cancel a task is done at once, and what that causes is done in the loop's next turn, by all of them together: a turn
of tens of milliseconds, at everybody's expense. So few go at once, and more wait here for turns like the steps of their
worker.
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

    __slots__ = ("_account", "_done", "_due", "_jobs", "_turns")

    def __init__(self, turns: Turns, account: Account[Callable[[], None]]) -> None:
        self._turns, self._account = turns, account
        self._jobs: deque[Callable[[], object]] = deque()
        self._done = 0
        """In this turn."""
        self._due = False
        """A turn is coming."""

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, job: Callable[[], object]) -> None:
        """Do this, now or in one of the next turns. It may no longer be needed by then.

        What it raises is a bug, which is told where it is done, and holds up nothing that comes after it.
        """
        self._jobs.append(job)
        if len(self._jobs) == 1:
            self._go_on()

    def _turn(self) -> None:
        self._due, self._done = False, 0
        self._go_on()

    def _go_on(self) -> None:
        try:
            while self._jobs and self._done < AT_ONCE:
                self._done += 1
                try:
                    self._jobs[0]()
                finally:
                    self._jobs.popleft()  # only now: what it adds comes after it
        finally:
            if self._done and not self._due:
                self._due = True
                self._turns.ready(self._account, self._turn)
