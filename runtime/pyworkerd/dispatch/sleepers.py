"""Deployed workers that have no isolate, and which of them go back to sleep.

A worker that is deployed keeps its image mapped and its bindings prepared. For one that nobody asks for that is wasted.
So of those without an isolate only so many stay awake; the one that lost its last isolate longest ago goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from .worker import Worker


LOOKS: Final = 16
"""Workers that are looked at for each that becomes empty: thousands may have objects, which hibernate perhaps."""


class Sleepers:
    """Of all workers that may sleep, those that could."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._may: dict[Worker, Callable[[], None]] = {}
        self._empty: OrderedDict[Worker, None] = OrderedDict()

    def admit(self, worker: Worker, put_to_sleep: Callable[[], None]) -> None:
        """This one may be put to sleep by calling this. It has no isolate yet."""
        self._may[worker] = put_to_sleep
        self.emptied(worker)

    def dismiss(self, worker: Worker) -> None:
        """This one may not, or is closed."""
        self._may.pop(worker, None)
        self._empty.pop(worker, None)

    def filled(self, worker: Worker) -> None:
        """It has an isolate."""
        self._empty.pop(worker, None)

    def emptied(self, worker: Worker) -> None:
        """It has none any more: the last in line. Whoever is first goes to sleep if there are too many."""
        if worker not in self._may:
            return
        self._empty[worker] = None
        self._empty.move_to_end(worker)
        for _ in range(LOOKS):
            if len(self._empty) <= self._most:
                break
            first, _ = self._empty.popitem(last=False)
            if first.occupied:
                self._empty[first] = None  # it waits for room, or has objects
            else:
                self._may.pop(first)()
