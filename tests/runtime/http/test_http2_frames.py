"""The guard before the library: nothing is lost or reordered, portions are bounded, floods end."""

from __future__ import annotations

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.http.http2_frames import BURST, MAX_FRAME, PREFACE, RATE, FloodError, Frames

LIMIT = 1000


def frames() -> Frames:
    made = Frames(LIMIT, 0.0)
    made.feed(PREFACE)
    assert made.take(1, 0.0) == PREFACE
    return made


def everything(guard: Frames, now: float = 0.0) -> bytes:
    parts = []
    while guard.buffered and not guard.is_stuck:
        parts.append(guard.take(64, now))
    return b"".join(parts)


HEAD = HeadersFrame(1, data=b"h" * 50, flags=["END_HEADERS"]).serialize()
IDLE = {
    "ping": PingFrame(0, b"12345678"),
    "settings": SettingsFrame(0, {1: 5}),
    "acknowledged settings": SettingsFrame(0, flags=["ACK"]),
    "reset": RstStreamFrame(1, 8),
    "priority": PriorityFrame(1, depends_on=3),
    "window": WindowUpdateFrame(0, 1),
    "empty data": DataFrame(1, b""),
    "padding": DataFrame(1, b"", pad_length=200, flags=["PADDED"]),
    "go away": GoAwayFrame(0),
}


@pytest.mark.parametrize("name", IDLE)
def test_a_flood_of_frames_that_ask_for_nothing(name: str) -> None:
    guard = frames()
    frame = IDLE[name].serialize()
    guard.feed(frame * BURST)
    assert len(everything(guard)) == (0 if name == "go away" else len(frame) * BURST)
    guard.feed(frame)
    with pytest.raises(FloodError):
        guard.take(1, 0.0)


def test_unknown_frames_are_counted_too() -> None:
    guard = frames()
    guard.feed((b"\0\0\0\xee\0\0\0\0\0") * (BURST + 1))
    with pytest.raises(FloodError):
        everything(guard)


def test_time_and_what_was_sent_pay_for_them() -> None:
    guard, frame = frames(), PingFrame(0, b"12345678").serialize()
    guard.feed(frame * BURST)
    everything(guard)
    guard.feed(frame * RATE)
    assert everything(guard, 1.01) == frame * RATE
    guard.credit(7)
    guard.feed(frame * 7)
    everything(guard, 1.01)
    guard.feed(frame)
    with pytest.raises(FloodError):
        guard.take(1, 1.01)


def test_time_that_is_asked_for_often_is_not_lost() -> None:
    guard, frame = frames(), PingFrame(0, b"12345678").serialize()
    guard.feed(frame * BURST)
    everything(guard)
    for i in range(1000):  # a thousand looks in ten seconds
        guard.take(1, i / 100)
    guard.feed(frame * (RATE * 9))
    everything(guard, 10.0)


def test_requests_and_bodies_cost_nothing() -> None:
    guard = frames()
    body = DataFrame(1, b"x").serialize() + DataFrame(1, b"", flags=["END_STREAM"]).serialize()
    for _ in range(3):
        guard.feed((HEAD + body) * BURST)
        assert everything(guard) == (HEAD + body) * BURST


def test_a_header_block_has_an_end() -> None:
    begin = HeadersFrame(1, data=b"h" * 500).serialize()
    for last, ok in ((490, True), (600, False)):
        guard = frames()
        guard.feed(begin)
        everything(guard)
        assert guard.in_head
        guard.feed(ContinuationFrame(1, data=b"c" * last, flags=["END_HEADERS"]).serialize())
        if ok:
            everything(guard)
            assert not guard.in_head
        else:
            with pytest.raises(FloodError):
                everything(guard)
    guard = frames()
    guard.feed(begin + ContinuationFrame(1, data=b"").serialize() * (BURST + 1))
    with pytest.raises(FloodError):
        everything(guard)


def test_a_frame_that_is_too_large_is_refused_by_its_header() -> None:
    """The library would gather sixteen megabytes first."""
    for length, ok in ((MAX_FRAME, True), (MAX_FRAME + 1, False), (0xFFFFFF, False)):
        guard = frames()
        guard.feed(length.to_bytes(3, "big") + b"\0\0\0\0\0\x01")
        if ok:
            guard.take(1, 0.0)
        else:
            with pytest.raises(FloodError) as caught:
                guard.take(1, 0.0)
            assert caught.value.code == 6


def test_portions_are_bounded_and_the_rest_waits() -> None:
    guard = frames()
    guard.feed(HEAD * 10)
    assert guard.take(3, 0.0) == HEAD * 3
    assert guard.buffered == len(HEAD) * 7
    assert not guard.is_stuck
    assert everything(guard) == HEAD * 7
    guard.feed(HEAD[:8])
    assert guard.is_stuck
    assert guard.take(1, 0.0) == b""
    guard.feed(HEAD[8:20])
    assert guard.take(1, 0.0) == HEAD[:20]
    assert not guard.buffered
    guard.feed(HEAD[20:])
    assert guard.take(0, 0.0) == HEAD[20:]


FRAMES = st.lists(
    st.sampled_from([HEAD, DataFrame(1, b"x" * 300).serialize(), *(f.serialize() for f in IDLE.values())]),
    max_size=12,
)


@given(FRAMES, st.lists(st.integers(1, 400), min_size=1, max_size=20), st.integers(1, 5))
def test_however_it_is_cut_all_but_goaway_comes_through(
    sent: list[bytes], sizes: list[int], portion: int
) -> None:
    guard, data, got, i = Frames(LIMIT, 0.0), PREFACE + b"".join(sent), [], 0
    while data:
        size = sizes[i % len(sizes)]
        guard.feed(data[:size])
        data, i = data[size:], i + 1
        while guard.buffered and not guard.is_stuck:
            got.append(guard.take(portion, 0.0))
    farewell = IDLE["go away"].serialize()
    assert b"".join(got) == PREFACE + b"".join(each for each in sent if each != farewell)
    assert guard.leaving == (farewell in sent)


@given(st.binary(max_size=300))
def test_arbitrary_bytes(data: bytes) -> None:
    guard = Frames(LIMIT, 0.0)
    guard.feed(data)
    while guard.buffered and not guard.is_stuck:
        before = guard.buffered
        try:
            guard.take(2, 0.0)
        except FloodError:
            return
        assert guard.buffered < before
