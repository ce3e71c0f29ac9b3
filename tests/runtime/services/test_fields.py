from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.services import fields

DROPPED = [
    "Connection",
    "Keep-Alive",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Host",
    "Content-Length",
    "Expect",
]


@pytest.mark.parametrize("name", DROPPED)
def test_fields_of_the_connection_do_not_leave(name: str) -> None:
    assert fields.for_request(((name, "x"), ("X-Other", "1"))) == (("x-other", "1"),)


def test_what_connection_names_is_dropped_both_ways() -> None:
    sent = fields.for_request((("Connection", "close, X-Hop"), ("x-hop", "1"), ("x-end", "2")))
    assert sent == (("x-end", "2"),)
    raw = [(b"Connection", b"X-Hop"), (b"X-Hop", b"1"), (b"Set-Cookie", b"a"), (b"Set-Cookie", b"b")]
    got = fields.from_response(raw, max_bytes=1000, max_fields=10)
    assert got == (("set-cookie", "a"), ("set-cookie", "b"))


@pytest.mark.parametrize(
    "field",
    [("", "x"), ("a b", "x"), ("a:", "x"), ("ä", "x"), ("a", "x\r\ny: z"), ("a", "\0"), ("a", "\u20ac")],
)
def test_malformed_fields_are_refused(field: tuple[str, str]) -> None:
    with pytest.raises(ValueError):
        fields.for_request((field,))


@pytest.mark.parametrize("method", ["", "GET ", "G\r\nT", "CONNECT", "trace", "TRACK", "GÉT"])
def test_methods_that_cannot_be_sent(method: str) -> None:
    with pytest.raises(ValueError):
        fields.check_method(method)


@pytest.mark.parametrize("method", ["GET", "PATCH", "PROPFIND", "M-SEARCH"])
def test_methods_that_can(method: str) -> None:
    assert fields.check_method(method) == method


@given(st.text())
def test_text_that_is_utf8_keeps_its_bytes(text: str) -> None:
    as_header = text.encode().decode("latin-1")
    assert fields.for_wire((("a", as_header),)) == [("a", text)]


def test_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(ValueError, match="UTF-8"):
        fields.for_wire((("a", "caf\xe9"),))


def test_an_answer_has_limits() -> None:
    raw = [(b"a", b"b")] * 10
    assert len(fields.from_response(raw, max_bytes=60, max_fields=10)) == 10
    with pytest.raises(ValueError):
        fields.from_response(raw, max_bytes=59, max_fields=10)
    with pytest.raises(ValueError):
        fields.from_response(raw, max_bytes=60, max_fields=9)


@given(st.lists(st.tuples(st.binary(max_size=6), st.binary(max_size=6)), max_size=4))
def test_what_comes_out_of_an_answer_can_be_written_into_another(raw: list[tuple[bytes, bytes]]) -> None:
    try:
        headers = fields.from_response(raw, max_bytes=1000, max_fields=4)
    except ValueError:
        return
    for name, value in headers:
        assert name == name.lower()
        assert not set("\r\n\0") & set(name + value)
        assert fields.for_request(((name, value),)) in (((name, value),), ())
