"""The parser machine, and both parsers against each other; what is refused and what is not is
`tests/conformance`."""

from __future__ import annotations

from itertools import pairwise

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyworkerd.errors import ClientError
from pyworkerd.http import PARSERS, BodyData, EndOfRequest, Event, HttpLimits, RequestHead, parser_class

from tests.conformance.corpus import SMALL, load

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
ACCEPTED = [case.whole for case in load() if case.goes_on and case.sees]


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
        upgrade=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "fields", "asks"),
    [
        (b"GET / HTTP/1.1", [b"Connection: upgrade", b"Upgrade: websocket"], True),
        (b"GET / HTTP/1.1", [b"connection: keep-alive ,\tUPGRADE", b"uPGRADE: h2c, WebSocket"], True),
        (
            b"GET / HTTP/1.1",
            [b"Connection: a", b"Connection: upgrade", b"Upgrade: x", b"Upgrade: websocket"],
            True,
        ),
        (b"GET / HTTP/1.1", [b"Connection: upgrade", b"Upgrade: websocket", b"Content-Length: 0"], True),
        (b"GET / HTTP/1.1", [b"Connection: upgrade", b"Upgrade: h2c"], False),
        (b"GET / HTTP/1.1", [b"Connection: upgrade", b"Upgrade: websocket/13"], False),
        (b"GET / HTTP/1.1", [b"Connection: x", b"Upgrade: websocket"], False),
        (b"GET / HTTP/1.1", [b"Upgrade: websocket"], False),
        (b"GET / HTTP/1.1", [b"Connection: upgrade"], False),
        (b"GET / HTTP/1.1", [b"Connection: upgrade, close", b"Upgrade: websocket"], False),
        (b"GET / HTTP/1.1", [b"Connection: upgrade", b"Upgrade: websocket", b"Content-Length: 1"], False),
        (
            b"GET / HTTP/1.1",
            [b"Connection: upgrade", b"Upgrade: websocket", b"Transfer-Encoding: chunked"],
            False,
        ),
        (b"GET / HTTP/1.0", [b"Connection: upgrade, keep-alive", b"Upgrade: websocket"], False),
        (b"POST / HTTP/1.1", [b"Connection: upgrade", b"Upgrade: websocket"], False),
    ],
)
def test_a_request_for_a_websocket_is_told_apart(line: bytes, fields: list[bytes], asks: bool) -> None:
    head = head_of(with_fields(*fields, line=line))
    assert head.upgrade is asks
    assert (("upgrade", "websocket") in head.headers) is asks
    assert not any(name == "connection" for name, _ in head.headers)


@pytest.mark.parametrize("name", PARSERS)
def test_what_follows_an_upgrade_belongs_to_the_other_protocol(name: str) -> None:
    parser = parser_class(name)(SMALL)  # type: ignore[arg-type]
    request = with_fields(b"Connection: upgrade", b"Upgrade: websocket", line=b"GET / HTTP/1.1")
    assert len(parser.receive(request + b"\x81\x80")) == 2
    parser.receive(b"\0\0\0\0")
    assert parser.take_rest() == b"\x81\x80\0\0\0\0"
    assert parser.take_rest() == b""


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
    good = draw(st.lists(st.sampled_from(ACCEPTED), min_size=1, max_size=3))
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


PARTS = st.lists(
    st.sampled_from(
        [
            GET,
            GET.replace(b" / ", b" /other "),
            GET.replace(b"GET", b"POST"),
            GET.replace(b"GET", b"CONNECT"),
            GET.replace(b"GET", b"QUERY"),
            GET.replace(b"1.1", b"1.0"),
            GET.replace(b"1.1", b"2.0"),
            GET.replace(b" / ", b" http://b.example/ "),
            GET.replace(b" / ", b" / x"),
            GET.replace(b" / ", b" /" + b"a" * 182 + b" "),
            GET.replace(b" / ", b" /" + b"a" * 200 + b" "),
            GET.replace(b"GET / HTTP/1.1\r\n", b""),
            GET.replace(b"GET", b"\r\nGET"),
            GET.replace(b"1\r\n", b"1\r\nConnection: close\r\n"),
            GET.replace(b"1\r\n", b"1\r\nConnection: keep-alive\r\n"),
            GET.replace(b"1\r\n", b"1\r\nX-A: b\r\n"),
            GET.replace(b"1\r\n", b"1\r\nContent-Length: 3\r\n") + b"abc",
            GET.replace(b"1\r\n", b"1\r\nContent-Length: 0\r\n"),
            CHUNKED + b"3\r\nabc\r\n0\r\n\r\n",
        ]
    ),
    max_size=6,
)


@pytest.mark.parametrize("name", PARSERS)
@given(parts=PARTS)
def test_fields_that_are_repeated_mean_what_they_would_alone(name: str, parts: list[bytes]) -> None:
    """What a parser remembers of a connection's requests changes nothing of what it makes of the next."""
    alone: Outcome = ([], None)
    for part in parts:
        seen, status = run(name, [part])
        alone = (alone[0] + seen, status)
        if status is not None or not all(head.keep_alive and complete for head, _, complete in seen):
            break
    assert run(name, [b"".join(parts)]) == alone
    assert run(name, parts) == alone
