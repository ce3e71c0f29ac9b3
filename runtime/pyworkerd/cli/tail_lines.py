"""What a stream of log entries brings, and the lines that it is shown as. Pure.

Server-sent events as the HTML standard has them (section 9.2.6), as far as the server sends them. What comes from a
server is somebody else's text all the same: nothing in it is obeyed by the terminal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from pyworkerd.observe.logs import LogEntry, Readable
from pyworkerd.observe.selection import Outcome
from pyworkerd.observe.text import clock, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

MAX_LINE: Final = 1 << 20
"""Bytes of one line of the stream: an entry is shorter by far."""
Event = tuple[str, Mapping[str, Any]]
Line = Callable[[Event], str]
_COLOURS: Final = {"ok": "", "canceled": "33"}
_ERROR: Final = "31"


class NotAStream(ValueError):
    """What came is no stream of log entries."""


def events(lines: Iterable[bytes]) -> Iterator[Event]:
    """The events of a stream. Raises `NotAStream`."""
    kind = ""
    for line in lines:
        if len(line) >= MAX_LINE:
            raise NotAStream("a line is too long")
        name, _, value = line.rstrip(b"\r\n").partition(b": ")
        if name == b"event":
            kind = value.decode("utf-8", "replace")
        elif name == b"data":
            yield kind, _object(value)


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise NotAStream("an event is no JSON object")
    return value


def as_json(event: Event) -> str:
    """One JSON object in ASCII; what was lost is one too."""
    kind, data = event
    return json.dumps(data if kind == "entry" else {"event": kind, **data}) + "\n"


class Pretty:
    """For people: entries as the server's own log has them, and how invocations ended."""

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        self._colour = colour
        self._readable = Readable(stream, colour=colour)

    def __call__(self, event: Event) -> str:
        """Its lines."""
        kind, data = event
        if kind == "missed":
            return (
                self._in("33", f"... {_number(data, 'count'):g} entries were lost: they came too fast") + "\n"
            )
        if kind != "entry":
            return ""
        if data.get("event") == "log":
            return self._readable.line(_log(data))
        outcome = _outcome(data)
        who = one_line(" ".join(part for part in (outcome.worker, outcome.request_id) if part))
        status = f" {outcome.status}" if outcome.status else ""
        line = (
            f"{clock(outcome.time)} {one_line(outcome.outcome):<8} [{who}] {one_line(outcome.event)}{status}, "
            f"{outcome.wall_ms:.0f} ms, CPU {outcome.cpu_ms:.1f} ms"
        )
        return self._in(_COLOURS.get(outcome.outcome, _ERROR), line) + "\n"

    def _in(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colour and colour else text


def _log(data: Mapping[str, Any]) -> LogEntry:
    texts = ("level", "source", "message", "request_id", "trace_id")
    return LogEntry(_number(data, "time"), _text(data, "worker"), 0, *(_text(data, name) for name in texts))


def _outcome(data: Mapping[str, Any]) -> Outcome:
    return Outcome(
        _number(data, "time"), _text(data, "worker"), 0, _text(data, "entrypoint"), _text(data, "began"),
        _text(data, "outcome"), int(_number(data, "status")), _number(data, "cpu_ms"), _number(data, "wall_ms"),
        _text(data, "request_id"), _text(data, "trace_id"),
    )  # fmt: skip


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name, "")
    if not isinstance(value, str):
        raise NotAStream(f"an entry whose {name} is no text")
    return value


def _number(data: Mapping[str, Any], name: str) -> float:
    value = data.get(name, 0)
    if not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise NotAStream(f"an entry whose {name} is no number that it can be")
    return float(value)
