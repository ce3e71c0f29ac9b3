"""The clock by which guests pay: CPU time of the calling thread, but for what Python's garbage collector takes.

The collector runs whenever enough objects have been made, on the thread that made the last one, and looks through those
of everybody: tens of milliseconds where there are many. A guest that happens to be at work is not to pay for that, let
alone lose its limit to it.

To ask for the CPU time is a system call, which costs a short step more than a tenth of itself. The time on the wall is
to be had without one, and no less. So what is over at once is charged by the wall, and what is not by the CPU time
since the thread was last asked for it, not long before: nobody pays for less than was used, and for at most `SHORT_NS`
more, and that only where the thread had to wait meanwhile.
"""

from __future__ import annotations

import ctypes
import gc
import threading
from time import perf_counter_ns, thread_time_ns
from typing import Final, TypeAlias

let_others: Final = ctypes.CDLL(None).getpid
"""Nothing, without the interpreter's lock: a thread that waits for it has it now. (`time.sleep(0)` would also give the
processor away, to whatever else the machine runs.)"""
SHORT_NS: Final = 200_000
"""What may be charged too much: four short steps."""

Moment: TypeAlias = tuple[int, int]


class _Clock:
    """Of one thread."""

    __slots__ = ("asked", "began", "collected", "cpu", "spent")

    def __init__(self) -> None:
        self.began: Moment | None = None
        """When the collector began, if it has: on the wall, in CPU time."""
        self.collected = 0
        """What it has taken on the wall."""
        self.spent = 0
        """What it has taken of CPU time."""
        self.asked = -SHORT_NS
        """When `cpu` was true."""
        self.cpu = 0


class _Thread(threading.local):
    clock: _Clock | None = None


_thread = _Thread()


def _new() -> _Clock:
    """That of a thread which has none yet. Not made with `_Thread`: the collector may begin right there."""
    clock = _thread.clock = _Clock()
    return clock


def _note(phase: str, info: dict[str, int]) -> None:  # noqa: ARG001 - of `gc.callbacks`
    """The collector begins and ends on one thread, with all finalizers that it calls in between."""
    clock = _thread.clock or _new()
    if phase == "start":
        clock.began = perf_counter_ns(), thread_time_ns()
    elif clock.began is not None:  # no stack may have been left to note it
        (wall, cpu), clock.began = clock.began, None
        clock.collected += perf_counter_ns() - wall
        clock.spent += thread_time_ns() - cpu


gc.callbacks.append(_note)


def charged_ns() -> int:
    """Nanoseconds, exactly; only differences on one thread mean anything."""
    return thread_time_ns() - (_thread.clock or _new()).spent


def charged_s() -> float:
    """The same in seconds."""
    return charged_ns() / 1e9


def begin() -> Moment:
    """Something begins that is likely to be over soon: `used_ns` says what it took, on the same thread."""
    clock, now = _thread.clock or _new(), perf_counter_ns()
    if now - clock.asked > SHORT_NS:
        clock.cpu, clock.asked = thread_time_ns() - clock.spent, now
    return now - clock.collected, clock.cpu


def used_ns(since: Moment) -> int:
    """Nanoseconds to be charged since then."""
    clock = _thread.clock or _new()
    wall = perf_counter_ns() - clock.collected - since[0]
    if wall < SHORT_NS:
        return wall
    return min(wall, thread_time_ns() - clock.spent - since[1])
