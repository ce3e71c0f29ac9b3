"""CGI: variables of a request, and responses out of what is printed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates.component import cgi
from pyworkerd_isolates.component.account import Account
from pyworkerd_isolates.component.cgi import Printed, variables
from pyworkerd_isolates.errors import ProtocolError


def printed(*pieces):
    responses = []
    out = Printed(Account(), responses.append)
    for piece in pieces:
        out.write(piece)
    return out, responses


def test_variables():
    headers = (
        ("content-type", "a/b"),
        ("content-length", "3"),
        ("x-a", "1"),
        ("x-a", "2"),
        ("proxy", "evil"),
        ("X_A", "evil"),
        ("content_length", "4"),
    )
    found = variables("POST", "https://example.com:8443/a%20b/%00?q=%20", headers)
    assert {name: value.decode() for name, value in found.items()} == {
        "CONTENT_LENGTH": "3", "CONTENT_TYPE": "a/b", "GATEWAY_INTERFACE": "CGI/1.1", "HTTPS": "on",
        "HTTP_X_A": "1, 2", "PATH_INFO": "/a b/\ufffd", "QUERY_STRING": "q=%20", "REQUEST_METHOD": "POST",
        "REQUEST_URI": "/a%20b/%00?q=%20", "SCRIPT_NAME": "", "SERVER_NAME": "example.com", "SERVER_PORT": "8443",
        "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_SOFTWARE": "pyworkerd",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("http://a/", "80"),
        ("https://a/", "443"),
        ("http://[::1]/", "80"),
        ("http://[::1]:81/", "81"),
        ("http://[/", "80"),  # what another worker may say
        ("http://a]:9/", "9"),
        ("nothing", "80"),
    ],
)
def test_ports(url, port):
    assert variables("GET", url, ())["SERVER_PORT"].decode() == port


def test_bytes_are_those_that_the_client_sent():
    found = variables("GET", "http://a/%FF%C3%A9", (("x-a", "\xc3\xa9"),))
    assert (found["PATH_INFO"], found["HTTP_X_A"]) == (b"/\xff\xc3\xa9", b"\xc3\xa9")


@pytest.mark.parametrize(
    ("header", "status", "fields"),
    [
        (b"Content-Type: a/b\n\n", 200, [("content-type", b"a/b")]),
        (b"Status: 404 Not Found\r\nX: y\r\n\r\n", 404, [("x", b"y")]),
        (b"Status: 204\nX: y\n\n", 204, [("x", b"y")]),
        (b"Location: /there\n\n", 302, [("location", b"/there")]),
        (b"Location: /there\nStatus: 301 Moved\n\n", 301, [("location", b"/there")]),
        (b"Transfer-Encoding: chunked\nX: y\n\n", 200, [("x", b"y")]),
    ],
)
def test_headers(header, status, fields):
    _, (response,) = printed(header + b"body")
    assert (response.status, response.headers.entries, response.body.take()) == (status, fields, b"body")


@given(st.integers(0, 20), st.integers(0, 20))
def test_pieces_come_cut_anywhere(first, second):
    text = b"X: y\r\n\r\nthe body"
    cut = sorted((min(first, len(text)), min(second, len(text))))
    out, (response,) = printed(text[: cut[0]], text[cut[0] : cut[1]], text[cut[1] :])
    assert response.body.take() == b"the body"
    assert out.finish()


@pytest.mark.parametrize(
    "text",
    [
        b"no colon\n\n",
        b"Status: 99 x\n\n",
        b"Status: 600\n\n",
        b"Status: 200\x00\n\n",
        b"b ad: x\n\n",
        b"x: \x01\n\n",
        b"x: y\rz: w\n\n",
        b"x: y\x0bz: w\n\n",
        b"te:\n" * 1000 + b"\n",
    ],
)
def test_what_is_no_header(text):
    with pytest.raises(ProtocolError, match="prints a"):
        printed(text)


def test_what_was_looked_at_is_not_looked_at_again_for_each_byte(monkeypatch):
    looked_at = []

    class Watched:
        def search(self, text, start=0):
            looked_at.append(len(text) - start)
            return end.search(text, start)

    end = cgi._END
    monkeypatch.setattr(cgi, "_END", Watched())
    header = b"X: " + b"y" * 1000 + b"\r\n\r\n"
    _, (response,) = printed(*(header[at : at + 1] for at in range(len(header))))
    assert response.headers.entries == [("x", b"y" * 1000)]
    assert sum(looked_at) < 10 * len(header)


def test_a_header_without_end():
    with pytest.raises(ProtocolError, match="too long"):
        printed(*[b"x" * 65536] * 3)
    out, _ = printed(b"X: y\n")
    assert not out.finish()
