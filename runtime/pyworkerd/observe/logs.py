"""Log entries of workers, and where they go."""

from __future__ import annotations

import json
import logging
import sys
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple, TextIO

from .text import one_line, printable

KEPT: Final = 1000
"""Entries that `Recent` keeps for whoever asks later."""
KEPT_CHARACTERS: Final = 1 << 18
"""Characters of all entries that `Recent` keeps: one invocation may log as much (256 KB)."""
SHOWN: Final = 64 * 1024
"""Characters of one entry that are written out. systemd-journald, LineMax: 48 KiB; CloudWatch: 256 KB."""
_COLOURS: Final = {"debug": "2", "warning": "33", "error": "31", "critical": "31;1"}


class LogEntry(NamedTuple):
    """One entry. `time` is in seconds since the epoch; `invocation` 0 is none. Worker text is not to be trusted.

    `worker` is empty where the runtime itself speaks, `request_id` and `trace_id` where it is not about a request. All
    but `level`, `source` and `message` is the host's word, which no worker can change.
    """

    time: float
    worker: str
    invocation: int
    level: str
    source: str
    message: str
    request_id: str = ""
    trace_id: str = ""


LogSink = Callable[[LogEntry], None]


class Recent:
    """Keeps the newest entries, for `worker.logs` and for tests: so many, and so many characters of text."""

    def __init__(self, kept: int = KEPT, characters: int = KEPT_CHARACTERS) -> None:
        self.entries: deque[LogEntry] = deque(maxlen=kept)
        self._most, self._characters = characters, 0

    def __call__(self, entry: LogEntry) -> None:
        """Keep it, and let go of the oldest ones that there is no more room for."""
        if len(self.entries) == self.entries.maxlen:
            self._characters -= len(self.entries.popleft().message)
        self.entries.append(entry)
        self._characters += len(entry.message)
        while self._characters > self._most and len(self.entries) > 1:
            self._characters -= len(self.entries.popleft().message)


class Readable:
    """Lines for people: time, level, worker, message. Control characters of workers never reach the terminal."""

    def __init__(self, stream: TextIO | None = None, *, colour: bool | None = None) -> None:
        self._stream = stream or sys.stderr
        self._colour = self._stream.isatty() if colour is None else colour

    def __call__(self, entry: LogEntry) -> None:
        """Write its line, or lines."""
        clock = datetime.fromtimestamp(entry.time, UTC).strftime("%H:%M:%S.%f")[:-3]
        # Further lines are set in, so that no message can pass for an entry of somebody else.
        message = printable(_cut(entry.message)).rstrip("\n").replace("\n", "\n    ")
        who = one_line(entry.worker or entry.source)
        line = f"{clock} {one_line(entry.level):<8} [{who}] {message}"
        if self._colour and entry.level in _COLOURS:
            line = f"\x1b[{_COLOURS[entry.level]}m{line}\x1b[0m"
        self._stream.write(line + "\n")


class Json:
    """One JSON object per line, in ASCII."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr

    def __call__(self, entry: LogEntry) -> None:
        """Write its object."""
        self._stream.write(json.dumps(entry._replace(message=_cut(entry.message))._asdict()) + "\n")


def to_logging(entry: LogEntry) -> None:
    """Hand an entry to Python's `logging`, for programs that embed the runtime."""
    level = logging.getLevelNamesMapping().get(entry.level.upper(), logging.INFO)
    logging.getLogger(f"pyworkerd.worker.{entry.worker}").log(level, "%s", entry.message)


def _cut(message: str) -> str:
    if len(message) <= SHOWN:
        return message
    return f"{message[:SHOWN]}... ({len(message) - SHOWN} characters more)"
