"""How processes of a server talk about Durable Objects: frames on a private Unix socket, one connection for each call.

A frame is its length in four bytes and so many bytes. A question is a head (JSON of this runtime's own, with the bytes
of a call beside it) and, for a request, the pieces of its body; so is an answer. A body ends with an empty frame, or
with the length `BROKEN` where the rest of it will not come. Nobody reads ahead: the socket's own buffers are the
back-pressure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pyworkerd_isolates import wire

from pyworkerd.errors import UpstreamError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator

    from pyworkerd.messages import Body

MOST: Final = 33 << 20
"""Bytes of a frame: an RPC message of 32 MiB, and its head."""
PIECE: Final = 65_536
BROKEN: Final = 0xFFFFFFFF


async def send_head(writer: asyncio.StreamWriter, head: list[Any], blob: bytes = b"") -> None:
    """Write a head, with bytes beside it."""
    await send(writer, wire.encode(head, [blob]))


async def send(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Write one frame."""
    writer.write(len(data).to_bytes(4, "big"))
    writer.write(data)
    await writer.drain()


async def send_body(writer: asyncio.StreamWriter, body: Body) -> None:
    """Write a body as it comes. If it breaks, the other side is told, and the error goes on."""
    try:
        async for chunk in body:
            view = memoryview(chunk)
            for start in range(0, len(view), PIECE):
                await send(writer, bytes(view[start : start + PIECE]))
    except ConnectionError:
        await body.aclose()
        raise
    except Exception:
        writer.write(BROKEN.to_bytes(4, "big"))
        raise
    await send(writer, b"")


async def receive_head(reader: asyncio.StreamReader) -> tuple[list[Any], bytes]:
    """A head, and the bytes beside it. Raises `EOFError` or `ValueError`."""
    frame = await receive(reader) or b""
    try:
        head, blobs = wire.decode(frame, max_header=MOST)
    except wire.WireError as error:
        raise ValueError(str(error)) from None
    if type(head) is not list or len(blobs) != 1:
        raise ValueError("another process sent a head that is none")
    return head, bytes(blobs[0])


async def receive(reader: asyncio.StreamReader) -> bytes | None:
    """One frame; None where a body is broken. Raises `EOFError` or `ValueError`."""
    size = int.from_bytes(await reader.readexactly(4), "big")
    if size == BROKEN:
        return None
    if size > MOST:
        raise ValueError("another process sent a frame that is too large")
    return await reader.readexactly(size)


async def receive_body(reader: asyncio.StreamReader) -> AsyncGenerator[bytes, None]:
    """The pieces of a body. Raises `UpstreamError` if it breaks."""
    while True:
        try:
            piece = await receive(reader)
        except (EOFError, OSError, ValueError):
            piece = None
        if piece is None:
            raise UpstreamError("the process of a Durable Object ended before this body was complete")
        if not piece:
            return
        yield piece
