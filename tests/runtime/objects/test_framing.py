"""Frames between processes: what was sent is what comes, and what is none is refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import UpstreamError
from pyworkerd.messages import Body
from pyworkerd.objects.framing import BROKEN, MOST, receive, receive_body, receive_head, send_body, send_head
from pyworkerd.objects.sockets import connect, listen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path


def between(path: Path, write: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> asyncio.StreamReader:
    """What a reader has of what was written, to the end."""

    async def main() -> bytes:
        done = asyncio.Event()
        got = bytearray()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            async def read() -> None:
                got.extend(await reader.read(-1))
                writer.close()
                done.set()

            tasks.append(asyncio.get_running_loop().create_task(read()))

        tasks: list[asyncio.Task[None]] = []
        server = await listen(path, connected)
        _, writer = await connect(path)
        try:
            await write(writer)
        except ValueError:
            pass
        finally:
            writer.close()
        await done.wait()
        server.close()
        return bytes(got)

    return fed(asyncio.run(main()))


def fed(data: bytes) -> asyncio.StreamReader:
    loop = asyncio.new_event_loop()
    try:
        reader = asyncio.StreamReader(loop=loop)
    finally:
        loop.close()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


def test_a_head_and_a_body_cross_also_under_a_very_long_path(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)
    folder.mkdir()

    async def chunks() -> AsyncIterator[bytes]:
        yield b""
        yield b"a" * 200_000
        yield b"b"

    async def write(writer: asyncio.StreamWriter) -> None:
        await send_head(writer, ["call", 1], b"blob")
        await send_body(writer, Body(chunks=chunks()))

    reader = between(folder / "1.sock", write)

    async def read() -> None:
        assert await receive_head(reader) == (["call", 1], b"blob")
        pieces = [piece async for piece in receive_body(reader)]
        assert max(map(len, pieces)) <= 65_536
        assert b"".join(pieces) == b"a" * 200_000 + b"b"

    asyncio.run(read())


def test_a_body_that_breaks_says_so(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"a"
        raise ValueError("no more")

    reader = between(tmp_path / "1.sock", lambda writer: send_body(writer, Body(chunks=chunks())))

    async def read() -> None:
        body = receive_body(reader)
        assert await anext(body) == b"a"
        with pytest.raises(UpstreamError):
            await anext(body)

    asyncio.run(read())


@pytest.mark.parametrize("data", [b"", b"\0\0", b"\0\0\0\5abc", (MOST + 1).to_bytes(4, "big")])
def test_what_is_no_body_breaks(data: bytes) -> None:
    async def read() -> None:
        with pytest.raises(UpstreamError):
            [piece async for piece in receive_body(fed(data))]

    asyncio.run(read())


@pytest.mark.parametrize(
    "data", [b"", b"\0\0\0\0", b"\0\0\0\4abcd", b"\0\0\0\x06\x02\0\0\0{}", BROKEN.to_bytes(4, "big")]
)
def test_what_is_no_head_is_refused(data: bytes) -> None:
    async def read() -> None:
        with pytest.raises((EOFError, ValueError)):
            await receive_head(fed(data))

    asyncio.run(read())


def test_a_broken_frame_is_none() -> None:
    assert asyncio.run(receive(fed(BROKEN.to_bytes(4, "big")))) is None
