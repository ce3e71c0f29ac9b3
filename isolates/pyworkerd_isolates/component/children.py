"""Compilers at work: processes that end with whoever wants what they make."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from pyworkerd_isolates.errors import EngineError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence


class Children:
    """Those of one owner. Safe for threads."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def started(self, command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
        """A process with three pipes, which does not outlast the block. Raises `OSError`, or `EngineError` after
        `close`.
        """
        import subprocess  # noqa: PLC0415 (every start would pay for it)

        pipe = subprocess.PIPE
        with self._lock:
            if self._closed:
                raise EngineError("nothing is compiled any more: the runtime is closed")
            child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)  # noqa: S603 - this program itself
            self._running.add(child)
        try:
            with child:
                try:
                    yield child
                finally:
                    child.kill()
        finally:
            with self._lock:
                self._running.discard(child)

    def close(self) -> None:
        """End all of them, and start no more."""
        with self._lock:
            self._closed = True
            for child in self._running:
                child.kill()
