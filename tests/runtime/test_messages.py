"""The host's request and response."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import BodyTooLarge
from pyworkerd.messages import Body, Response, header, text_response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Source:
    """Three chunks, and whether it was closed."""

    def __init__(self) -> None:
        self.left = [b"one", b"two", b"three"]
        self.closed = 0

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> bytes:
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop(0)

    async def aclose(self) -> None:
        self.closed += 1


def test_bodies_in_hand_and_bodies_that_arrive() -> None:
    async def main() -> None:
        in_hand, arriving = Body(b"onetwothree"), Body(chunks=Source())
        assert (in_hand.data, in_hand.length) == (b"onetwothree", 11)
        assert (arriving.data, arriving.length) == (None, None)
        assert [chunk async for chunk in in_hand] == [b"onetwothree"]
        assert [chunk async for chunk in Body()] == []
        assert await in_hand.read() == await arriving.read() == b"onetwothree"
        assert Body(chunks=Source(), length=11).length == 11

    asyncio.run(main())


@pytest.mark.parametrize("arriving", [True, False])
def test_a_body_beyond_the_limit_is_closed(arriving: bool) -> None:
    async def main() -> None:
        source = Source()
        body = Body(chunks=source) if arriving else Body(b"onetwothree")
        with pytest.raises(BodyTooLarge) as caught:
            await body.read(5)
        assert (caught.value.limit, source.closed) == (5, 1 if arriving else 0)
        fits = Body(chunks=Source()) if arriving else Body(b"onetwothree")
        assert await fits.read(11) == b"onetwothree"

    asyncio.run(main())


def test_closing_reaches_the_source() -> None:
    async def main() -> None:
        source = Source()
        body = Body(chunks=source)
        await body.aclose()
        assert source.closed == 1
        await Body(b"x").aclose()

        async def generator() -> AsyncIterator[bytes]:
            yield b"x"

        generated = Body(chunks=generator())
        await generated.aclose()
        assert await generated.read() == b""

    asyncio.run(main())


def test_a_response_is_read_in_three_ways() -> None:
    async def main() -> None:
        response = Response(200, (("x-a", "b"), ("x-a", "c")), Body('{"a": "ä"}'.encode()))
        assert await response.json() == {"a": "ä"}
        assert await response.text() == '{"a": "ä"}'
        assert await Response(body=Body(b"\xff")).text() == "�"
        assert (response.header("X-A"), response.header("x-b")) == ("b", None)
        with pytest.raises(BodyTooLarge):
            await response.read(3)

    asyncio.run(main())


def test_small_answers_of_the_runtime() -> None:
    response = text_response(404, "ä", [("x-a", "b")])
    assert response.status == 404
    assert response.headers == (("content-type", "text/plain;charset=UTF-8"), ("x-a", "b"))
    assert response.body.data == "ä".encode()
    assert header(response.headers, "x-a") == "b"
