"""What the host holds for one isolate."""

from __future__ import annotations

from pyworkerd.dispatch.room import MAX_BYTES, Room


def test_no_more_can_be_promised_than_there_is() -> None:
    room = Room()
    assert room.has(MAX_BYTES)
    assert not room.has(MAX_BYTES + 1)
    room.promised = MAX_BYTES - 1
    assert room.has(1)
    assert not room.has(2)


def test_what_is_held_does_not_count_twice() -> None:
    told: list[int] = []
    room = Room(10, told.append)
    room.hold(10)
    assert room.has(10)
    room.hold(-4)
    assert (room.held, told) == (6, [10, -4])
