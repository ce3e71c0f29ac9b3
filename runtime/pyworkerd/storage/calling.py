"""How a thread is called that waits for work: without the interpreter's lock.

Who is woken by a `threading.Lock` wakes while the one that released it still has the interpreter, so both change places
twice. A write to a file descriptor is made without the interpreter: who wakes has it at once, or nobody is in its way.
Handing a piece of work to a thread and having it back took 2 changes of thread instead of 5 so, on one core.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from types import TracebackType

_ONE: Final = (1).to_bytes(8, "little")


class Call(Protocol):
    """What one thread waits on. Each `make` ends one `wait`."""

    def wait(self) -> None:
        """Until the call is made."""

    def make(self) -> None:
        """On any other thread."""

    def close(self) -> None:
        """Nobody waits any more, and nobody calls."""


class _Written:
    """A descriptor that is written to: an eventfd, or a pipe where there are none."""

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        self._ends = (os.eventfd(0),) * 2 if hasattr(os, "eventfd") else os.pipe()

    def wait(self) -> None:
        """See `Call`."""
        os.read(self._ends[0], 8)

    def make(self) -> None:
        """See `Call`."""
        os.write(self._ends[1], _ONE)

    def close(self) -> None:
        """See `Call`."""
        for each in set(self._ends):
            os.close(each)


class _Released:
    """A lock that is released."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self) -> None:
        """See `Call`."""
        self._lock.acquire()

    def make(self) -> None:
        """See `Call`."""
        self._lock.release()

    def close(self) -> None:
        """See `Call`."""


def new_call() -> Call:
    """For a thread; without a descriptor where the process has none left."""
    try:
        return _Written()
    except OSError:
        return _Released()


class CallingLock:
    """A lock. Calls that are decided on while it is held are made when it is free: who is called needs it first."""

    __slots__ = ("_calls", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[Call] = []

    def call(self, call: Call) -> None:
        """Make this call, afterwards. The lock is held."""
        self._calls.append(call)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        calls = self._calls
        if not calls:
            self._lock.release()
            return
        self._calls = []
        self._lock.release()
        for call in calls:
            call.make()
