from __future__ import annotations

import pytest
from pyworkerd.http import PARSERS, HttpLimits, RequestHead, parser_class
from pyworkerd.http.semantics import request_url


def url(data: bytes) -> str:
    head = parser_class("httptools")(HttpLimits()).receive(data)[0]
    assert isinstance(head, RequestHead)
    return request_url(head, "here:80")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"GET /a?b HTTP/1.1\r\nHost: x:1\r\n\r\n", "http://x:1/a?b"),
        (b"GET //evil/a HTTP/1.1\r\nHost: x\r\n\r\n", "http://x//evil/a"),
        (b"GET https://y/a HTTP/1.1\r\nHost: x\r\n\r\n", "http://y/a"),
        (b"GET HTTP://y?q=// HTTP/1.1\r\nHost: x\r\n\r\n", "http://y/?q=//"),
        (b"GET http://y HTTP/1.1\r\nHost: x\r\n\r\n", "http://y/"),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "http://x/"),
        (b"GET /a HTTP/1.0\r\n\r\n", "http://here:80/a"),
    ],
)
def test_request_url(data: bytes, expected: str) -> None:
    assert url(data) == expected


def test_every_parser_of_the_table_can_be_made() -> None:
    for name in PARSERS:
        assert parser_class(name)(HttpLimits()).is_idle
