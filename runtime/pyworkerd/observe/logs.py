"""Log entries of workers, and the lines that they and the entries of the access log are written as."""

from __future__ import annotations

import json
import logging
import sys
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, Self, TextIO

from .access import AccessEntry, as_json, as_text
from .text import clock, one_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

KEPT: Final = 1000
"""Entries that `Recent` keeps for whoever asks later."""
KEPT_CHARACTERS: Final = 1 << 18
"""Characters of all entries that `Recent` keeps: one invocation may log as much (256 KB)."""
SHOWN: Final = 64 * 1024
"""Characters of one entry that are written out. systemd-journald, LineMax: 48 KiB; CloudWatch: 256 KB."""
PIECE: Final = 4096
"""Characters that are written at once. POSIX, PIPE_BUF: what several processes write into one pipe is not mixed up."""
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

    @property
    def characters(self) -> int:
        """Of its text."""
        return len(self.message)

    def shown(self) -> Self:
        """As it is written out: a long message is cut, and says so."""
        more = len(self.message) - SHOWN
        return (
            self
            if more <= 0
            else self._replace(message=f"{self.message[:SHOWN]}... ({more} characters more)")
        )


LogSink = Callable[[LogEntry], None]
Entry = LogEntry | AccessEntry


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


class _Lines:
    """Writes entries to a stream, as lines. Call it with one, or `write` as many as there are."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream or sys.stderr

    def __call__(self, entry: Entry) -> None:
        """Write one entry."""
        self._stream.write(self.line(entry))

    def write(self, entries: Iterable[Entry]) -> None:
        """Write entries, several at a time."""
        piece = ""
        for line in map(self.line, entries):
            if len(piece) + len(line) > PIECE:
                self._stream.write(piece)
                piece = ""
            piece += line
        self._stream.write(piece)

    def line(self, entry: Entry) -> str:
        """How it is written, line end included."""
        raise NotImplementedError


class Readable(_Lines):
    """For people: time, level, who, what. Control characters of workers and clients never reach the terminal."""

    def __init__(self, stream: TextIO | None = None, *, colour: bool | None = None) -> None:
        super().__init__(stream)
        self._colour = self._stream.isatty() if colour is None else colour

    def line(self, entry: Entry) -> str:
        """One line, and more that are set in where a message has more."""
        if isinstance(entry, AccessEntry):
            return as_text(entry)
        # Further lines are set in, so that no message can pass for an entry of somebody else.
        message = printable(entry.shown().message).rstrip("\n").replace("\n", "\n    ")
        who = one_line(" ".join(part for part in (entry.worker, entry.request_id) if part))
        head = f"{clock(entry.time)} {one_line(entry.level):<8} [{who or 'pyworkerd'}]"
        line = f"{head} {one_line(entry.source)}: {message}"
        if self._colour and entry.level in _COLOURS:
            line = f"\x1b[{_COLOURS[entry.level]}m{line}\x1b[0m"
        return line + "\n"


class Json(_Lines):
    """For programs: one JSON object per line, in ASCII. `event` is `log` or `request`."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)

    def line(self, entry: Entry) -> str:
        """Its object."""
        if isinstance(entry, AccessEntry):
            return as_json(entry)
        return json.dumps({"event": "log", **entry.shown()._asdict()}) + "\n"


class Brief(_Lines):
    """For who writes workers and has only these to look at: who and what, and for a request how it was answered."""

    def __init__(self, stream: TextIO | None = None, *, colour: bool = False) -> None:
        super().__init__(stream)
        self._colour = colour

    def line(self, entry: Entry) -> str:
        """One line, and more that are set in where a message has more."""
        if isinstance(entry, AccessEntry):
            colour = (
                "31" if entry.status >= 500 or not entry.status else "33" if entry.status >= 400 else "32"
            )
            what = one_line(f"{entry.method or '-'} {entry.path}")
            notes = "".join(f", {note}" for note in ("cold" if entry.cold else "", entry.error) if note)
            return (
                f"{what} {self._in(colour, str(entry.status or '-'))} ({entry.duration_ms:.0f} ms{notes})\n"
            )
        message = printable(entry.shown().message).rstrip("\n").replace("\n", "\n    ")
        line = f"[{one_line(entry.worker) or 'pyworkerd'}] {message}"
        return self._in(_COLOURS.get(entry.level, ""), line) + "\n"

    def _in(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colour and colour else text


FORMATS: Final[Mapping[str, Callable[[TextIO, bool], _Lines]]] = {
    "readable": lambda stream, colour: Readable(stream, colour=colour),
    "json": lambda stream, _: Json(stream),
    "brief": lambda stream, colour: Brief(stream, colour=colour),
}
"""How lines may be written, by the names that settings have for them."""


def to_logging(entry: LogEntry) -> None:
    """Hand an entry to Python's `logging`, for programs that embed the runtime."""
    level = logging.getLevelNamesMapping().get(entry.level.upper(), logging.INFO)
    logging.getLogger(f"pyworkerd.worker.{entry.worker}").log(level, "%s", entry.message)
