"""A log sink that never makes anybody wait: a thread writes, and what a slow reader leaves no room for is counted."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from .logs import LogEntry

if TYPE_CHECKING:
    from .logs import LogSink

WAITING_CHARACTERS: Final = 8 * 1024 * 1024
"""Text that may wait to be written, for all workers together. Docker, non-blocking mode: 1 MB for one container."""
ENTRY_CHARACTERS: Final = 256
"""What an entry is reckoned at besides its message, so that empty ones are not free."""
CLOSE_S: Final = 2.0
"""How long `close` waits for a reader that has stopped reading."""


class Background:
    """Hands entries to `sink` on a thread of its own. Call it from any thread; `close()` writes out what waits.

    A write to a pipe or a terminal blocks for as long as nobody reads it; on the event loop's thread that would stop
    every tenant. A sink that raises OSError (its reader has gone) is not called again.
    """

    def __init__(self, sink: LogSink, limit: int = WAITING_CHARACTERS) -> None:
        self._sink = sink
        self._limit = limit
        self._entries: deque[LogEntry] = deque()
        self._size = 0
        self._dropped = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self.broken = False
        """Whether the sink has failed."""

    def __call__(self, entry: LogEntry) -> None:
        """Take an entry, or count it as dropped. Never blocks."""
        with self._changed:
            if self._closed or self.broken:
                return
            size = _size(entry)
            if self._size + size > self._limit:
                self._dropped += 1
                return
            self._size += size
            self._entries.append(entry)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pyworkerd-log", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self, timeout: float = CLOSE_S) -> None:
        """Write what waits, for at most `timeout` seconds. Entries that come later are not written."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while (entry := self._next()) is not None:
            try:
                self._sink(entry)
            except (OSError, ValueError):  # ValueError: the stream is closed
                with self._changed:
                    self.broken = True
                    self._entries.clear()
                return

    def _next(self) -> LogEntry | None:
        """The next entry to write; None at the end. What was dropped is told where it is missing."""
        with self._changed:
            self._changed.wait_for(lambda: self._entries or self._dropped or self._closed)
            if self._entries:
                entry = self._entries.popleft()
                self._size -= _size(entry)
                return entry
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                text = f"{dropped} log entries were dropped: they came faster than they could be written"
                return LogEntry(time.time(), "", 0, "warning", "pyworkerd.observe", text)
            return None


def _size(entry: LogEntry) -> int:
    return len(entry.message) + ENTRY_CHARACTERS
