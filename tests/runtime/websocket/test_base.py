"""What programs use of a WebSocket: whole messages, iteration, closing."""

from __future__ import annotations

import asyncio

import pytest
from pyworkerd.websocket import Close, Piece, WebSocketClosed
from pyworkerd.websocket.base import checked, may_be_sent

from tests.runtime.websocket.ends import pair


def test_messages_are_put_together_from_their_pieces() -> None:
    async def main() -> None:
        one, other = pair()
        for piece in (
            Piece("hal", False),
            Piece("", False),
            Piece("lo"),
            Piece(b"a", False),
            Piece(b"b"),
            Piece(""),
        ):
            await one.push(piece)
        assert [await other.receive() for _ in range(3)] == ["hallo", b"ab", ""]
        await other.send("back")
        await other.send(bytearray(b"\0"))  # type: ignore[arg-type]  # whatever bytes() takes
        assert [await one.receive(), await one.receive()] == ["back", b"\0"]

    asyncio.run(main())


@pytest.mark.parametrize("message", ["12345", b"12345", "ää1"])
def test_a_message_beyond_the_limit_closes(message: str | bytes) -> None:
    async def main() -> None:
        one, other = pair()
        half = len(message) // 2
        await one.push(Piece(message[:half], False))
        await one.push(Piece(message[half:]))
        with pytest.raises(WebSocketClosed, match="limited to 4 bytes") as caught:
            await other.receive(4)
        assert (caught.value.code, other.told) == (1009, caught.value.close)
        one, other = pair()
        await one.send(message)
        assert await other.receive(5) == message

    asyncio.run(main())


def test_iterating_ends_with_the_close_and_agrees_to_it() -> None:
    async def main() -> None:
        one, other = pair()
        await one.send("a")
        await one.send("b")
        assert [await anext(other), await anext(other)] == ["a", "b"]
        one.end(Close(4000, "enough"))
        assert [message async for message in other] == []
        assert other.told == Close(4000, "enough")
        with pytest.raises(WebSocketClosed, match="closed with 4000: enough") as caught:
            await other.receive()
        assert (caught.value.code, caught.value.reason) == (4000, "enough")
        with pytest.raises(WebSocketClosed):
            await other.send("too late")
        await other.close()  # harmless

    asyncio.run(main())


def test_a_block_closes_what_it_opened() -> None:
    async def main() -> None:
        one, other = pair()
        async with other:
            pass
        assert one.closed == Close(1000)
        one, other = pair()
        with pytest.raises(KeyError):
            async with other:
                raise KeyError
        assert one.closed == Close(1011)

    asyncio.run(main())


def test_closing_drops_what_still_comes() -> None:
    async def main() -> None:
        one, other = pair()
        await one.send("never read")
        await other.close(3000, "ä" * 61)
        assert one.closed == Close(3000, "ä" * 61)

    asyncio.run(main())


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1014, 3000, 4999])
def test_codes_that_may_be_sent(code: int) -> None:
    assert may_be_sent(code)
    assert checked(code, "why") == Close(code, "why", clean=True)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_536])
def test_codes_that_may_not(code: int) -> None:
    async def main() -> None:
        one, other = pair()
        with pytest.raises(ValueError, match=f"{code} is not a close code"):
            await one.close(code)
        assert other.closed is None

    asyncio.run(main())
    assert not may_be_sent(code)


def test_a_reason_has_its_limit() -> None:
    with pytest.raises(ValueError, match="limited to 123 bytes"):
        checked(1000, "ä" * 62)
