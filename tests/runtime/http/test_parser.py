"""The parser machine: named cases with the status that they must get, and both parsers against each other."""

from __future__ import annotations

from itertools import pairwise

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyworkerd.errors import ClientError
from pyworkerd.http import PARSERS, BodyData, EndOfRequest, Event, HttpLimits, RequestHead, parser_class

SMALL = HttpLimits(
    request_line=200, head=600, fields=8, body=1000, chunk_line=40, chunk_extensions=60, trailers=100
)
Outcome = tuple[list[tuple[RequestHead, bytes, bool]], int | None]


def run(name: str, pieces: list[bytes], limits: HttpLimits = SMALL) -> Outcome:
    """Requests as (head, body so far, complete), and the status of the fault that ended it, if one did."""
    parser = parser_class(name)(limits)  # type: ignore[arg-type]
    requests: list[tuple[RequestHead, bytes, bool]] = []
    status: int | None = None

    def take(events: list[Event]) -> bool:
        for event in events:
            if isinstance(event, RequestHead):
                requests.append((event, b"", False))
                continue
            head, body, _ = requests[-1]
            more = event.data if isinstance(event, BodyData) else b""
            requests[-1] = (head, body + more, isinstance(event, EndOfRequest))
        return bool(events) and isinstance(events[-1], EndOfRequest)

    try:
        for piece in pieces:
            ended = take(parser.receive(piece))
            while ended:
                ended = take(parser.next_request())
        if parser.error is not None:
            status = parser.error.status
    except ClientError as error:
        status = error.status
    return requests, status


def both(data: bytes, limits: HttpLimits = SMALL) -> Outcome:
    """The outcome that both parsers agree on, in one piece and octet by octet."""
    outcomes = [
        run(name, pieces, limits)
        for name in PARSERS
        for pieces in ([data], [bytes([octet]) for octet in data])
    ]
    assert all(outcome == outcomes[0] for outcome in outcomes), (data, outcomes)
    return outcomes[0]


GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"


def with_fields(*lines: bytes, line: bytes = b"POST / HTTP/1.1", host: bytes = b"Host: a\r\n") -> bytes:
    return line + b"\r\n" + host + b"".join(each + b"\r\n" for each in lines) + b"\r\n"


CHUNKED = with_fields(b"Transfer-Encoding: chunked")

REFUSED: dict[str, tuple[int, bytes]] = {
    "two lengths": (400, with_fields(b"Content-Length: 3", b"Content-Length: 4") + b"abc"),
    "the same length twice": (400, with_fields(b"Content-Length: 3", b"content-length: 3") + b"abc"),
    "a list of lengths": (400, with_fields(b"Content-Length: 3, 3") + b"abc"),
    "a signed length": (400, with_fields(b"Content-Length: +3") + b"abc"),
    "a negative length": (400, with_fields(b"Content-Length: -3") + b"abc"),
    "a hexadecimal length": (400, with_fields(b"Content-Length: 0x3") + b"abc"),
    "a length with a space": (400, with_fields(b"Content-Length: 3 3") + b"abc"),
    "an empty length": (400, with_fields(b"Content-Length:") + b"abc"),
    "an underscore in a length": (400, with_fields(b"Content-Length: 1_0") + b"0123456789"),
    "a superscript length": (400, with_fields(b"Content-Length: \xb2")),
    "a length over the limit": (413, with_fields(b"Content-Length: 1001")),
    "an endless length": (413, with_fields(b"Content-Length: " + b"9" * 90)),
    "length and coding": (400, with_fields(b"Content-Length: 3", b"Transfer-Encoding: chunked")),
    "coding and length": (400, with_fields(b"Transfer-Encoding: chunked", b"Content-Length: 3")),
    "chunked in HTTP/1.0": (400, with_fields(b"Transfer-Encoding: chunked", line=b"POST / HTTP/1.0")),
    "chunked twice": (400, with_fields(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked")),
    "chunked, chunked": (400, with_fields(b"Transfer-Encoding: chunked, chunked")),
    "chunked and an empty one": (400, with_fields(b"Transfer-Encoding: chunked,")),
    "no coding": (400, with_fields(b"Transfer-Encoding:")),
    "capital chunked": (400, with_fields(b"Transfer-Encoding: Chunked")),
    "tab before chunked": (400, with_fields(b"Transfer-Encoding:\tchunked")),
    "tab after chunked": (400, with_fields(b"Transfer-Encoding: chunked\t")),
    "vertical tab before chunked": (400, with_fields(b"Transfer-Encoding: \x0bchunked")),
    "quoted chunked": (501, with_fields(b'Transfer-Encoding: "chunked"')),
    "xchunked": (501, with_fields(b"Transfer-Encoding: xchunked")),
    "identity": (501, with_fields(b"Transfer-Encoding: identity")),
    "gzip, chunked": (501, with_fields(b"Transfer-Encoding: gzip, chunked")),
    "chunked, gzip": (501, with_fields(b"Transfer-Encoding: chunked, gzip")),
    "space before the colon": (400, with_fields(b"Transfer-Encoding : chunked")),
    "tab before the colon": (400, with_fields(b"Content-Length\t: 3")),
    "no colon": (400, with_fields(b"Content-Length 3")),
    "no name": (400, with_fields(b": 3")),
    "folded line": (400, with_fields(b"X: a", b" b")),
    "folded by a tab": (400, with_fields(b"X: a", b"\tb")),
    "folded first line": (400, with_fields(b" X: a", host=b"")),
    "bare LF after a field": (400, b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
    "bare LF everywhere": (400, b"GET / HTTP/1.1\nHost: a\n\n"),
    "bare LF at the end": (400, b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    "bare CR in a value": (400, with_fields(b"X: a\rb")),
    "bare CR as line end": (400, b"GET / HTTP/1.1\rHost: a\r\r"),
    "CR CR LF": (400, with_fields(b"X: a\r")),
    "NUL in a value": (400, with_fields(b"X: a\0b")),
    "NUL in a name": (400, with_fields(b"X\0: a")),
    "control character in a value": (400, with_fields(b"X: \x01")),
    "DEL in a value": (400, with_fields(b"X: \x7f")),
    "latin-1 in a name": (400, with_fields(b"X\xe9: a")),
    "no Host": (400, with_fields(host=b"")),
    "two Hosts": (400, with_fields(b"Host: a")),
    "empty Host": (400, with_fields(host=b"Host:\r\n")),
    "Host with a path": (400, with_fields(host=b"Host: a/b\r\n")),
    "Host with user": (400, with_fields(host=b"Host: u@a\r\n")),
    "Host with a space": (400, with_fields(host=b"Host: a b\r\n")),
    "Host with a list": (400, with_fields(host=b"Host: a b, c\r\n")),
    "Host with a wrong port": (400, with_fields(host=b"Host: a:b\r\n")),
    "Host too long": (400, with_fields(host=b"Host: " + b"a" * 262 + b"\r\n")),
    "invalid Host beside an absolute target": (
        400,
        with_fields(line=b"GET http://a/ HTTP/1.1", host=b"Host: /\r\n"),
    ),
    "CONNECT": (501, with_fields(line=b"CONNECT a:80 HTTP/1.1")),
    "authority-form": (400, with_fields(line=b"GET a:80 HTTP/1.1")),
    "asterisk-form with GET": (400, with_fields(line=b"GET * HTTP/1.1")),
    "another scheme": (400, with_fields(line=b"GET ftp://a/ HTTP/1.1")),
    "user in the target": (400, with_fields(line=b"GET http://u@a/ HTTP/1.1")),
    "no host in the target": (400, with_fields(line=b"GET http:/// HTTP/1.1")),
    "a fragment": (400, with_fields(line=b"GET /a#b HTTP/1.1")),
    "a space in the target": (400, with_fields(line=b"GET /a b HTTP/1.1")),
    "two spaces": (400, with_fields(line=b"GET  / HTTP/1.1")),
    "a tab for a space": (400, with_fields(line=b"GET\t/ HTTP/1.1")),
    "latin-1 in the target": (400, with_fields(line=b"GET /\xe9 HTTP/1.1")),
    "space before the method": (400, with_fields(line=b" GET / HTTP/1.1")),
    "space after the version": (400, with_fields(line=b"GET / HTTP/1.1 ")),
    "a method with a colon": (400, with_fields(line=b"G:T / HTTP/1.1")),
    "HTTP/0.9": (400, b"GET /\r\n\r\n"),
    "small letters in http": (400, with_fields(line=b"GET / http/1.1")),
    "HTTP/1.2": (505, with_fields(line=b"GET / HTTP/1.2")),
    "HTTP/2.0": (505, with_fields(line=b"GET / HTTP/2.0")),
    "HTTP/3": (505, with_fields(line=b"GET / HTTP/3")),
    "HTTP/1.10": (400, with_fields(line=b"GET / HTTP/1.10")),
    "the preface of HTTP/2": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "the start of TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "two empty lines first": (400, b"\r\n\r\n" + GET),
    "an LF first": (400, b"\n" + GET),
    "a long target": (414, with_fields(line=b"GET /" + b"a" * 200 + b" HTTP/1.1")),
    "an endless target": (414, b"GET /" + b"a" * 700),
    "a long value": (431, with_fields(b"X: " + b"a" * 600)),
    "an endless value": (431, b"GET / HTTP/1.1\r\nX: " + b"a" * 700),
    "many fields": (431, with_fields(*[b"X: a"] * 8)),
    "bad octet before the end of a long head": (400, with_fields(b"X: \0" + b"a" * 600)),
    "bad octet after the limit of a long head": (431, with_fields(b"X: " + b"a" * 600 + b"\0")),
    "chunk size with a sign": (400, CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n"),
    "chunk size with 0x": (400, CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n"),
    "chunk size with an underscore": (400, CHUNKED + b"1_0\r\n"),
    "chunk size after a space": (400, CHUNKED + b" 3\r\nabc\r\n0\r\n\r\n"),
    "chunk size before a space": (400, CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n"),
    "chunk size of 17 digits": (400, CHUNKED + b"00000000000000003\r\nabc\r\n0\r\n\r\n"),
    "chunk size that overflows": (413, CHUNKED + b"ffffffffffffffff\r\n"),
    "no chunk size": (400, CHUNKED + b"\r\nabc\r\n0\r\n\r\n"),
    "bare LF after a chunk size": (400, CHUNKED + b"3\nabc\r\n0\r\n\r\n"),
    "bare CR after a chunk size": (400, CHUNKED + b"3\rabc\r\n0\r\n\r\n"),
    "bare LF in an extension": (400, CHUNKED + b"3;a\nb\r\nabc\r\n0\r\n\r\n"),
    "bare CR in an extension": (400, CHUNKED + b"3;a\rb\r\nabc\r\n0\r\n\r\n"),
    "bare LF after chunk data": (400, CHUNKED + b"3\r\nabc\n0\r\n\r\n"),
    "chunk data too long": (400, CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n"),
    "chunk without its end": (400, CHUNKED + b"3\r\nabc0\r\n\r\n"),
    "a long extension": (400, CHUNKED + b"3;" + b"a" * 60 + b"\r\nabc\r\n0\r\n\r\n"),
    "many extensions": (400, CHUNKED + b"1;aaaaaaaaaaaaaaaaaaaaaaaaa\r\na\r\n" * 3),
    "chunks over the limit": (413, CHUNKED + (b"64\r\n" + b"a" * 100 + b"\r\n") * 11),
    "bare LF after the last chunk": (400, CHUNKED + b"0\n\n"),
    "bare LF after the trailers": (400, CHUNKED + b"0\r\nA: b\n\n"),
    "a folded trailer": (400, CHUNKED + b"0\r\nA: b\r\n c\r\n\r\n"),
    "a trailer with a space before the colon": (400, CHUNKED + b"0\r\nA : b\r\n\r\n"),
    "NUL in a trailer": (400, CHUNKED + b"0\r\nA: \0\r\n\r\n"),
    "long trailers": (431, CHUNKED + b"0\r\nA: " + b"b" * 100 + b"\r\n\r\n"),
    "many trailers": (431, CHUNKED + b"0\r\n" + b"A: b\r\n" * 9 + b"\r\n"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_its_status_by_both_parsers(case: str) -> None:
    status, data = REFUSED[case]
    requests, refused = both(data)
    assert refused == status
    assert not any(complete for _, _, complete in requests)


@pytest.mark.parametrize("case", REFUSED)
def test_the_same_fault_after_a_good_request(case: str) -> None:
    status, data = REFUSED[case]
    requests, refused = both(GET + data)
    assert refused == (400 if data[:1] == b"\n" else status)
    assert requests[0][2]
    assert not any(complete for _, _, complete in requests[1:])


ACCEPTED: dict[str, tuple[bytes, list[bytes]]] = {
    "no body": (GET, [b""]),
    "an empty line first": (b"\r\n" + GET + b"\r\n" + GET, [b"", b""]),
    "a body": (with_fields(b"Content-Length: 3") + b"abc" + GET, [b"abc", b""]),
    "leading zeros": (with_fields(b"Content-Length: 0003") + b"abc" + GET, [b"abc", b""]),
    "an empty body": (with_fields(b"Content-Length: 0") + GET, [b"", b""]),
    "chunks": (CHUNKED + b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n" + GET, [b"abc0123456789", b""]),
    "zeros before a chunk size": (CHUNKED + b"003\r\nabc\r\n000\r\n\r\n" + GET, [b"abc", b""]),
    "extensions": (CHUNKED + b'3;a=b;c="d"\r\nabc\r\n0;e\r\n\r\n' + GET, [b"abc", b""]),
    "trailers": (CHUNKED + b"0\r\nA: b\r\nContent-Length: 9\r\n\r\n" + GET, [b"", b""]),
    "small letters": (with_fields(b"transfer-encoding:chunked") + b"0\r\n\r\n" + GET, [b"", b""]),
    "an unknown method": (with_fields(line=b"BREW /pot HTTP/1.1") + GET, [b"", b""]),
    "a method of RTSP": (with_fields(line=b"PLAY /pot HTTP/1.1") + GET, [b"", b""]),
    "a method like PRI": (with_fields(line=b"PRI / HTTP/1.1") + GET, [b"", b""]),
    "an upgrade": (with_fields(b"Connection: upgrade", b"Upgrade: websocket") + GET, [b"", b""]),
    "an upgrade with a body": (
        with_fields(b"Connection: upgrade", b"Upgrade: h2c", b"Content-Length: 3") + b"abc" + GET,
        [b"abc", b""],
    ),
    "HTTP/1.0": (b"GET / HTTP/1.0\r\n\r\n", [b""]),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted_by_both_parsers(case: str) -> None:
    data, bodies = ACCEPTED[case]
    requests, status = both(data)
    assert status is None
    assert [body for _, body, complete in requests if complete] == bodies
    assert len(requests) == len(bodies)


def head_of(data: bytes) -> RequestHead:
    requests, status = both(data)
    assert status is None
    return requests[0][0]


def test_a_head_is_taken_apart() -> None:
    head = head_of(
        b"PUT /a?b=%20|{} HTTP/1.1\r\nHOST: x:81\r\nX-Empty:\r\nX-Latin: \xe9\t\r\nx-latin:  a  b \r\n"
        b"Content-Length: 0\r\nTE: trailers\r\nConnection: keep-alive, x-latin\r\n\r\n"
    )
    assert head == RequestHead(
        method="PUT",
        target="/a?b=%20|{}",
        headers=(
            ("host", "x:81"), ("x-empty", ""), ("x-latin", "\xe9"), ("x-latin", "a  b"),
            ("content-length", "0"),
        ),
        version="1.1",
        authority="x:81",
        keep_alive=True,
        expect_continue=False,
        body_length=0,
        chunked=False,
    )  # fmt: skip


def test_an_absolute_target_replaces_the_host() -> None:
    head = head_of(with_fields(b"X: y", line=b"GET http://[::1]:8080?q HTTP/1.1", host=b"Host: other\r\n"))
    assert head.authority == "[::1]:8080"
    assert head.headers == (("host", "[::1]:8080"), ("x", "y"))


@pytest.mark.parametrize(
    ("line", "fields", "keeps"),
    [
        (b"GET / HTTP/1.1", [], True),
        (b"GET / HTTP/1.1", [b"Connection: close"], False),
        (b"GET / HTTP/1.1", [b"Connection: x , CLOSE"], False),
        (b"GET / HTTP/1.1", [b"Connection: keep-alive", b"Connection: close"], False),
        (b"GET / HTTP/1.0", [], False),
        (b"GET / HTTP/1.0", [b"Connection: Keep-Alive"], True),
    ],
)
def test_keep_alive(line: bytes, fields: list[bytes], keeps: bool) -> None:
    assert head_of(with_fields(*fields, line=line)).keep_alive is keeps


def test_expectation_counts_only_in_1_1_and_with_a_body() -> None:
    expect = b"Expect: 100-Continue"
    assert head_of(with_fields(expect, b"Transfer-Encoding: chunked")).expect_continue
    assert head_of(with_fields(expect, b"Content-Length: 1")).expect_continue
    assert not head_of(with_fields(expect)).expect_continue
    assert not head_of(with_fields(expect, b"Content-Length: 1", line=b"POST / HTTP/1.0")).expect_continue


@pytest.mark.parametrize("name", PARSERS)
def test_the_parser_stops_after_a_request_and_keeps_what_follows(name: str) -> None:
    parser = parser_class(name)(SMALL)  # type: ignore[arg-type]
    assert parser.is_idle
    events = parser.receive(GET + GET[:5])
    assert isinstance(events[-1], EndOfRequest)
    assert parser.buffered == 5
    assert parser.receive(GET[5:]) == []
    assert parser.buffered == len(GET)
    assert isinstance(parser.next_request()[0], RequestHead)
    assert parser.next_request() == []
    assert parser.is_idle
    with pytest.raises(RuntimeError):
        parser.next_request()


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize(
    ("sent", "complete"), [(b"", True), (GET, True), (GET[:4], False), (CHUNKED + b"3\r\na", False)]
)
def test_eof(name: str, sent: bytes, complete: bool) -> None:
    parser = parser_class(name)(SMALL)  # type: ignore[arg-type]
    if sent:
        parser.receive(sent)
    if complete:
        parser.eof()
    else:
        with pytest.raises(ClientError):
            parser.eof()


@pytest.mark.parametrize("name", PARSERS)
def test_a_fault_is_final(name: str) -> None:
    parser = parser_class(name)(SMALL)  # type: ignore[arg-type]
    with pytest.raises(ClientError):
        parser.receive(b"\0")
    for data in (GET, b""):
        with pytest.raises(ClientError):
            parser.receive(data)
    with pytest.raises(ClientError):
        parser.next_request()


# Differential properties

token = st.sampled_from(
    [
        b"GET", b"POST", b"OPTIONS", b"PRI", b"FOO", b"CONNECT", b" ", b"  ", b"\t", b"/", b"/a?b", b"*",
        b"http://h/p", b"a:1", b"#", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"\r\n", b"\r\n", b"\r\n\r\n",
        b"\n",
        b"\r", b"\0",
        b"\x0b",
        b"Host: a", b"Host: b", b"Host:", b"host : a", b"Content-Length: 3", b"Content-Length: 3, 3",
        b"content-length:4",
        b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Transfer-Encoding:\x0bchunked",
        b"Connection: close",
        b"Connection: upgrade", b"Upgrade: h2c", b"Expect: 100-continue", b"X: y", b": z",
        b"X-\xff: \xfe", b"X: \xfe",
        b"0", b"3", b"3;a=b", b"ff", b"abc", b"0\r\n\r\n", b"3\r\nabc\r\n", GET, CHUNKED,
        with_fields(b"Content-Length: 3"), b"abc", b"'", b'"', b"{", b"\x80", b"%",
    ]
)  # fmt: skip
soup = st.lists(token, max_size=20).map(b"".join)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Good requests with a few octets replaced, inserted or removed."""
    good = draw(st.lists(st.sampled_from([data for data, _ in ACCEPTED.values()]), min_size=1, max_size=3))
    data = bytearray(b"".join(good))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(data) - 1))
        width = draw(st.integers(0, 2))
        data[place : place + width] = draw(st.one_of(st.binary(max_size=2), token))
        if not data:
            break
    return bytes(data)


@st.composite
def fragmented(draw: st.DrawFn, source: st.SearchStrategy[bytes]) -> list[bytes]:
    data = draw(source)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    edges = [0, *cuts, len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]


@settings(max_examples=1500, deadline=None)
@given(fragmented(st.one_of(soup, mutated())))
def test_parsers_agree_however_the_input_is_cut(pieces: list[bytes]) -> None:
    whole = run("httptools", [b"".join(pieces)]) if pieces else ([], None)
    assert run("httptools", pieces) == whole
    assert run("h11", pieces) == whole


def h11_alone(data: bytes) -> list[tuple[bytes, bytes]] | None:
    """Method and body of each request as h11 frames them without our help; None if it refuses."""
    found: list[tuple[bytes, bytes]] = []
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                found.append((event.method, b""))
            elif isinstance(event, h11.Data):
                found[-1] = (found[-1][0], found[-1][1] + bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.their_state is not h11.DONE:
                    return found
                connection.start_next_cycle()
            elif event is h11.NEED_DATA:
                return found
            else:
                return found
    except h11.RemoteProtocolError:
        return None


@settings(max_examples=800, deadline=None)
@given(mutated())
def test_what_we_accept_h11_frames_alike(data: bytes) -> None:
    requests, status = run("httptools", [data])
    if status is not None or not requests or not all(complete for _, _, complete in requests):
        return
    theirs = h11_alone(data.removeprefix(b"\r\n"))
    ours = [(head.method.encode(), body) for head, body, _ in requests]
    # h11 stops at the first request that closes or upgrades, and takes no empty line before a later one.
    if theirs is not None:
        assert ours[: len(theirs)] == theirs


@pytest.mark.parametrize("last", [b"GET / HTTP/1.0\r\n\r\n", with_fields(b"Connection: close")])
def test_nothing_follows_a_request_that_closes(last: bytes) -> None:
    assert len(both(GET + last + GET)[0]) == 2
    assert both(GET + last + b"\0")[1] is None
