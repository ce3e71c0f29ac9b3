"""Frames over a pair of sockets, however they are cut."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates.errors import OutputTooLarge, Trap
from pyworkerd_isolates.subinterpreter.link import LENGTH, Link

if TYPE_CHECKING:
    from collections.abc import Iterator


def framed(data: bytes) -> bytes:
    return len(data).to_bytes(LENGTH, "little") + data


@pytest.fixture
def ends() -> Iterator[tuple[Link, socket.socket]]:
    ours, theirs = socket.socketpair()
    link = Link(ours)
    yield link, theirs
    link.close()
    theirs.close()


@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(1, 30))
def test_frames_come_whole_and_in_order_however_they_are_cut(frames: list[bytes], piece: int) -> None:
    ours, theirs = socket.socketpair()
    link, received = Link(ours), []
    data = b"".join(map(framed, frames))
    for start in range(0, len(data), piece):
        theirs.sendall(data[start : start + piece])
        while (frame := link.receive(40)) is not None:
            received.append(frame)
    assert received == frames
    link.close()
    theirs.close()


def test_a_frame_that_is_too_long_is_refused_before_it_is_held(ends: tuple[Link, socket.socket]) -> None:
    link, theirs = ends
    theirs.sendall((1 << 60).to_bytes(LENGTH, "little") + b"x" * 200)
    with pytest.raises(OutputTooLarge):
        link.receive(100)


def test_what_finds_no_room_is_sent_later(ends: tuple[Link, socket.socket]) -> None:
    link, theirs = ends
    data = bytes(4 << 20)
    link.send(data)
    assert link.unsent
    received = bytearray()
    while len(received) < len(data) + LENGTH:
        received += theirs.recv(1 << 20)
        link.flush()
    assert bytes(received) == framed(data)
    assert not link.unsent


def test_a_closed_end_is_a_trap(ends: tuple[Link, socket.socket]) -> None:
    link, theirs = ends
    theirs.close()
    with pytest.raises(Trap, match="has ended"):
        link.receive(10)
    with pytest.raises(Trap, match="has ended"):
        link.send(b"x")
    link.wait(0)
