"""The clock by which guests pay: CPU time of the calling thread, but for what Python's garbage collector takes.

The collector runs whenever enough objects have been made, on the thread that made the last one, and looks through those
of everybody: tens of milliseconds where there are many. A guest that happens to be at work is not to pay for that, let
alone lose its limit to it.
"""

from __future__ import annotations

import ctypes
import gc
import threading
from time import thread_time_ns
from typing import Final

let_others: Final = ctypes.CDLL(None).getpid
"""Nothing, without the interpreter's lock: a thread that waits for it has it now. (`time.sleep(0)` would also give the
processor away, to whatever else the machine runs.)"""


class _Collecting(threading.local):
    began = 0
    spent = 0


_thread = _Collecting()


def _note(phase: str, info: dict[str, int]) -> None:  # noqa: ARG001 - of `gc.callbacks`
    """The collector begins and ends on one thread, with all finalizers that it calls in between."""
    if phase == "start":
        _thread.began = thread_time_ns()
    else:
        _thread.spent += thread_time_ns() - _thread.began


gc.callbacks.append(_note)


def charged_ns() -> int:
    """Nanoseconds; only differences on one thread mean anything."""
    return thread_time_ns() - _thread.spent


def charged_s() -> float:
    """The same in seconds."""
    return charged_ns() / 1e9
