"""Where log entries go."""

from __future__ import annotations

import io
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.observe.access import AccessEntry
from pyworkerd.observe.logs import FORMATS, PIECE, SHOWN, Brief, Json, LogEntry, Readable, Recent, to_logging

TRACE, REQUEST = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ENTRY = LogEntry(1_800_000_000.25, "shop", 7, "warning", "orders", "two\nlines", REQUEST, TRACE)


def written(entry: LogEntry, **options: bool) -> str:
    stream = io.StringIO()
    Readable(stream, **options)(entry)
    return stream.getvalue()


def test_readable() -> None:
    assert written(ENTRY) == "08:00:00.250 warning  [shop 00f067aa0ba902b7] orders: two\n    lines\n"
    own = ENTRY._replace(worker="", source="pyworkerd.cache", request_id="", trace_id="")
    assert written(own).startswith("08:00:00.250 warning  [pyworkerd] pyworkerd.cache: two\n")


def test_colours_only_where_they_are_wanted() -> None:
    assert written(ENTRY, colour=True).startswith("\x1b[33m")
    assert written(ENTRY, colour=True).endswith("\x1b[0m\n")
    assert "\x1b" not in written(ENTRY, colour=False)
    assert "\x1b" not in written(ENTRY._replace(level="info"), colour=True)


def brief(entry: LogEntry | AccessEntry, *, colour: bool = False) -> str:
    stream = io.StringIO()
    Brief(stream, colour=colour)(entry)
    return stream.getvalue()


def test_brief() -> None:
    assert brief(ENTRY) == "[shop] two\n    lines\n"
    assert brief(ENTRY._replace(worker="")) == "[pyworkerd] two\n    lines\n"
    assert brief(ENTRY, colour=True) == "\x1b[33m[shop] two\n    lines\x1b[0m\n"
    request = AccessEntry(
        0.0,
        REQUEST,
        TRACE,
        "203.0.113.9",
        "POST",
        "a",
        "/cart\x1b",
        "HTTP/1.1",
        503,
        "exceeded_cpu",
        1,
        2,
        51.2,
        "s",
        True,
    )
    assert brief(request) == "POST /cart\\x1b 503 (51 ms, cold, exceeded_cpu)\n"
    assert brief(request, colour=True) == "POST /cart\\x1b \x1b[31m503\x1b[0m (51 ms, cold, exceeded_cpu)\n"
    gone = request._replace(status=0, method="", path="", cold=False, error="cancelled")
    assert brief(gone) == "-  - (51 ms, cancelled)\n"


@given(st.builds(LogEntry, st.just(0.0), st.text(), st.integers(), st.text(), st.text(), st.text()))
def test_no_entry_can_forge_a_brief_line(entry: LogEntry) -> None:
    first, *others = brief(entry).removesuffix("\n").split("\n")
    assert first.startswith("[")
    assert all(line.startswith("    ") for line in others)


def test_formats() -> None:
    stream = io.StringIO()
    for make in FORMATS.values():
        make(stream, False)(ENTRY)
    assert stream.getvalue().count("orders") == 2
    assert list(FORMATS) == ["readable", "json", "brief"]


@given(st.builds(LogEntry, st.just(0.0), st.text(), st.integers(), st.text(), st.text(), st.text()))
def test_no_entry_can_forge_a_line_or_reach_the_terminal(entry: LogEntry) -> None:
    first, *others = written(entry).removesuffix("\n").split("\n")
    assert first.startswith("00:00:00.000 ")
    assert all(line.startswith("    ") for line in others)
    assert not [char for char in first if ord(char) < 32 and char != "\t"]


def test_json_is_one_ascii_line_with_every_field() -> None:
    stream = io.StringIO()
    Json(stream)(ENTRY._replace(message="\x1b\n\u202e\ud800"))
    assert stream.getvalue().isascii()
    assert stream.getvalue().count("\n") == 1
    assert json.loads(stream.getvalue()) == {
        "event": "log",
        "time": 1_800_000_000.25,
        "worker": "shop",
        "invocation": 7,
        "level": "warning",
        "source": "orders",
        "message": "\x1b\n\u202e\ud800",
        "request_id": REQUEST,
        "trace_id": TRACE,
    }


@pytest.mark.parametrize("sink", [Readable, Json])
@given(st.lists(st.integers(1, 3 * PIECE), max_size=8))
def test_what_is_written_at_once_fits_into_a_pipe(sink: type[Readable | Json], sizes: list[int]) -> None:
    pieces: list[str] = []

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            pieces.append(text)
            return len(text)

    entries = [ENTRY._replace(message="x" * size) for size in sizes]
    sink(Stream()).write(entries)
    assert all(len(piece) <= PIECE or piece.count("\n") == 1 for piece in pieces)
    single = io.StringIO()
    for entry in entries:
        sink(single)(entry)
    assert "".join(pieces) == single.getvalue()


@pytest.mark.parametrize("sink", [Readable, Json])
def test_entries_are_cut(sink: type[Readable | Json]) -> None:
    stream = io.StringIO()
    sink(stream)(ENTRY._replace(message="x" * (SHOWN + 5)))
    assert SHOWN < len(stream.getvalue()) < SHOWN + 300
    assert "(5 characters more)" in stream.getvalue()


def test_recent_keeps_the_newest() -> None:
    recent = Recent(2)
    for number in range(3):
        recent(ENTRY._replace(invocation=number))
    assert [entry.invocation for entry in recent.entries] == [1, 2]


def test_to_logging(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        to_logging(ENTRY._replace(message="100 % %s"))
        to_logging(ENTRY._replace(level="strange"))
    assert caplog.record_tuples[0] == ("pyworkerd.worker.shop", logging.WARNING, "100 % %s")
    assert caplog.record_tuples[1][1] == logging.INFO


def test_recent_entries_are_bounded_in_number_and_in_text() -> None:
    recent = Recent(kept=3, characters=10)
    for number in range(5):
        recent(ENTRY._replace(invocation=number, message="ab"))
    assert [entry.invocation for entry in recent.entries] == [2, 3, 4]
    recent(ENTRY._replace(invocation=5, message="x" * 8))
    assert [entry.invocation for entry in recent.entries] == [4, 5]
    recent(ENTRY._replace(invocation=6, message="x" * 1000))
    assert [entry.invocation for entry in recent.entries] == [6]
