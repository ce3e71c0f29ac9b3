"""The access log: what a line has, and that no client can write one."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.observe.access import (
    HOST_CHARACTERS,
    PATH_CHARACTERS,
    AccessEntry,
    as_json,
    as_text,
    split_url,
)
from pyworkerd.observe.logs import Json, Readable

TRACE, REQUEST = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ENTRY = AccessEntry(
    1_800_000_000.25, REQUEST, TRACE, "203.0.113.9", "POST", "shop.example.com", "/cart", "HTTP/1.1", 503,
    "exceeded_cpu", 12, 345, 51.26, "shop", True,
)  # fmt: skip


def test_readable() -> None:
    assert as_text(ENTRY) == (
        f"08:00:00.250 request  [shop {REQUEST}] POST shop.example.com/cart 503 in 51.3 ms, 12 B in, 345 B out, "
        f"203.0.113.9 HTTP/1.1, trace {TRACE} cold exceeded_cpu\n"
    )
    refused = ENTRY._replace(
        client="", method="", host="", path="", protocol="", status=0, error="", service="", cold=False
    )
    assert as_text(refused) == (
        f"08:00:00.250 request  [{REQUEST}] - - in 51.3 ms, 12 B in, 345 B out, unix -, trace {TRACE}\n"
    )


@given(st.builds(AccessEntry, st.floats(0, 4e9), st.just(REQUEST), st.just(TRACE), st.text(), st.text(), st.text(),
                 st.text(), st.just("HTTP/1.1"), st.integers(0, 599), st.just(""), st.integers(0), st.integers(0),
                 st.floats(0, 1e9), st.text(), st.booleans()))  # fmt: skip
def test_json_is_one_ascii_line_with_every_field(entry: AccessEntry) -> None:
    line = as_json(entry)
    assert line.isascii()
    assert line.count("\n") == 1
    event = json.loads(line)
    assert event.pop("event") == "request"
    assert list(event) == list(AccessEntry._fields)
    for name in ("time", "duration_ms"):
        assert event.pop(name) == pytest.approx(getattr(entry, name), abs=1e-3)
    assert event == {name: getattr(entry, name) for name in event}


@given(st.text(), st.text(), st.text(), st.text())
def test_no_client_can_forge_a_line_or_reach_the_terminal(
    client: str, method: str, host: str, path: str
) -> None:
    line = as_text(ENTRY._replace(client=client, method=method, host=host, path=path))
    assert line.count("\n") == 1
    assert not [char for char in line[:-1] if ord(char) < 32 and char != "\t"]


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("http://a", "a", "/"),
        ("http://a:80/b/c", "a:80", "/b/c"),
        ("https://a/b?token=secret", "a", "/b"),
        ("http://a/b?x=/y#z", "a", "/b"),
        ("http://a?token=secret/x", "a", "/"),
        ("http://a/b#token=secret", "a", "/b"),
        ("http://user:secret@a/b@c", "a", "/b@c"),
        ("http://[::1]:80//x://y", "[::1]:80", "//x://y"),
        ("http://" + "h" * 300 + "/" + "p" * 3000, "h" * HOST_CHARACTERS, "/" + "p" * (PATH_CHARACTERS - 1)),
    ],
)
def test_what_of_a_url_is_logged(url: str, host: str, path: str) -> None:
    assert split_url(url) == (host, path)


def test_both_kinds_of_entries_go_the_same_way() -> None:
    for sink, form in ((Readable, as_text), (Json, as_json)):
        stream = io.StringIO()
        sink(stream)(ENTRY)
        assert stream.getvalue() == form(ENTRY)
    assert (ENTRY.worker, ENTRY.characters, ENTRY.shown()) == ("", 4 + 16 + 5, ENTRY)
