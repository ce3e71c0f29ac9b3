"""HTTP/2 requests as fields: what is a request, and everything that only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.errors import BadRequest, ClientError
from pyworkerd.http import HttpLimits
from pyworkerd.http.http2_head import read_head
from pyworkerd.http.semantics import HEAD, request_url

LIMITS = HttpLimits(request_line=100, head=1000, fields=5, body=1000)
Fields = list[tuple[bytes, bytes]]


def fields(*regular: tuple[bytes, bytes], **pseudo: bytes | None) -> Fields:
    given: dict[str, bytes | None] = {
        "method": b"GET", "scheme": b"https", "authority": b"a.example", "path": b"/x?y", **pseudo
    }  # fmt: skip
    return [(f":{name}".encode(), value) for name, value in given.items() if value is not None] + list(
        regular
    )


def test_a_request() -> None:
    head = read_head(
        fields((b"accept", b"*/*"), (b"x-latin", b"\xe4"), (b"te", b"trailers"), (b"trailer", b"x")), LIMITS
    )
    assert (head.method, head.target, head.version, head.authority) == ("GET", "/x?y", "2", "a.example")
    assert head.headers == (("host", "a.example"), ("accept", "*/*"), ("x-latin", "\xe4"))
    assert (head.keep_alive, head.expect_continue, head.body_length, head.chunked) == (
        True,
        False,
        None,
        False,
    )
    assert request_url(head, "-", "https") == "https://a.example/x?y"


def test_a_body_is_announced() -> None:
    head = read_head(fields((b"content-length", b"12"), (b"expect", b"100-Continue"), method=b"POST"), LIMITS)
    assert (head.body_length, head.expect_continue) == (12, True)
    assert head.headers == (("host", "a.example"), ("content-length", "12"))


@pytest.mark.parametrize(
    "given_fields",
    [
        fields((b"host", b"a.example"), authority=None),
        fields((b"host", b"a.example")),
        fields(method=b"OPTIONS", path=b"*"),
        fields(scheme=b"http"),
        fields((b"x", b"")),
    ],
)
def test_other_ways_to_say_it(given_fields: Fields) -> None:
    head = read_head(given_fields, LIMITS)
    assert head.authority == "a.example"
    assert [name for name, _ in head.headers].count("host") == 1


REFUSED: dict[str, tuple[Fields, int]] = {
    "no method": (fields(method=None), 400),
    "no path": (fields(path=None), 400),
    "no scheme": (fields(scheme=None), 400),
    "no authority": (fields(authority=None), 400),
    "an empty authority": (fields(authority=b""), 400),
    "two authorities": (fields((b"host", b"b.example")), 400),
    "three hosts": (fields((b"host", b"a.example"), (b"host", b"a.example")), 400),
    "a user in the authority": (fields(authority=b"u@a.example"), 400),
    "a repeated pseudo-header": ([*fields(), (b":path", b"/y")], 400),
    "a pseudo-header after a field": ([(b"x", b"y"), *fields()], 400),
    "an unknown pseudo-header": ([(b":protocol", b"websocket"), *fields()], 400),
    "a response's pseudo-header": ([(b":status", b"200"), *fields()], 400),
    "CONNECT": (fields(method=b"CONNECT"), 501),
    "a method that is no token": (fields(method=b"GE T"), 400),
    "a path with a fragment": (fields(path=b"/x#y"), 400),
    "a path with a blank": (fields(path=b"/x y"), 400),
    "a path with a line end": (fields(path=b"/x\r\nx: y"), 400),
    "a path that is an URL": (fields(path=b"https://b.example/"), 400),
    "a star that is no OPTIONS": (fields(path=b"*"), 400),
    "an empty path": (fields(path=b""), 400),
    "a scheme of another kind": (fields(scheme=b"ftp"), 400),
    "a scheme with more": (fields(scheme=b"https://b.example/?"), 400),
    "a path that is too long": (fields(path=b"/" + b"x" * 100), 414),
    "too many fields": (fields(*[(b"x", b"y")] * 6), 431),
    "a capital": (fields((b"Accept", b"*/*")), 400),
    "an empty name": (fields((b"", b"x")), 400),
    "a blank in a name": (fields((b"a b", b"x")), 400),
    "a colon in a name": (fields((b"a:b", b"x")), 400),
    "a line end in a value": (fields((b"a", b"x\r\nb: y")), 400),
    "a NUL in a value": (fields((b"a", b"x\0")), 400),
    "a value that begins with a blank": (fields((b"a", b" x")), 400),
    "a value that ends with a tab": (fields((b"a", b"x\t")), 400),
    "connection": (fields((b"connection", b"close")), 400),
    "keep-alive": (fields((b"keep-alive", b"1")), 400),
    "proxy-connection": (fields((b"proxy-connection", b"close")), 400),
    "transfer-encoding": (fields((b"transfer-encoding", b"chunked")), 400),
    "upgrade": (fields((b"upgrade", b"websocket")), 400),
    "another te": (fields((b"te", b"gzip")), 400),
    "two lengths": (fields((b"content-length", b"1"), (b"content-length", b"1")), 400),
    "a length with a sign": (fields((b"content-length", b"+1")), 400),
    "a length that is too large": (fields((b"content-length", b"1001")), 413),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str) -> None:
    given_fields, status = REFUSED[case]
    with pytest.raises(ClientError) as caught:
        read_head(given_fields, LIMITS)
    assert caught.value.status == status


NAMES = st.sampled_from(
    [b":method", b":path", b":authority", b":scheme", b"host", b"te", b"a", b"x-y"]
) | st.binary(max_size=8)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=12)), max_size=8))
def test_whatever_passes_could_stand_in_http_1_1(extra: Fields) -> None:
    for candidate in (extra, fields(*extra)):
        try:
            head = read_head(candidate, LIMITS)
        except ClientError:
            continue
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.headers)
        assert HEAD.fullmatch(f"{head.method} {head.target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))


def test_a_refusal_repeats_nothing() -> None:
    with pytest.raises(BadRequest) as caught:
        read_head(fields((b"secret\n", b"x")), LIMITS)
    assert "secret" not in str(caught.value)
