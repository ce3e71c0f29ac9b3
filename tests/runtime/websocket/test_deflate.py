"""permessage-deflate, against zlib itself and against another implementation."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.websocket import Piece
from pyworkerd.websocket.deflate import SHORT, Deflate
from pyworkerd.websocket.protocol import DEFLATED_SLICE, Ended, Event, Protocol

from tests.runtime.websocket.ends import frame

MARK = 0b100


def deflated(data: bytes, *, bits: int = 15, final: bool = False) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -bits)
    data = compressor.compress(data)
    if final:
        return data + compressor.flush(zlib.Z_FINISH) + b"\0"  # RFC 7692 section 7.2.3.4
    return data + compressor.flush(zlib.Z_SYNC_FLUSH)[:-4]


def server() -> Protocol:
    return Protocol(client=False, deflate=Deflate())


def receive(protocol: Protocol, data: bytes, slice_: int | None = None) -> list[Event]:
    events: list[Event] = []
    size = slice_ or protocol.slice
    for start in range(0, len(data), size):
        events += protocol.receive(data[start : start + size])
    return events


def whole(events: list[Event]) -> list[str | bytes]:
    """Messages, put together."""
    messages: list[str | bytes] = []
    begun = False
    for event in events:
        assert isinstance(event, Piece), event
        if begun:
            messages[-1] += event.data  # type: ignore[operator]
        else:
            messages.append(event.data)
        begun = not event.end
    return messages


@given(
    st.lists(st.one_of(st.text(), st.binary(), st.text(min_size=200), st.binary(min_size=300))),
    st.integers(1, 64),
)
def test_what_one_end_sends_the_other_receives(messages: list[str | bytes], slice_: int) -> None:
    client, peer = Protocol(client=True, deflate=Deflate()), server()
    data = b"".join(client.send(Piece(message)) for message in messages)
    assert whole(receive(peer, data, slice_)) == messages


def test_short_messages_are_left_as_they_are_and_long_ones_are_not() -> None:
    peer = server()
    assert peer.send(Piece(b"a" * (SHORT - 1))) == bytes([0x82, 126, 0, SHORT - 1]) + b"a" * (SHORT - 1)
    long = peer.send(Piece(b"a" * SHORT))
    assert long[0] == 0xC2
    assert len(long) < 20


def test_a_message_in_pieces_is_marked_once() -> None:
    peer = server()
    frames = [
        peer.send(Piece("a" * 1000, False)),
        peer.send(Piece("", False)),
        peer.send(Piece("b" * 1000, True)),
    ]
    assert [data[0] for data in frames] == [0x41, 0x00, 0x80]
    payload = b"".join(data[2:] for data in frames)
    assert zlib.decompressobj(-12).decompress(payload + b"\0\0\xff\xff") == b"a" * 1000 + b"b" * 1000
    assert peer.send(Piece("c", True))[0] == 0x81


@pytest.mark.parametrize("final", [False, True])
def test_no_window_is_kept_between_messages(final: bool) -> None:
    text = b"the same text again and again" * 20
    peer = server()
    data = frame(1, deflated(text, final=final), rsv=MARK) * 2
    assert whole(receive(peer, data)) == [text.decode()] * 2


def test_control_frames_may_come_between_the_fragments() -> None:
    text = b"hello, hello, hello" * 10
    data = deflated(text)
    peer = server()
    events = peer.receive(
        frame(1, data[:5], fin=False, rsv=MARK)
        + frame(9, b"?")
        + frame(0, data[5:10], fin=False)
        + frame(10)
        + frame(0, data[10:])
    )
    pieces = [event for event in events if isinstance(event, Piece)]
    assert len(events) - len(pieces) == 2
    assert whole(pieces) == [text.decode()]  # type: ignore[arg-type]


def test_an_unmarked_message_is_not_decompressed() -> None:
    assert whole(server().receive(frame(1, b"plain"))) == ["plain"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(1, b"\xff\xff\xff", rsv=MARK), 1007),  # not deflate
        (frame(1, deflated(b"\xff"), rsv=MARK), 1007),  # not UTF-8
        (frame(9, b"", rsv=MARK), 1002),
        (frame(1, deflated(b"a"), fin=False, rsv=MARK) + frame(0, b"", rsv=MARK), 1002),
        (frame(1, deflated(b"a"), rsv=0b110), 1002),
    ],
)
def test_what_is_not_deflate(data: bytes, code: int) -> None:
    end = server().receive(data)[-1]
    assert isinstance(end, Ended)
    assert (end.close.code, end.close.clean) == (code, False)


def test_a_slice_swells_no_further_than_deflate_can() -> None:
    peer = server()
    bomb = frame(2, deflated(bytes(8 << 20)), rsv=MARK)
    assert len(bomb) < 10_000
    sizes = []
    for start in range(0, len(bomb), DEFLATED_SLICE):
        events = peer.receive(bomb[start : start + DEFLATED_SLICE])
        sizes.append(sum(len(event.data) for event in events if isinstance(event, Piece)))
    assert sum(sizes) == 8 << 20
    assert max(sizes) <= DEFLATED_SLICE * 1032 + 1032
