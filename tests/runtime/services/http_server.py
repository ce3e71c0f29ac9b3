"""A small HTTP/1.1 server on loopback whose answers are written by the test, byte for byte."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path


@dataclass
class Incoming:
    method: str
    target: str
    headers: list[tuple[str, str]]
    reader: asyncio.StreamReader

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    async def chunks(self) -> AsyncIterator[bytes]:
        if self.header("transfer-encoding") == "chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                yield await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            await self.reader.readexactly(2)
            return
        left = int(self.header("content-length") or 0)
        while left:
            chunk = await self.reader.read(min(left, 65536))
            if not chunk:
                raise EOFError
            left -= len(chunk)
            yield chunk

    async def body(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])


@dataclass
class Server:
    port: int = 0
    requests: list[Incoming] = field(default_factory=list)
    connections: int = 0
    """Connections that were ever opened."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client has closed a connection."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


Answer = "Callable[[Incoming, asyncio.StreamWriter], Awaitable[None]]"


def reply(body: bytes = b"", status: str = "200 OK", headers: tuple[str, ...] = ()) -> Answer:
    async def answer(incoming: Incoming, writer: asyncio.StreamWriter) -> None:
        await incoming.body()
        fields = "".join(f"{line}\r\n" for line in (f"content-length: {len(body)}", *headers))
        writer.write(f"HTTP/1.1 {status}\r\n{fields}\r\n".encode("latin-1"))
        writer.write(b"" if incoming.method == "HEAD" else body)

    return answer


def raw(data: bytes) -> Answer:
    """Send these bytes and hang up."""

    async def answer(incoming: Incoming, writer: asyncio.StreamWriter) -> None:
        await incoming.body()
        writer.write(data)
        writer.close()

    return answer


async def _read(reader: asyncio.StreamReader) -> Incoming:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    fields = [line.partition(":") for line in head[1:] if line]
    return Incoming(method, target, [(name.lower(), value.strip()) for name, _, value in fields], reader)


@asynccontextmanager
async def serve(
    answer: Answer, *, tls: ssl.SSLContext | None = None, unix: Path | None = None
) -> AsyncIterator[Server]:
    server = Server()
    tasks: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                incoming = await _read(reader)
                server.requests.append(incoming)
                await answer(incoming, writer)
                await writer.drain()
        except (EOFError, OSError):
            server.gone.set()
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        task = asyncio.get_running_loop().create_task(converse(reader, writer))
        tasks.add(task)

    if unix is not None:
        listener = await asyncio.start_unix_server(connected, str(unix))
    else:
        listener = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
        server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
