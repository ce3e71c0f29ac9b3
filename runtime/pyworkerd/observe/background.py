"""A log sink that never makes anybody wait: a thread writes, and what a slow reader leaves no room for is counted.

Rule 1: taking an entry costs a lock that nobody holds for long. Nobody waits for a reader.
Rule 2: a worker that floods the log takes room from itself, not from other workers, the runtime or the access log.
Rule 3: what is dropped is counted, and told where it is missing.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from .logs import LogEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .logs import Entry

WAITING_CHARACTERS: Final = 8 * 1024 * 1024
"""Text that may wait to be written, and again so much that is being written, for all workers together. Docker,
non-blocking mode: 1 MB for one container."""
SHARE: Final = 8
"""One worker may have so much of it waiting: a part of all, one MiB."""
ENTRY_CHARACTERS: Final = 256
"""What an entry is reckoned at besides its text, so that empty ones are not free."""
PAUSE_S: Final = 0.02
"""Between two turns of the thread: entries that come meanwhile are written together. Our own figure: nobody sees it,
and a thread that wakes for each entry would cost the event loop more than the entry does."""
CLOSE_S: Final = 2.0
"""How long `close` waits for a reader that has stopped reading."""
NAMED: Final = 3
"""Workers that are named where entries were dropped."""


class Background:
    """Hands entries to `sink`, as many as wait, on a thread of its own. Call it from any thread; `close()` ends it.

    A write to a pipe or a terminal blocks for as long as nobody reads it; on the event loop's thread that would stop
    every tenant. A sink that raises OSError (its reader has gone) is not called again.
    """

    def __init__(self, sink: Callable[[Sequence[Entry]], None], limit: int = WAITING_CHARACTERS) -> None:
        self._sink = sink
        self._limit, self._share = limit, limit // SHARE
        self._entries: list[Entry] = []
        self._size = 0
        self._held: dict[str, int] = {}
        """Of `_size`, by worker."""
        self._missing: Counter[str] = Counter()
        """Dropped and not yet told, by worker."""
        self._lock = threading.Lock()
        self._wake, self._closed = threading.Event(), threading.Event()
        self._idle = False
        self._thread: threading.Thread | None = None
        self.dropped = 0
        """Entries that found no room so far."""
        self.broken = False
        """Whether the sink has failed."""

    def __call__(self, entry: Entry) -> None:
        """Take an entry, or count it as dropped. Never blocks."""
        entry = entry.shown()
        size = entry.characters + ENTRY_CHARACTERS
        with self._lock:
            if self.broken or self._closed.is_set():
                return
            if not self._fits(entry.worker, size):
                self.dropped += 1
                self._missing[entry.worker] += 1
                return
            self._size += size
            self._entries.append(entry)
            idle, self._idle = self._idle, False
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pyworkerd-log", daemon=True)
                self._thread.start()
        if idle:
            self._wake.set()

    def _fits(self, worker: str, size: int) -> bool:
        if self._size + size > self._limit:
            return False
        if not worker:
            return True
        held = self._held.get(worker, 0) + size
        if held > self._share:
            return False
        self._held[worker] = held
        return True

    def close(self, timeout: float = CLOSE_S) -> None:
        """Write what waits, for at most `timeout` seconds. Entries that come later are not written."""
        with self._lock:
            self._closed.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while entries := self._next():
            try:
                self._sink(entries)
            except (OSError, ValueError):  # ValueError: the stream is closed
                with self._lock:
                    self.broken = True
                    self._entries.clear()
                return
            self._closed.wait(PAUSE_S)

    def _next(self) -> list[Entry]:
        """All that waits, once there is something; nothing at the end."""
        while True:
            with self._lock:
                entries, missing = self._entries, self._missing
                if entries or missing or self._closed.is_set():
                    self._entries, self._missing, self._size, self._held = [], Counter(), 0, {}
                    return [*entries, _told(missing)] if missing else entries
                self._idle = True
                self._wake.clear()
            self._wake.wait()


def _told(missing: Counter[str]) -> LogEntry:
    """What was dropped, as an entry."""
    workers = ", ".join(f"{count} of {name}" for name, count in missing.most_common(NAMED) if name)
    text = f"{missing.total()} log entries were dropped: they came faster than they could be written"
    return LogEntry(
        time.time(), "", 0, "warning", "pyworkerd.observe", f"{text} ({workers})" if workers else text
    )
