"""A subinterpreter at work, on a thread of its own, for as long as it lives.

One thread for all of its steps: what a library keeps for each thread (connections, contexts, the running event loop)
stays valid. Nothing can force it to end. It is told to (`break_off`), and left behind if it does not listen: then it
still computes, or waits for whatever it waits for, and counts against `MOST_LEFT`.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyworkerd_isolates import wire
from pyworkerd_isolates.errors import EngineError, Trap

from .interpreters import create
from .link import Link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

INSIDE: Final = Path(__file__).with_name("guest")
MACHINERY: Final = Path(__file__).parents[1] / "python" / "guest"
MOST_LEFT: Final = 64
"""Of one process, those among them that are about to end. Each keeps a thread, an interpreter and its memory, and
perhaps a core."""
END_S: Final = 2.0
"""How long who closes a runtime, or the process, waits for them in sum."""
_clock_of: Final = getattr(time, "pthread_getcpuclockid", None)
"""Linux has it, macOS has not."""
_LOAD: Final = wire.encode([], ())
_alive: set[Running] = set()
_left: set[Running] = set()
"""Those of them that nobody needs any more."""
_lock: Final = threading.Lock()


class Running:
    """Start it with the folder of a worker and the name of its main module. `close` it, or `break_off`."""

    def __init__(self, root: Path, module: str, begin: Callable[[], None] = lambda: None) -> None:
        if len(_left) >= MOST_LEFT:
            raise EngineError(
                f"{MOST_LEFT} interpreters of trusted workers that were told to end have not: "
                "no more are started in this process before some of them do"
            )
        try:
            ours, self._theirs = socket.socketpair()
            self._listens, self._word = os.pipe()
        except OSError as error:
            raise EngineError(f"an interpreter could not be started: {error.strerror}") from error
        self.link: Final = Link(ours)
        self.failure = ""
        """How it ended, if not in good order."""
        self._clock: int | None = None
        self._begin = begin
        self._code = _code(self._theirs.fileno(), self._listens, root, module)
        self._thread = threading.Thread(target=self._live, name="pyworkerd-trusted", daemon=True)
        with _lock:
            if not _alive:
                atexit.unregister(_end_all)
                atexit.register(_end_all)
            _alive.add(self)
        try:
            self._thread.start()
        except RuntimeError as error:  # the system gives no more threads
            self._over()
            self.close()
            raise EngineError(f"an interpreter could not be started: {error}") from error
        with contextlib.suppress(Trap):  # it has ended already: whoever waits for its answer will hear
            self.link.send(_LOAD)

    def _live(self) -> None:
        try:
            self._begin()
            if _clock_of is not None:
                self._clock = _clock_of(threading.get_ident())
            interpreter = create()
            try:
                self.failure = interpreter.exec(self._code) or ""
            finally:
                self._theirs.close()
                interpreter.close()
        except Exception as error:  # noqa: BLE001 - told to whoever waits for its answer
            self.failure = self.failure or str(error)
        finally:
            self._over()

    def _over(self) -> None:
        self._theirs.close()
        os.close(self._listens)
        with _lock:
            _alive.discard(self)
            _left.discard(self)

    def cpu_ns(self) -> int:
        """CPU time of its thread so far; where the system does not tell, the time on the wall. 0 once it has ended."""
        if _clock_of is None:
            return time.monotonic_ns()
        if self._clock is None:  # it has only just been started
            return 0
        try:
            return time.clock_gettime_ns(self._clock)
        except OSError:
            return 0

    def close(self) -> None:
        """It is at rest and needed no more: its thread ends by itself. Harmless when called again."""
        self._leave(b"")

    def break_off(self) -> None:
        """It may run, and is needed no more: what can be interrupted is. Harmless when called again."""
        self._leave(b"!")

    def _leave(self, word: bytes) -> None:
        with _lock:
            if self in _alive:
                _left.add(self)
        self.link.close()
        ours, self._word = self._word, -1
        if ours >= 0:
            with contextlib.suppress(BrokenPipeError):
                os.write(ours, word)
            os.close(ours)

    def join(self, seconds: float) -> bool:
        """Wait so long for its end. Returns whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()


def _code(link: int, word: int, root: Path, module: str) -> str:
    """What the interpreter runs. It shares nothing with this one but descriptors."""
    arguments = (link, word, str(MACHINERY), wire.__file__, str(root), module)
    return f"""
import sys
sys.path.insert(0, {str(INSIDE)!r})
import inside
del sys.path[0]
inside.main(*{arguments!r})
"""


def left() -> int:
    """How many of this process were told to end and have not."""
    return len(_left)


def end(running: Iterable[Running], seconds: float = END_S) -> int:
    """Tell these to end, and wait so long for all of them. Returns how many have not."""
    running = tuple(running)
    deadline = time.monotonic() + seconds
    for each in running:
        each.break_off()
    return sum(not each.join(max(deadline - time.monotonic(), 0)) for each in running)


def _end_all() -> None:
    """Before Python's own end, which would wait for ever for one that listens."""
    with _lock:
        running = list(_alive)
    end(running)
