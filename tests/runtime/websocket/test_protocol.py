"""Frames to events and back, as RFC 6455 section 5 to 7 has it; both roles against each other."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.websocket import Close, Piece
from pyworkerd.websocket.protocol import PONG, Ended, Event, Ping, Protocol

from tests.runtime.websocket.ends import frame


def server() -> Protocol:
    return Protocol(client=False)


def ended(events: list[Event]) -> Ended:
    assert isinstance(events[-1], Ended)
    return events[-1]


def test_messages_in_one_frame_and_in_several() -> None:
    peer = server()
    parts = frame(1, b"a", fin=False) + frame(0, b"", fin=False) + frame(0, b"b")
    data = frame(1, b"one") + frame(2, b"\0\xff") + parts
    assert peer.receive(data) == [
        Piece("one"), Piece(b"\0\xff"), Piece("a", False), Piece("b"),
    ]  # fmt: skip
    assert peer.receive(frame(1)) == [Piece("")]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 200_000])
@pytest.mark.parametrize("client", [True, False])
def test_sizes(size: int, client: bool) -> None:
    one, other = Protocol(client=client), Protocol(client=not client)
    events = other.receive(one.send(Piece(b"x" * size)))
    assert b"".join(event.data for event in events if isinstance(event, Piece)) == b"x" * size  # type: ignore[misc]
    assert isinstance(events[-1], Piece)
    assert events[-1].end


@given(st.lists(st.one_of(st.text(), st.binary())), st.integers(1, 9))
def test_however_the_network_cuts_it(messages: list[str | bytes], cut: int) -> None:
    client, peer = Protocol(client=True), server()
    data = b"".join(client.send(Piece(message)) for message in messages)
    events: list[Event] = []
    for start in range(0, len(data), cut):
        events += peer.receive(data[start : start + cut])
    together: list[str | bytes] = []
    begun = False
    for event in events:
        assert isinstance(event, Piece)
        if begun:
            together[-1] += event.data  # type: ignore[operator]
        else:
            together.append(event.data)
        begun = not event.end
    assert together == messages


def test_pings_and_pongs() -> None:
    peer = server()
    data = frame(1, b"a", fin=False) + frame(9, b"?" * 125) + frame(0, b"b") + frame(10, b"unasked")
    assert peer.receive(data) == [Piece("a", False), Ping(b"?" * 125), Piece("b"), PONG]
    assert peer.pong(b"x") == bytes([0x8A, 1]) + b"x"
    assert peer.ping() == bytes([0x89, 0])


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 1012, 3000, 4999])
def test_a_close_is_answered_with_the_same(code: int) -> None:
    peer = server()
    end = ended(peer.receive(frame(8, struct.pack("!H", code) + "weil ä".encode())))
    assert end.close == Close(code, "weil ä", clean=True)
    assert end.answer == bytes([0x88, 2]) + struct.pack("!H", code)
    assert peer.receive(frame(1, b"more")) == []


def test_a_close_without_a_code() -> None:
    end = ended(server().receive(frame(8)))
    assert (end.close, end.answer) == (Close(1005, "", clean=True), bytes([0x88, 0]))


def test_a_close_of_our_own_is_over_with_the_answer() -> None:
    peer = server()
    assert peer.close(Close(4001, "ä" * 100)) == bytes([0x88, 124, 0x0F, 0xA1]) + ("ä" * 61).encode()
    assert peer.pong(b"") == b""
    assert peer.receive(frame(1, b"still")) == [Piece("still")]
    end = ended(peer.receive(frame(8, struct.pack("!H", 4001))))
    assert (end.close, end.answer) == (Close(4001), b"")


@pytest.mark.parametrize(
    ("close", "payload"),
    [
        (Close(1000), b"\x03\xe8"),
        (Close(1005), b""),
        (Close(1006, "", clean=False), b"\x03\xf3"),
        (Close(1015, "x", clean=False), b"\x03\xf3x"),
        (Close(1009, "", clean=False), b"\x03\xf1"),
    ],
)
def test_codes_that_are_never_sent_become_others(close: Close, payload: bytes) -> None:
    assert server().close(close) == bytes([0x88, len(payload)]) + payload


BAD = {
    "not masked": (frame(1, b"a", mask=False), 1002),
    "reserved bit 1": (frame(1, b"a", rsv=4), 1002),
    "reserved bit 2": (frame(1, b"a", rsv=2), 1002),
    "reserved bit 3": (frame(9, b"", rsv=1), 1002),
    **{f"opcode {opcode}": (frame(opcode), 1002) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "continuation of nothing": (frame(0, b"a"), 1002),
    "message within a message": (frame(1, b"a", fin=False) + frame(1, b"b"), 1002),
    "ping in fragments": (frame(9, b"a", fin=False), 1002),
    "ping too long": (frame(9, b"a" * 126), 1002),
    "close of one byte": (frame(8, b"\x03"), 1002),
    **{f"close {code}": (frame(8, struct.pack("!H", code)), 1002)
       for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535)},
    "close with a reason that is not UTF-8": (frame(8, b"\x03\xe8\xff"), 1007),
    "size in more bytes than needed": (b"\x82\xfe\x00\x01" + bytes(4), 1002),
    "size in eight bytes, not needed": (b"\x82\xff" + (200).to_bytes(8, "big") + bytes(4), 1002),
    "size with the highest bit": (b"\x82\xff" + (1 << 63).to_bytes(8, "big") + bytes(4), 1002),
    "text that is not UTF-8": (frame(1, b"a\xff"), 1007),
    "a surrogate": (frame(1, b"\xed\xa0\x80"), 1007),
    "a character that is cut short": (frame(1, b"\xe2\x82"), 1007),
    "a character that is cut short, in fragments": (frame(1, b"\xe2", fin=False) + frame(0, b"\x82"), 1007),
    "UTF-8 in too many bytes": (frame(1, b"\xc0\xaf"), 1007),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("cut", [1, 1000])
def test_what_breaks_the_protocol(name: str, cut: int) -> None:
    data, code = BAD[name]
    peer = server()
    events: list[Event] = []
    for start in range(0, len(data), cut):
        events += peer.receive(data[start : start + cut])
    end = ended(events)
    assert (end.close.code, end.close.clean) == (code, False)
    assert end.answer == bytes([0x88, 2]) + struct.pack("!H", code)
    assert peer.receive(frame(1, b"more")) == []


def test_a_character_may_be_cut_by_fragments() -> None:
    events = server().receive(frame(1, b"\xe2\x82", fin=False) + frame(9) + frame(0, b"\xac"))
    assert [event for event in events if isinstance(event, Piece)] == [Piece("€")]


def test_a_client_refuses_masked_frames() -> None:
    end = ended(Protocol(client=True).receive(frame(1, b"a")))
    assert end.close.code == 1002


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_an_end(data: bytes) -> None:
    peer = server()
    peer.receive(data)
    peer.receive(data)
