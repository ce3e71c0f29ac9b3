"""Log entries of workers, and where they go."""

from __future__ import annotations

import json
import logging
import sys
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple, TextIO

KEPT: Final = 1000
"""Entries that `Recent` keeps for whoever asks later."""
_CONTROL: Final = {code: f"\\x{code:02x}" for code in [*range(9), *range(11, 32), 127, *range(0x80, 0xA0)]}
_COLOURS: Final = {"debug": "2", "info": "0", "warning": "33", "error": "31", "critical": "31;1"}


class LogEntry(NamedTuple):
    """One entry. `time` is in seconds since the epoch; `invocation` 0 is none. Worker text is not to be trusted."""

    time: float
    worker: str
    invocation: int
    level: str
    source: str
    message: str


LogSink = Callable[[LogEntry], None]


class Recent:
    """Keeps the newest entries, for `worker.logs` and for tests."""

    def __init__(self, kept: int = KEPT) -> None:
        self.entries: deque[LogEntry] = deque(maxlen=kept)

    def __call__(self, entry: LogEntry) -> None:
        self.entries.append(entry)


class Readable:
    """Lines for people: time, level, worker, message. Control characters of workers never reach the terminal."""

    def __init__(self, stream: TextIO | None = None, *, colour: bool | None = None) -> None:
        self._stream = stream or sys.stderr
        self._colour = self._stream.isatty() if colour is None else colour

    def __call__(self, entry: LogEntry) -> None:
        clock = datetime.fromtimestamp(entry.time, UTC).strftime("%H:%M:%S.%f")[:-3]
        message = entry.message.translate(_CONTROL).replace("\n", "\n    ")
        line = f"{clock} {entry.level:<8} [{entry.worker}] {message}"
        if self._colour:
            line = f"\x1b[{_COLOURS.get(entry.level, '0')}m{line}\x1b[0m"
        self._stream.write(line + "\n")


class Json:
    """One JSON object per line."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr

    def __call__(self, entry: LogEntry) -> None:
        self._stream.write(json.dumps(entry._asdict()) + "\n")


def to_logging(entry: LogEntry) -> None:
    """Hand an entry to Python's `logging`, for programs that embed the runtime."""
    level = logging.getLevelNamesMapping().get(entry.level.upper(), logging.INFO)
    logging.getLogger(f"pyworkerd.worker.{entry.worker}").log(level, "%s", entry.message)
