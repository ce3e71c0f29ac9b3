"""One WebSocket between a guest and another: credit both ways, and one end."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.errors import BadEffect
from pyworkerd.websocket import Close, Piece, WebSocket, WebSocketClosed
from pyworkerd_isolates.protocol import CHUNK, PIECE, SOCKET_WINDOW, SocketClose, SocketCredit, SocketSend

from tests.runtime.dispatch.socket_door import Door

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pyworkerd.dispatch.sockets import Sockets


def with_socket(
    test: Callable[[Door, Sockets, WebSocket], Awaitable[None]],
    *,
    accepted: bool = True,
    message_bytes: int = 1_000_000,
) -> None:
    """Run a test with socket 1 of a guest, and the end that somebody else has."""

    async def main() -> None:
        door = Door(message_bytes=message_bytes)
        end = door.sockets.outbound(1, door.invocation(), "chat")
        assert end.protocol == "chat"
        if accepted:
            door.sockets.credit(SocketCredit(1, SOCKET_WINDOW))
        await test(door, door.sockets, end)

    asyncio.run(main())


# to the guest --------------------------------------------------------------------------------------------------------


def test_nothing_is_sent_before_the_guest_accepts() -> None:
    async def test(door: Door, sockets: Sockets, end: WebSocket) -> None:
        sending = asyncio.create_task(end.send("hello"))
        await asyncio.sleep(0)
        assert door.told() == []
        sockets.credit(SocketCredit(1, SOCKET_WINDOW))
        await sending
        assert door.told() == [["ws_message", 1, b"hello", True, True]]

    with_socket(test, accepted=False)


def test_messages_are_cut_to_the_credit() -> None:
    async def test(door: Door, sockets: Sockets, end: WebSocket) -> None:
        sending = asyncio.create_task(end.send("ä" * 50_000))
        await asyncio.sleep(0)
        told = door.told()
        assert sum(len(event[2]) + PIECE for event in told) == SOCKET_WINDOW
        assert not any(event[4] for event in told)
        sockets.credit(SocketCredit(1, SOCKET_WINDOW))
        await sending
        told += door.told()
        assert b"".join(event[2] for event in told).decode() == "ä" * 50_000
        assert [event[4] for event in told] == [False] * (len(told) - 1) + [True]
        assert max(len(event[2]) for event in told) <= CHUNK

    with_socket(test)


def test_empty_messages_count_as_well() -> None:
    async def test(door: Door, sockets: Sockets, end: WebSocket) -> None:
        async def flood() -> None:
            while True:
                await end.send(b"")

        flooding = asyncio.create_task(flood())
        await asyncio.sleep(0)
        assert len(door.told()) == SOCKET_WINDOW // PIECE - 1
        flooding.cancel()

    with_socket(test)


def test_pieces_stay_together_when_two_send() -> None:
    async def test(door: Door, sockets: Sockets, end: WebSocket) -> None:
        sending = [asyncio.create_task(end.send(letter * 100_000)) for letter in (b"a", b"b")]
        data = b""
        while not all(task.done() for task in sending):
            await asyncio.sleep(0)
            for event in door.told():
                data += event[2]
                sockets.credit(SocketCredit(1, len(event[2]) + PIECE))
        assert data == b"a" * 100_000 + b"b" * 100_000

    with_socket(test)


@pytest.mark.parametrize("pieces", [["x" * 101], ["x" * 100, "x"], ["ä" * 51], [b"x" * 50, b"x" * 51]])
def test_a_message_beyond_the_limit_closes_both_ends(pieces: list[str | bytes]) -> None:
    async def test(door: Door, sockets: Sockets, end: WebSocket) -> None:
        await end.push(Piece("x" * 100))
        with pytest.raises(WebSocketClosed) as caught:
            for number, data in enumerate(pieces):
                await end.push(Piece(data, number == len(pieces) - 1))
        assert caught.value.close == Close(1009, "a message is too big", clean=False)
        assert door.told()[-1] == ["ws_closed", 1, 1009, "a message is too big", False]
        assert len(sockets) == 0

    with_socket(test, message_bytes=100)


def test_a_guest_cannot_ask_for_more_than_the_window() -> None:
    async def test(door: Door, sockets: Sockets, end: WebSocket) -> None:
        with pytest.raises(BadEffect, match="more of a WebSocket than the window"):
            sockets.credit(SocketCredit(1, 1))

    with_socket(test)


def test_each_message_renews_the_budgets() -> None:
    async def test(door: Door, sockets: Sockets, end: WebSocket) -> None:
        (socket,) = sockets._open.values()
        socket.owner.cpu_left_ms, socket.owner.subrequests_left = -3.0, 0
        await end.send("x")
        assert (socket.owner.cpu_left_ms, socket.owner.subrequests_left) == (50.0, 7)

    with_socket(test)


# from the guest ------------------------------------------------------------------------------------------------------


def test_messages_of_the_guest() -> None:
    async def test(door: Door, sockets: Sockets, end: WebSocket) -> None:
        receiving = asyncio.create_task(end.receive())
        await asyncio.sleep(0)
        sockets.sent(SocketSend(1, b"\xe2\x82", True, False))
        sockets.sent(SocketSend(1, b"", True, False))
        sockets.sent(SocketSend(1, b"\xac", True, True))
        sockets.sent(SocketSend(1, b"\xff", False, True))
        sockets.sent(SocketSend(1, b"", True, True))
        assert [await receiving, await end.receive(), await end.receive()] == ["€", b"\xff", ""]

    with_socket(test)


@given(st.text(), st.lists(st.integers(0, 200)))
def test_text_may_be_cut_anywhere(text: str, cuts: list[int]) -> None:
    async def test(door: Door, sockets: Sockets, end: WebSocket) -> None:
        data = text.encode()
        edges = sorted(min(cut, len(data)) for cut in cuts)
        for start, stop in zip([0, *edges], [*edges, len(data)], strict=True):
            sockets.sent(SocketSend(1, data[start:stop], True, stop == len(data)))
            if stop == len(data):
                break
        assert await end.receive() == text

    with_socket(test)


def test_the_guest_gets_credit_for_what_is_pulled() -> None:
    async def test(door: Door, sockets: Sockets, end: WebSocket) -> None:
        for _ in range(8):
            sockets.sent(SocketSend(1, b"x" * (SOCKET_WINDOW // 8 - PIECE), False, True))
        assert door.told() == []
        for _ in range(3):
            await end.pull()
        assert door.told() == []
        await end.pull()
        assert door.told() == [["ws_credit", 1, SOCKET_WINDOW // 2]]

    with_socket(test)


BREACHES = {
    "more than the window": [SocketSend(1, b"x" * SOCKET_WINDOW, False, True)],
    "a flood of nothing": [SocketSend(1, b"", False, True)] * (SOCKET_WINDOW // PIECE + 1),
    "text that is not UTF-8": [SocketSend(1, b"\xff", True, True)],
    "text that is cut short": [SocketSend(1, b"\xe2", True, False), SocketSend(1, b"", True, True)],
    "a surrogate": [SocketSend(1, b"\xed\xa0\x80", True, True)],
    "text and bytes": [SocketSend(1, b"a", True, False), SocketSend(1, b"b", False, True)],
}


@pytest.mark.parametrize("name", BREACHES)
def test_breaches(name: str) -> None:
    async def test(door: Door, sockets: Sockets, end: WebSocket) -> None:
        with pytest.raises(BadEffect):
            for effect in BREACHES[name]:
                sockets.sent(effect)

    with_socket(test)


# the end -------------------------------------------------------------------------------------------------------------


def test_the_guest_closes_after_what_it_has_sent() -> None:
    async def test(door: Door, sockets: Sockets, end: WebSocket) -> None:
        sockets.sent(SocketSend(1, b"last", True, True))
        sockets.closed(SocketClose(1, 4000, "bye"))
        with pytest.raises(BadEffect, match="closed"):
            sockets.sent(SocketSend(1, b"more", True, True))
        with pytest.raises(BadEffect, match="twice"):
            sockets.closed(SocketClose(1, 4000, ""))
        with pytest.raises(WebSocketClosed):
            await end.send("the guest takes no more")
        assert await end.pull() == Piece("last")
        assert door.told() == []
        with pytest.raises(WebSocketClosed) as caught:
            await end.receive()
        assert caught.value.close == Close(4000, "bye")
        assert door.told() == [["ws_closed", 1, 4000, "bye", True]]
        assert door.woken == [1]

    with_socket(test)


@pytest.mark.parametrize("close", [Close(1000), Close(4001, "why"), Close(1006, "", clean=False)])
def test_the_other_end_closes(close: Close) -> None:
    async def test(door: Door, sockets: Sockets, end: WebSocket) -> None:
        sockets.sent(SocketSend(1, b"unread", True, True))
        await end.send("first")
        end.end(close)
        end.end(Close(1011))
        assert door.told() == [
            ["ws_message", 1, b"first", True, True],
            ["ws_closed", 1, *close],
        ]
        for use in (end.pull(), end.push(Piece("x"))):
            with pytest.raises(WebSocketClosed) as caught:
                await use
            assert caught.value.close == close
        # What the guest still says crossed this on the way.
        sockets.sent(SocketSend(1, b"late", True, True))
        sockets.closed(SocketClose(1, 1000, ""))
        sockets.credit(SocketCredit(1, 5))
        assert door.told() == []

    with_socket(test)


def test_an_end_wakes_whoever_waits() -> None:
    async def test(door: Door, sockets: Sockets, end: WebSocket) -> None:
        waiting = [asyncio.create_task(end.receive()), asyncio.create_task(end.send(b"x" * 200_000))]
        await asyncio.sleep(0)
        end.end(Close(4002))
        for task in waiting:
            with pytest.raises(WebSocketClosed, match="4002"):
                await task

    with_socket(test)


def test_two_tasks_cannot_receive() -> None:
    async def test(door: Door, sockets: Sockets, end: WebSocket) -> None:
        receiving = asyncio.create_task(end.pull())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="two tasks"):
            await end.pull()
        receiving.cancel()

    with_socket(test)


def test_an_end_that_is_forgotten_has_closed() -> None:
    async def main() -> None:
        door = Door()
        end = door.sockets.outbound(1, door.invocation(), "")
        del end
        gc.collect()
        await asyncio.sleep(0)
        assert door.told() == [["ws_closed", 1, 1001, "", False]]
        assert len(door.sockets) == 0

    asyncio.run(main())


# the account ---------------------------------------------------------------------------------------------------------


def test_what_waits_to_be_pulled_is_held_for_the_isolate() -> None:
    async def test(door: Door, sockets: Sockets, end: WebSocket) -> None:
        for _ in range(3):
            sockets.sent(SocketSend(1, b"x" * 100, False, True))
        assert (door.room.held, door.room.promised) == (3 * (100 + PIECE), 3 * (100 + PIECE))
        await end.pull()
        assert (door.room.held, door.room.promised) == (2 * (100 + PIECE), 2 * (100 + PIECE))
        sockets.closed(SocketClose(1, 1000, ""))
        sockets.release(next(iter(sockets._open.values())).owner)
        assert door.room.held == 2 * (100 + PIECE)  # the reader may still come
        await end.pull()
        end.end(Close(1001, ""))
        assert (door.room.held, door.room.promised) == (0, 0)

    with_socket(test)


def test_what_nobody_will_pull_is_held_no_longer() -> None:
    async def main() -> None:
        door = Door()
        end = door.sockets.outbound(1, door.invocation(), "")
        door.sockets.sent(SocketSend(1, b"x" * 100, False, True))
        (socket,) = door.sockets._open.values()
        socket.give_up(Close(1011, "", clean=False))
        assert door.room.held == 100 + PIECE
        del end
        gc.collect()
        await asyncio.sleep(0)
        assert (door.room.held, door.room.promised) == (0, 0)

    asyncio.run(main())


def test_messages_to_the_guest_are_held_until_a_step_takes_them() -> None:
    async def test(door: Door, sockets: Sockets, end: WebSocket) -> None:
        await end.send(b"x" * 100)
        assert door.room.held == 100 + PIECE
        door.crowd.leaves([1])
        assert door.room.held == 0

    with_socket(test)


def test_where_there_is_no_room_the_slowest_has_to_come_again() -> None:
    async def main() -> None:
        door = Door(places=4)
        ends = [door.sockets.outbound(number, door.invocation(number), "") for number in (1, 3, 5)]
        door.room.limit = 2 * SOCKET_WINDOW
        message = b"x" * (SOCKET_WINDOW - PIECE)
        for number in (1, 3, 5, 5):
            door.sockets.sent(SocketSend(number, message, False, True))
        assert door.told() == [["ws_closed", 5, 1013, "too much waits to be read", False]]
        assert door.counters.limits["websockets"] == 1
        with pytest.raises(WebSocketClosed) as caught:
            await ends[2].pull()
        assert caught.value.close.code == 1013
        for end in ends[:2]:  # the others do not notice
            assert await end.pull() == Piece(message, True)
        assert door.room.held == 0
        door.sockets.end()
        await door.rest()

    asyncio.run(main())
