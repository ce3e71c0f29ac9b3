"""Places of a worker, in its isolates or in its queue, and who holds them: no caller takes those of others. Pure.

A worker that is bound to another can call it as often as it likes, at no cost but its own. So of another's places it
never holds more than it leaves free: one that calls alone takes half of them, of two each takes a third. However many
there are, some places are left. Requests from outside are no worker's, and this rule is not for them.

The rule is that of dynamic thresholds for shared buffers (Choudhury and Hahne, IEEE/ACM Transactions on Networking
6(2), 1998), with a factor of one.
"""

from __future__ import annotations

OUTSIDE = ""
"""Who asks on no worker's behalf."""


class Callers:
    """So many places, and how many of them each caller holds."""

    __slots__ = ("_held", "_number", "_taken")

    def __init__(self, number: int) -> None:
        self._number = number
        self._taken = 0
        self._held: dict[str, int] = {}

    def copy(self) -> Callers:
        """As it is now, to try something out."""
        twin = Callers(self._number)
        twin._taken, twin._held = self._taken, self._held.copy()
        return twin

    def open_to(self, caller: str) -> bool:
        """Whether this caller may take one more. What the number allows is for others to check."""
        if caller == OUTSIDE:
            return True
        return self._held.get(caller, 0) < max(self._number - self._taken, 1)

    def take(self, caller: str) -> None:
        """One more is held."""
        self._taken += 1
        if caller != OUTSIDE:
            self._held[caller] = self._held.get(caller, 0) + 1

    def give_back(self, caller: str) -> None:
        """One less."""
        self._taken -= 1
        if caller != OUTSIDE:
            left = self._held.pop(caller) - 1
            if left:
                self._held[caller] = left
