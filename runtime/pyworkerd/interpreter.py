"""How long a thread may keep the interpreter from the others that want it: CPython's switch interval.

Who waits for the interpreter waits against a timer of that length. A timer that goes off before the kernel's next tick
has to be armed in hardware, which a virtual machine takes long for: with half a millisecond, a piece of work that the
event loop handed to a thread and had back took 43 us, with one and a half and more 8. So the interval is short only
while some thread is at work that may keep the interpreter: one with a long step, say. Those of the storage do not.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

SHORT_S: Final = 0.0005
"""A tenth of what CPython has: a request needs the interpreter some ten times."""
USUAL_S: Final = 0.002
"""Longer than the millisecond between two ticks of most kernels."""


_Result = TypeVar("_Result")


class Interval:
    """The process has one. All of it may be called on any thread."""

    def __init__(self, set_interval: Callable[[float], None] = sys.setswitchinterval) -> None:
        self._set = set_interval
        self._lock = threading.Lock()
        self._ours = False
        self._busy = 0

    def manage(self) -> None:
        """From now on the interval is ours: in a process that serves and does nothing else."""
        with self._lock:
            self._ours = True
            self._adjust()

    def hold(self) -> None:
        """Somebody is at work who may keep the interpreter for long, until `release`."""
        with self._lock:
            self._busy += 1
            self._adjust()

    def release(self) -> None:
        """He is not any more."""
        with self._lock:
            self._busy -= 1
            self._adjust()

    def during(self, function: Callable[[], _Result]) -> _Result:
        """Call a function that may keep it for long."""
        self.hold()
        try:
            return function()
        finally:
            self.release()

    def _adjust(self) -> None:
        if self._ours:
            self._set(SHORT_S if self._busy else USUAL_S)


interval: Final = Interval()
