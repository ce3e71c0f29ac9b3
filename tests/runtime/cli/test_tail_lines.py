"""What a stream of log entries brings, and how it is shown."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from pyworkerd.cli.tail_lines import MAX_LINE, NotAStream, Pretty, as_json, events

LOG = {
    "id": "1-log-1", "event": "log", "time": 3661.5, "worker": "shop", "invocation": 3, "level": "error",
    "source": "stock", "message": "no tea\nat all", "request_id": "r" * 16, "trace_id": "",
}  # fmt: skip
OUTCOME = {
    "event": "invocation", "time": 3661.5, "worker": "shop", "entrypoint": "", "began": "GET /tea", "outcome": "ok",
    "status": 200, "cpu_ms": 1.25, "wall_ms": 12.5, "request_id": "r" * 16, "trace_id": "",
}  # fmt: skip


def shown(kind: str, data: dict[str, Any], *, colour: bool = False) -> str:
    return Pretty(io.StringIO(), colour=colour)((kind, data))


def test_the_events_of_a_stream() -> None:
    lines = [
        b": nothing new\n",
        b"\n",
        b"event: entry\n",
        b'data: {"a": ": b"}\n',
        b"\r\n",
        b"event: missed\n",
    ]
    lines += [b'data: {"count": 3}\n', b"other: x\n"]
    assert list(events(lines)) == [("entry", {"a": ": b"}), ("missed", {"count": 3})]


@pytest.mark.parametrize(
    "line", [b"data: nothing\n", b"data: []\n", b"data: \xff\n", b"data: " + b"[" * 9999, b"x" * MAX_LINE]
)
def test_what_is_no_stream(line: bytes) -> None:
    with pytest.raises(NotAStream):
        list(events([b"event: entry\n", line]))


def test_for_people() -> None:
    assert shown("entry", LOG) == f"01:01:01.500 error    [shop {'r' * 16}] stock: no tea\n    at all\n"
    assert shown("entry", OUTCOME) == (
        f"01:01:01.500 ok       [shop {'r' * 16}] GET /tea 200, 12 ms, CPU 1.2 ms\n"
    )
    gone = {**OUTCOME, "outcome": "canceled", "status": 0}
    assert shown("entry", gone).startswith("01:01:01.500 canceled [shop ")
    assert " 0, " not in shown("entry", gone)
    assert shown("missed", {"count": 3}) == "... 3 entries were lost: they came too fast\n"
    assert shown("", {}) == shown("later", {}) == ""


@pytest.mark.parametrize(
    ("data", "colour"),
    [(LOG, "31"), ({**OUTCOME, "outcome": "exceededCpu"}, "31"), ({**OUTCOME, "outcome": "canceled"}, "33")],
)
def test_in_colour(data: dict[str, Any], colour: str) -> None:
    assert shown("entry", data, colour=True).startswith(f"\x1b[{colour}m")
    assert "\x1b" not in shown("entry", OUTCOME, colour=True)
    assert "\x1b" not in shown("entry", data)


def test_nothing_of_others_is_obeyed() -> None:
    hostile = "\x1b[31m\x9b\u202e\r\nforged\x07"
    for entry in (LOG, OUTCOME):
        texts = {name: hostile for name, value in entry.items() if type(value) is str and name != "event"}
        line = shown("entry", {**entry, **texts})
        assert all(part.isprintable() for part in line.split("\n"))
        assert all(part.startswith("    ") for part in line.split("\n")[1:-1])


def test_for_programs() -> None:
    assert json.loads(as_json(("entry", LOG))) == LOG
    assert json.loads(as_json(("missed", {"count": 3}))) == {"event": "missed", "count": 3}
    line = as_json(("entry", {**LOG, "message": "\ud800\x1b\n\u2028"}))
    assert line.isascii()
    assert line.count("\n") == 1


@pytest.mark.parametrize("change", [{"time": "now"}, {"time": float("nan")}, {"time": 1e300}, {"worker": 5}])
@pytest.mark.parametrize("entry", [LOG, OUTCOME])
def test_a_server_that_talks_nonsense(entry: dict[str, Any], change: dict[str, Any]) -> None:
    with pytest.raises(NotAStream):
        shown("entry", {**entry, **change})
