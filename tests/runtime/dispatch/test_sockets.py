"""The WebSockets of one isolate: numbers are looked up, places are counted, everything ends with its invocation."""

from __future__ import annotations

import asyncio

import pytest
from pyworkerd.dispatch.crowd import CROWD
from pyworkerd.dispatch.sockets import RESTART
from pyworkerd.errors import BadEffect, ExceededWebSockets
from pyworkerd.messages import Response
from pyworkerd.websocket import Close, WebSocketClosed
from pyworkerd_isolates.protocol import PIECE, SOCKET_WINDOW, SocketClose, SocketCredit, SocketSend

from tests.runtime.dispatch.socket_door import Door
from tests.runtime.websocket.ends import End, pair

UNWANTED = Close(1001, "", clean=False)
FAILED = Close(1011, "", clean=False)


async def closed(end: object) -> Close:
    with pytest.raises(WebSocketClosed) as caught:
        while True:
            await end.pull()  # type: ignore[attr-defined]
    return caught.value.close


# sockets that the guest makes ----------------------------------------------------------------------------------------


def test_an_answer_with_a_socket_makes_its_invocation_rest() -> None:
    async def main() -> None:
        door = Door()
        invocation = door.invocation()
        invocation.timer = door.loop.call_later(3600, lambda: None)
        answer = invocation.answer
        assert answer is not None
        door.sockets.answer(invocation, (("sec-websocket-protocol", "v2"),), 1)
        response = answer.result()
        assert isinstance(response, Response)
        assert (response.status, response.web_socket is not None) == (101, True)
        assert response.web_socket is not None
        assert response.web_socket.protocol == "v2"
        assert (invocation.resting, invocation.timer, door.sockets.resting) == (True, None, 1)
        response.web_socket.end(Close())
        assert (invocation.resting, door.sockets.resting, door.woken) == (False, 0, [1])
        assert not invocation.held

    asyncio.run(main())


def test_a_number_that_is_in_use_ends_the_isolate() -> None:
    async def main() -> None:
        door = Door()
        end = door.sockets.outbound(1, door.invocation(), "")
        with pytest.raises(BadEffect, match="twice"):
            door.sockets.outbound(1, door.invocation(), "")
        end.end(Close())
        door.sockets.outbound(1, door.invocation(), "").end(Close())

    asyncio.run(main())


@pytest.mark.parametrize("number", [0, 2, 2**52])
def test_a_socket_that_it_was_never_given_ends_the_isolate(number: int) -> None:
    async def main() -> None:
        door = Door()
        with pytest.raises(BadEffect, match="not given"):
            door.sockets.outbound(number, door.invocation(), "")

    asyncio.run(main())


def test_numbers_of_nothing_are_ignored() -> None:
    async def main() -> None:
        door = Door()
        for number in (1, 2, 99):
            door.sockets.sent(SocketSend(number, b"x", False, True))
            door.sockets.closed(SocketClose(number, 1000, ""))
            door.sockets.credit(SocketCredit(number, SOCKET_WINDOW * 9))
        assert door.told() == []
        assert len(door.sockets) == 0

    asyncio.run(main())


def test_places_are_counted_and_come_back() -> None:
    async def main() -> None:
        door = Door(places=2)
        ends = [door.sockets.outbound(number, door.invocation(), "") for number in (1, 3)]
        invocation = door.invocation()
        answer = invocation.answer
        assert answer is not None
        door.sockets.answer(invocation, (), 5)
        assert isinstance(answer.exception(), ExceededWebSockets)
        assert door.told() == [["ws_closed", 5, 1013, "too many WebSockets", False]]
        assert (invocation.resting, door.counters.limits) == (False, {"websockets": 1})
        given, _ = pair()
        with pytest.raises(ExceededWebSockets):
            door.sockets.inbound(given, door.invocation())
        assert given.told == UNWANTED
        ends[0].end(Close())
        door.sockets.outbound(5, door.invocation(), "").end(Close())
        ends[1].end(Close())
        assert door.places.taken == 0

    asyncio.run(main())


def test_an_answer_that_nobody_waits_for() -> None:
    async def main() -> None:
        door = Door()
        given, _ = pair()
        number = door.sockets.inbound(given, door.invocation())
        door.sockets.discard(7, 1)
        door.sockets.discard(number, 1)
        door.sockets.discard(98, 1)
        assert door.told() == [["ws_closed", 7, 1001, "", False]]
        assert given.told == UNWANTED
        assert door.places.taken == 0

    asyncio.run(main())


# sockets that it is given --------------------------------------------------------------------------------------------


def test_one_that_is_accepted_is_joined() -> None:
    async def main() -> None:
        door = Door()
        given, other = pair()
        number = door.sockets.inbound(given, door.invocation())
        assert number == 2
        await other.send("early")
        door.sockets.credit(SocketCredit(2, SOCKET_WINDOW))
        door.sockets.sent(SocketSend(2, b"hello", True, True))
        assert await other.receive() == "hello"
        while not (told := door.told()):
            await asyncio.sleep(0)
        assert told == [["ws_message", 2, b"early", True, True]]
        assert door.sockets.resting == 0
        other.end(Close(4000, "bye"))
        await door.rest()
        assert door.told() == [["ws_closed", 2, 4000, "bye", True]]
        assert (len(door.sockets), door.places.taken, door.woken) == (0, 0, [])

    asyncio.run(main())


@pytest.mark.parametrize("inside", [True, False])
def test_only_what_comes_from_outside_renews_the_calls_of_a_request(inside: bool) -> None:
    async def main() -> None:
        door = Door()
        maker, other = door.invocation(1), door.invocation(2)
        maker.scope.calls, maker.subrequests_left = 1000, 0
        end = door.sockets.outbound(1, maker, "")
        door.sockets.credit(SocketCredit(1, SOCKET_WINDOW))
        if inside:
            number = door.sockets.inbound(end, other)
            door.sockets.credit(SocketCredit(number, SOCKET_WINDOW))
            door.sockets.sent(SocketSend(number, b"again", True, True))
        else:
            await end.send("again")
        while not (told := door.told()):
            await asyncio.sleep(0)
        assert told == [["ws_message", 1, b"again", True, True]]
        assert (maker.inside, other.inside) == (inside, False)
        assert (maker.subrequests_left, maker.scope.calls) == ((0, 1000) if inside else (7, 0))
        door.sockets.end()
        await door.rest()

    asyncio.run(main())


def test_one_that_is_not_touched_can_be_handed_on() -> None:
    async def main() -> None:
        door = Door()
        given, _ = pair()
        invocation = door.invocation()
        number = door.sockets.inbound(given, invocation)
        assert door.sockets.outbound(number, invocation, "") is given
        with pytest.raises(BadEffect):
            door.sockets.outbound(number, invocation, "")
        assert (door.places.taken, invocation.held, invocation.resting) == (0, set(), False)
        assert given.told is None

    asyncio.run(main())


def test_one_that_is_accepted_cannot_be_handed_on_and_one_that_is_not_takes_nothing() -> None:
    async def main() -> None:
        door = Door()
        given, _ = pair()
        number = door.sockets.inbound(given, door.invocation())
        with pytest.raises(BadEffect, match="had not accepted"):
            door.sockets.sent(SocketSend(number, b"x", False, True))
        door.sockets.credit(SocketCredit(number, 100))
        with pytest.raises(BadEffect, match="has accepted"):
            door.sockets.outbound(number, door.invocation(), "")
        door.sockets.end()
        await door.rest()

    asyncio.run(main())


def test_one_may_be_closed_at_once() -> None:
    async def main() -> None:
        door = Door()
        given, _ = pair()
        door.sockets.closed(SocketClose(door.sockets.inbound(given, door.invocation()), 4000, "no"))
        assert given.told == Close(4000, "no")
        assert door.places.taken == 0

    asyncio.run(main())


# the end -------------------------------------------------------------------------------------------------------------


async def three(door: Door) -> tuple[list[End], object]:
    """One made, one given and accepted, one given and not touched, all of one invocation."""
    invocation = door.invocation()
    made = door.sockets.outbound(1, invocation, "")
    others = []
    for _ in range(2):
        given, other = pair()
        door.sockets.inbound(given, invocation)
        others.append(other)
    door.sockets.credit(SocketCredit(2, SOCKET_WINDOW))
    door.sockets.sent(SocketSend(1, b"sent before", True, True))
    door.sockets.sent(SocketSend(2, b"sent before", True, True))
    door.owner = invocation  # type: ignore[attr-defined]
    return others, made


def test_an_invocation_that_is_done_leaves_nothing_open() -> None:
    async def main() -> None:
        door = Door()
        (accepted, untouched), made = await three(door)
        door.sockets.release(door.owner)  # type: ignore[attr-defined]
        assert door.told() == []
        assert await made.receive() == "sent before"  # type: ignore[attr-defined]
        assert await closed(made) == FAILED
        assert await accepted.receive() == "sent before"
        assert await closed(accepted) == UNWANTED
        assert untouched.closed == UNWANTED
        await door.rest()
        assert (len(door.sockets), door.places.taken) == (0, 0)

    asyncio.run(main())


def test_one_that_passed_a_limit_hears_that_its_sockets_are_closed() -> None:
    async def main() -> None:
        door = Door()
        (accepted, _), made = await three(door)
        door.sockets.break_off(door.owner)  # type: ignore[attr-defined]
        assert sorted(door.told()) == [["ws_closed", number, 1011, "", False] for number in (1, 2)]
        assert await closed(made) == FAILED
        await door.rest()
        assert accepted.closed == FAILED
        door.sockets.end()

    asyncio.run(main())


def test_the_isolate_dies() -> None:
    async def main() -> None:
        door = Door()
        (accepted, untouched), made = await three(door)
        door.sockets.end()
        assert door.told() == []
        assert await closed(made) == FAILED
        await door.rest()
        assert (accepted.closed, untouched.closed) == (FAILED, UNWANTED)
        assert (len(door.sockets), door.places.taken, door.sockets.resting) == (0, 0, 0)

    asyncio.run(main())


def test_the_worker_goes_away() -> None:
    async def main() -> None:
        door = Door()
        (accepted, _), made = await three(door)
        door.sockets.shut(RESTART)
        assert await closed(made) == RESTART
        assert door.told() == [["ws_closed", 1, 1012, "", False]]
        assert accepted.closed is None
        door.sockets.end()
        await door.rest()

    asyncio.run(main())


# a crowd -------------------------------------------------------------------------------------------------------------


def test_messages_of_many_sockets_wait_for_the_next_step() -> None:
    async def main() -> None:
        count = CROWD // SOCKET_WINDOW + 10
        door = Door(places=count)
        ends = []
        for number in range(1, 2 * count, 2):
            ends.append(door.sockets.outbound(number, door.invocation(number), ""))
            door.sockets.credit(SocketCredit(number, SOCKET_WINDOW))
        message = b"x" * (SOCKET_WINDOW - PIECE)
        sending = [asyncio.create_task(end.send(message)) for end in ends]
        await asyncio.sleep(0)
        first = door.told()
        assert len(first) == CROWD // SOCKET_WINDOW
        await asyncio.sleep(0)
        assert door.told() == []
        door.crowd.leaves(range(1, 2 * count, 2))
        await asyncio.gather(*sending)
        assert len(door.told()) == 10
        door.sockets.end()

    asyncio.run(main())


def test_a_crowd_does_not_outlive_its_isolate() -> None:
    async def main() -> None:
        count = CROWD // SOCKET_WINDOW + 1
        door = Door(places=count)
        ends = []
        for number in range(1, 2 * count, 2):
            ends.append(door.sockets.outbound(number, door.invocation(number), ""))
            door.sockets.credit(SocketCredit(number, SOCKET_WINDOW))
        sending = [asyncio.create_task(end.send(b"x" * (SOCKET_WINDOW - PIECE))) for end in ends]
        await asyncio.sleep(0)
        door.sockets.end()
        door.clear(door.crowd.disperse)
        results = await asyncio.gather(*sending, return_exceptions=True)
        assert [type(result) for result in results] == [type(None)] * (count - 1) + [WebSocketClosed]

    asyncio.run(main())
