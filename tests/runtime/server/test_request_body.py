from __future__ import annotations

import asyncio

import pytest
from pyworkerd.errors import BadRequest, RequestTimeout
from pyworkerd.server.request_body import RequestBody

from tests.runtime.server.client import run


def body() -> tuple[RequestBody, list[str]]:
    calls: list[str] = []
    return RequestBody(lambda: calls.append("wanted"), lambda: calls.append("change")), calls


def test_pieces_in_order_then_the_end() -> None:
    async def main() -> None:
        stream, calls = body()
        stream.feed(b"ab")
        stream.feed(b"c")
        assert stream.size == 3
        assert await anext(stream) == b"ab"
        assert (stream.size, calls) == (1, ["change"])
        stream.finish()
        # All of it is there: what happens to the connection now does not matter.
        stream.fail(BadRequest())
        assert [piece async for piece in stream] == [b"c"]

    run(main)


def test_a_waiting_reader_asks_and_is_woken() -> None:
    async def main() -> None:
        stream, calls = body()
        reading = asyncio.ensure_future(anext(stream))
        loop = asyncio.get_running_loop()
        loop.call_soon(stream.feed, b"a")
        assert await reading == b"a"
        assert calls == ["wanted", "change"]
        reading = asyncio.ensure_future(anext(stream))
        loop.call_soon(stream.finish)
        with pytest.raises(StopAsyncIteration):
            await reading

    run(main)


def test_a_failure_comes_after_what_arrived_before_it() -> None:
    async def main() -> None:
        stream, _ = body()
        stream.feed(b"a")
        stream.fail(RequestTimeout())
        stream.fail(BadRequest())
        assert await anext(stream) == b"a"
        with pytest.raises(RequestTimeout):
            await anext(stream)

    run(main)


def test_a_closed_body_drops_what_comes_and_cannot_be_read() -> None:
    async def main() -> None:
        stream, calls = body()
        stream.feed(b"a")
        await stream.aclose()
        await stream.aclose()
        stream.feed(b"b")
        assert (stream.size, stream.is_closed, calls) == (0, True, ["change"])
        with pytest.raises(BadRequest):
            await anext(stream)

    run(main)


def test_two_readers_are_a_mistake() -> None:
    async def main() -> None:
        stream, _ = body()
        asked = asyncio.Event()
        stream._on_wanted = asked.set
        first = asyncio.ensure_future(anext(stream))
        await asked.wait()
        with pytest.raises(RuntimeError):
            await anext(stream)
        stream.feed(b"a")
        assert await first == b"a"

    run(main)
