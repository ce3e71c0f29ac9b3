"""Two ends joined."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pyworkerd.websocket import Close, Piece, WebSocketClosed, splice

from tests.runtime.websocket.ends import End, pair

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def joined(test: Callable[[End, End, asyncio.Task[None]], Awaitable[None]], room: int = 8) -> None:
    """Run a test with the outer ends of two pairs whose inner ends are spliced."""

    async def main() -> None:
        left, a = pair(room)
        b, right = pair(room)
        task = asyncio.create_task(splice(a, b))
        await test(left, right, task)
        if not task.done():
            left.end(Close())
            await task
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_pieces_go_both_ways_in_order() -> None:
    async def test(left: End, right: End, task: asyncio.Task[None]) -> None:
        sent = [Piece("a", False), Piece("b"), Piece(b"c")]
        for piece in sent:
            await left.push(piece)
            await right.push(piece)
        assert [await left.pull() for _ in sent] == sent
        assert [await right.pull() for _ in sent] == sent

    joined(test)


@pytest.mark.parametrize("close", [Close(1000), Close(4001, "bye"), Close(1006, "", clean=False)])
@pytest.mark.parametrize("from_left", [True, False])
def test_a_close_goes_through(close: Close, from_left: bool) -> None:
    async def test(left: End, right: End, task: asyncio.Task[None]) -> None:
        one, other = (left, right) if from_left else (right, left)
        one.end(close)
        with pytest.raises(WebSocketClosed) as caught:
            await other.pull()
        assert caught.value.close == close
        await task

    joined(test)


def test_what_was_sent_before_a_close_comes_before_it() -> None:
    async def test(left: End, right: End, task: asyncio.Task[None]) -> None:
        await left.send("last words")
        assert await right.receive() == "last words"
        left.end(Close(4000))
        with pytest.raises(WebSocketClosed):
            await right.receive()

    joined(test)


def test_a_reader_that_does_not_read_holds_the_sender_up() -> None:
    async def test(left: End, right: End, task: asyncio.Task[None]) -> None:
        sending = asyncio.create_task(send_all(left, 10))
        while len(right.pieces) < right.room:
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not sending.done()
        assert [await right.receive() for _ in range(10)] == [str(i) for i in range(10)]
        await sending

    joined(test, room=2)


async def send_all(end: End, count: int) -> None:
    for number in range(count):
        await end.send(str(number))


def test_a_close_reaches_a_sender_that_nobody_reads() -> None:
    async def test(left: End, right: End, task: asyncio.Task[None]) -> None:
        right.end(Close(4002))
        with pytest.raises(WebSocketClosed) as caught:
            while True:
                await left.send("x")
        assert caught.value.code == 4002

    joined(test, room=1)


def test_a_splice_that_is_cancelled_closes_both() -> None:
    async def test(left: End, right: End, task: asyncio.Task[None]) -> None:
        await left.send("a")
        await right.receive()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (left.closed, right.closed) == (Close(1011, "", clean=False),) * 2

    joined(test)


@pytest.mark.parametrize("first", [True, False])
def test_an_end_that_breaks_closes_both(first: bool) -> None:
    class Broken(End):
        async def pull(self) -> Piece:
            raise ZeroDivisionError

    async def main() -> None:
        broken, _ = Broken(), None
        inner, outer = pair()
        with pytest.raises(ZeroDivisionError):
            await (splice(broken, inner) if first else splice(inner, broken))
        assert (broken.told, outer.closed) == (Close(1011, "", clean=False),) * 2
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
