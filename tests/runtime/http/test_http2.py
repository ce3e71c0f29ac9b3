"""A whole HTTP/2 connection without I/O: the vocabulary that it shares with HTTP/1.1, and whatever bytes may come."""

from __future__ import annotations

import h2.connection
import pytest
from h2.errors import ErrorCodes
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.errors import BodyTooLarge
from pyworkerd.http import BodyData, EndOfRequest, HttpLimits, RequestHead
from pyworkerd.http.http2 import ConnectionBroken, Http2, Leaving, Refused, Reset, Room, StreamOver
from pyworkerd.http.http2_frames import PREFACE

LIMITS = HttpLimits(body=100_000)
ASK = [(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/x")]


def session() -> Http2:
    return Http2(LIMITS, 10, 65_536, 0.0)


def client() -> h2.connection.H2Connection:
    made = h2.connection.H2Connection()
    made.initiate_connection()
    return made


def hear(server: Http2, data: bytes) -> list[tuple[int, object]]:
    server.feed(data)
    found: list[tuple[int, object]] = []
    while (portion := server.happenings(0.0)) is not None:
        found += portion
    return found


def test_a_request_is_a_head_a_body_and_an_end() -> None:
    server, peer = session(), client()
    peer.send_headers(1, [*ASK, ("content-length", "5")])
    peer.send_data(1, b"hello", end_stream=True, pad_length=7)
    peer.send_headers(3, ASK, end_stream=True)
    found = [each for each in hear(server, peer.data_to_send()) if not isinstance(each[1], Room)]
    assert [(number, type(happening)) for number, happening in found] == [
        (1, RequestHead), (1, BodyData), (1, EndOfRequest), (3, RequestHead), (3, EndOfRequest),
    ]  # fmt: skip
    heads = [happening for _, happening in found if isinstance(happening, RequestHead)]
    assert [head.body_length for head in heads] == [5, 0]
    assert (1, BodyData(b"hello")) in found


def test_crumbs_are_one_cookie() -> None:
    """RFC 9113 section 8.2.3."""
    server, peer = session(), client()
    peer.send_headers(1, [*ASK, ("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")], end_stream=True)
    (head,) = (each for _, each in hear(server, peer.data_to_send()) if isinstance(each, RequestHead))
    assert sorted(head.headers) == [("cookie", "a=1; b=2"), ("host", "a"), ("x", "y")]


def test_an_answer() -> None:
    server, peer = session(), client()
    peer.send_headers(1, ASK, end_stream=True)
    hear(server, peer.data_to_send())
    server.send_head(1, [(":status", "200"), ("x", "\xe4")], end=False)
    assert server.room(1) == 16_384
    server.send_data(1, b"hi", end=True)
    events = peer.receive_data(server.output())
    assert [type(event).__name__ for event in events][-3:] == [
        "ResponseReceived",
        "DataReceived",
        "StreamEnded",
    ]
    assert server.output() == b""
    for late in (lambda: server.send_data(1, b"more"), lambda: server.room(3), lambda: server.continue_(1)):
        with pytest.raises(StreamOver):
            late()
    server.reset(1, ErrorCodes.CANCEL)  # nothing to end


def test_resets_and_goodbyes() -> None:
    server, peer = session(), client()
    peer.send_headers(1, ASK)
    peer.reset_stream(1)
    assert (1, Reset()) in hear(server, peer.data_to_send())
    assert (0, Leaving()) in hear(server, GoAwayFrame(0).serialize())
    assert hear(server, GoAwayFrame(0).serialize()) == []
    peer.send_headers(3, ASK, end_stream=True)
    assert any(number == 3 for number, _ in hear(server, peer.data_to_send()))
    server.output()
    assert server.go_away() == 3
    assert server.output() == GoAwayFrame(0, last_stream_id=3).serialize()
    server.send_head(3, [(":status", "204")], end=True)  # what has begun can end


def test_a_body_that_is_too_large_is_told_once_and_given_room_for() -> None:
    server, peer = session(), client()
    peer.receive_data(server.output())
    peer.send_headers(1, [(":method", "POST"), *ASK[1:]])
    refused = 0
    for _ in range(20):
        peer.send_data(1, bytes(10_000))
        for number, happening in hear(server, peer.data_to_send()):
            if isinstance(happening, BodyData):
                server.consumed(number, len(happening.data))
            refused += isinstance(happening, Refused) and isinstance(happening.error, BodyTooLarge)
        peer.receive_data(server.output())
    assert refused == 1


HEAD = Encoder().encode(ASK)
FRAMES = st.sampled_from(
    [
        HeadersFrame(1, data=HEAD, flags=["END_HEADERS"]),
        HeadersFrame(3, data=HEAD, flags=["END_HEADERS", "END_STREAM"]),
        HeadersFrame(1, data=HEAD[:3]),
        HeadersFrame(2, data=HEAD, flags=["END_HEADERS"]),
        HeadersFrame(5, data=b"\xff" * 9, flags=["END_HEADERS"]),
        ContinuationFrame(1, data=HEAD[3:], flags=["END_HEADERS"]),
        DataFrame(1, b"x" * 40),
        DataFrame(1, b"x", flags=["END_STREAM"]),
        DataFrame(9, b"x"),
        RstStreamFrame(1, 8),
        RstStreamFrame(7, 8),
        PingFrame(0, b"12345678"),
        PriorityFrame(1, depends_on=1),
        PriorityFrame(1, depends_on=3),
        PushPromiseFrame(1, 2, data=HEAD, flags=["END_HEADERS"]),
        SettingsFrame(0, {3: 0, 4: 0, 6: 1}),
        SettingsFrame(0, {4: 2**31}),
        SettingsFrame(0, {5: 1}),
        SettingsFrame(0, {1: 0}),
        SettingsFrame(0, flags=["ACK"]),
        WindowUpdateFrame(0, 2**31 - 1),
        WindowUpdateFrame(1, 1),
        GoAwayFrame(0),
    ]
).map(lambda frame: frame.serialize())
ON_STREAM_0 = st.sampled_from([b"\0\0\4\0", b"\0\0\x08\1\4", b"\0\0\4\3\0"]).map(
    lambda start: start.ljust(9, b"\0") + bytes(8)
)


@given(st.lists(FRAMES | ON_STREAM_0 | st.binary(max_size=30), max_size=12), st.integers(1, 40))
def test_whatever_comes_there_is_an_event_or_an_end(parts: list[bytes], size: int) -> None:
    server = session()
    data = PREFACE + SettingsFrame(0).serialize() + b"".join(parts)
    answered: set[int] = set()
    try:
        for i in range(0, len(data), size):
            for number, happening in hear(server, data[i : i + size]):
                if isinstance(happening, RequestHead | Refused) and number not in answered:
                    answered.add(number)
                    try:
                        server.send_head(number, [(":status", "200")], end=False)
                        room = server.room(number)
                        server.send_data(number, b"x" * min(room, 3), end=True)
                    except StreamOver:
                        pass
                elif isinstance(happening, BodyData):
                    server.consumed(number, len(happening.data))
            server.output()
    except ConnectionBroken:
        assert server.output()  # which ends with GOAWAY
    server.go_away()
    server.output()
