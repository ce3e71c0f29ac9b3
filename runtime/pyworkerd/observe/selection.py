"""What somebody wants to hear of log entries and outcomes: by worker, level, text, status. And how they are one JSON
object. Pure."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

from .logs import LogEntry

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
"""From the least to the most."""
STATUSES: Final = ("ok", "error", "canceled")
"""How an invocation ended, as `wrangler tail --status` has it. A log entry of level `error` and above is an error."""
_HARMLESS: Final = frozenset(("ok", "canceled"))
_ERROR: Final = LEVELS.index("error")
_UNKNOWN: Final = LEVELS.index("info")


class Outcome(NamedTuple):
    """How an invocation ended. `time` is when it began, in seconds since the epoch.

    `event` is what began it, in one line; of a request method and path, without the query, where secrets travel.
    `outcome` is one of `observe.trace_item`; `status` that of the answer, 0 where there was none.
    """

    time: float
    worker: str
    invocation: int
    entrypoint: str
    event: str
    outcome: str
    status: int
    cpu_ms: float
    wall_ms: float
    request_id: str
    trace_id: str

    @property
    def ended(self) -> str:
        """One of `STATUSES`."""
        return self.outcome if self.outcome in _HARMLESS else "error"


Entry: TypeAlias = LogEntry | Outcome


class Selection(NamedTuple):
    """Empty fields select everything. `level` is the least one; `text` is looked for without regard to case."""

    worker: str = ""
    level: str = ""
    text: str = ""
    status: str = ""

    def passes(self, entry: Entry) -> bool:
        """Whether it is one of those."""
        return (
            (not self.worker or entry.worker == self.worker)
            and (not self.level or rank(entry) >= LEVELS.index(self.level))
            and (not self.status or status(entry) == self.status)
            and (not self.text or self._says(entry))
        )

    def _says(self, entry: Entry) -> bool:
        wanted = self.text.casefold()
        return any(wanted in text.casefold() for text in _texts(entry))


def rank(entry: Entry) -> int:
    """How grave it is: an index of `LEVELS`. An invocation that failed is an error; what a worker made up is `info`."""
    if isinstance(entry, Outcome):
        return _ERROR if entry.ended == "error" else _UNKNOWN
    return LEVELS.index(entry.level) if entry.level in LEVELS else _UNKNOWN


def status(entry: Entry) -> str:
    """One of `STATUSES`."""
    if isinstance(entry, Outcome):
        return entry.ended
    return "error" if rank(entry) >= _ERROR else "ok"


def as_object(entry: Entry) -> dict[str, Any]:
    """For JSON. `event` says what it is, as in the lines of a log."""
    if isinstance(entry, LogEntry):
        return {"event": "log", **entry._asdict()}
    fields = entry._asdict()
    return {"event": "invocation", "began": fields.pop("event"), **fields}


def _texts(entry: Entry) -> tuple[str, ...]:
    ids = (entry.worker, entry.request_id, entry.trace_id)
    if isinstance(entry, LogEntry):
        return (entry.message, entry.source, *ids)
    return (entry.event, entry.outcome, entry.entrypoint, *ids)
