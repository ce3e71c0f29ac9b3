"""Header fields: what the SDK's HTTPMessage answers, and what may not be sent."""

from __future__ import annotations

from http.client import HTTPMessage

import pytest
from guest_workers.headers import Headers, media_type, parameter
from hypothesis import given
from hypothesis import strategies as st

names = st.text(alphabet="abcXYZ-_", min_size=1, max_size=5)
values = st.text(alphabet=[*map(chr, range(0x20, 0x7F)), *map(chr, range(0x80, 0x100)), "\t"], max_size=8)


@pytest.mark.parametrize(
    "init",
    [
        {"X-A": "1", "x-b": "2"},
        [("X-A", "1"), ("x-b", "2")],
        (["x-a", "1"], ["X-B", "2"]),
        Headers({"x-a": "1", "X-b": 2}),
    ],
)
def test_it_is_made_of_mappings_pairs_and_headers(init: object) -> None:
    headers = Headers(init)
    assert headers.items() == [("x-a", "1"), ("x-b", "2")]
    assert headers.keys() == ["x-a", "x-b"]
    assert headers.values() == ["1", "2"]
    assert list(headers) == headers.keys()
    assert len(headers) == 2
    assert Headers().items() == []
    assert Headers()


def test_names_have_no_case() -> None:
    headers = Headers({"Content-Type": "a/b"})
    assert headers["CONTENT-type"] == headers.get("content-type") == "a/b"
    assert "CONTENT-TYPE" in headers
    headers["content-TYPE"] = "c/d"
    assert headers.items() == [("content-type", "c/d")]


def test_what_is_missing_is_none_as_in_an_http_message() -> None:
    headers, message = Headers(), HTTPMessage()
    assert headers["x"] is message["x"] is None
    assert headers.get("x", "d") == message.get("x", "d") == "d"
    assert headers.get_all("x") is message.get_all("x") is None
    assert headers.get_all("x", []) == message.get_all("x", []) == []
    assert ("x" in headers) is ("x" in message) is False
    assert 5 not in headers
    del headers["x"]
    del message["x"]
    assert headers.get_content_type() == message.get_content_type() == "text/plain"
    assert headers.get_content_charset() is message.get_content_charset() is None


def test_repeated_fields_are_joined_and_cookies_are_not() -> None:
    pairs = [("Accept-Encoding", "deflate"), ("Set-Cookie", "a=b, c=d"), ("accept-encoding", "gzip")]
    headers = Headers([*pairs, ("set-cookie", "e=f"), ("cookie", "a=1"), ("cookie", "b=2")])
    assert headers.get_all("Accept-Encoding") == ["deflate, gzip"]
    assert headers.get_all("Set-Cookie") == headers.get_set_cookie() == ["a=b, c=d", "e=f"]
    assert headers["set-cookie"] == "a=b, c=d, e=f"
    assert headers["cookie"] == "a=1; b=2"
    assert headers.items()[-2:] == [("set-cookie", "a=b, c=d"), ("set-cookie", "e=f")]
    assert Headers._of(headers.items()) == headers == headers.copy()


def test_fields_are_appended_replaced_and_deleted() -> None:
    headers = Headers({"a": "1", "Set-Cookie": "x=1"})
    headers.append("a", 2)
    headers.set("set-cookie", "y=2")
    headers.append("set-cookie", "z=3")
    copy = headers.copy()
    assert headers["a"] == "1, 2"
    assert headers.get_all("set-cookie") == ["y=2", "z=3"]
    headers.delete("A")
    del headers["SET-cookie"]
    assert len(headers) == 0
    assert len(copy) == 3


@pytest.mark.parametrize(
    ("value", "text"), [(123, "123"), (1.5, "1.5"), (True, "true"), (" a b\t", "a b"), ("", "")]
)
def test_values_are_written_as_javascript_does(value: object, text: str) -> None:
    assert Headers({"a": value})["a"] == text


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\n", "é", "a\0", "(a)", "a "])
def test_bad_names_are_refused(name: str) -> None:
    for attempt in (
        lambda: Headers({name: "x"}),
        lambda: Headers([(name, "x")]),
        lambda: Headers().set(name, "x"),
    ):
        with pytest.raises(ValueError, match="Invalid header name"):
            attempt()


@pytest.mark.parametrize(
    "value", ["a\r\nb: c", "a\nb", "a\rb", "a\0", "\0", "€", "\ud800", "a\x1b[0m", "\x7f"]
)
def test_bad_values_are_refused(value: str) -> None:
    headers = Headers()
    for attempt in (headers.append, headers.set, headers.__setitem__, lambda n, v: Headers([(n, v)])):
        with pytest.raises(ValueError, match="Invalid header value"):
            attempt("a", value)
    assert len(headers) == 0


@pytest.mark.parametrize(
    "init", [{"a": b"x"}, {"a": None}, {"a": ["x"]}, {b"a": "x"}, ["ab"], [("a", "b", "c")], "ab", 5]
)
def test_other_types_are_refused(init: object) -> None:
    with pytest.raises(TypeError):
        Headers(init)


@given(st.lists(st.tuples(names, values)))
def test_it_says_what_it_was_told(pairs: list[tuple[str, str]]) -> None:
    headers = Headers(pairs)
    for name, _ in pairs:
        told = [value.strip(" \t\r\n") for key, value in pairs if key.lower() == name.lower()]
        assert headers.get_all(name.swapcase()) == [", ".join(told)]
    assert Headers(headers) == headers
    assert set(headers) == {name.lower() for name, _ in pairs}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("Text/HTML; charset=utf-8", "text/html"),
        (" a/b ", "a/b"),
        ("text", ""),
        ("", ""),
        ("/b", ""),
        ("a/b c", ""),
    ],
)
def test_media_types(value: str, kind: str) -> None:
    assert media_type(value) == kind
    assert Headers({"content-type": value}).get_content_type() == (kind or "text/plain")


@pytest.mark.parametrize(
    ("value", "name", "found"),
    [
        ('form-data; name="a b"; filename="c;d"', "name", "a b"),
        ('form-data; name="a b"; filename="c;d"', "filename", "c;d"),
        (r'x; name="C:\dir\"; filename="\\"', "name", "C:\\dir\\"),
        ("x; NAME=a", "name", "a"),
        ('x; name=a"b', "name", None),
        ("x;name=", "name", ""),
        ('x; filename="name=no"; name=yes', "name", "yes"),
        ("x", "name", None),
        ('x; name="unfinished', "name", None),
    ],
)
def test_parameters(value: str, name: str, found: str | None) -> None:
    assert parameter(value, name) == found


def test_the_charset_is_lower_case() -> None:
    assert Headers({"content-type": 'text/plain; charset="UTF-8"'}).get_content_charset() == "utf-8"
