"""A server on a free port, and a client that says exactly what it is told to say."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import uvloop
from pyworkerd.messages import Body, Request, Response
from pyworkerd.server import Edge, Handler, HttpServer, ServerOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def run(main: Callable[[], Awaitable[None]], loop: str = "uvloop") -> None:
    async def bounded() -> None:
        # Only so that a hanging test fails with a traceback; no test waits for it.
        await asyncio.wait_for(main(), 60)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(bounded())


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> tuple[int, dict[str, str]]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
        return int(lines[0].split(" ")[1]), dict(line.split(": ", 1) for line in lines[1:])

    async def response(self, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        """A response and its body, read by the rules that its head gives. Fails if it is truncated."""
        status, headers = await self.head()
        if method == "HEAD" or status in (204, 304):
            return status, headers, b""
        if headers.get("transfer-encoding") == "chunked":
            return status, headers, await self.chunks()
        if "content-length" in headers:
            return status, headers, await self.reader.readexactly(int(headers["content-length"]))
        return status, headers, await self.reader.read()

    async def chunks(self) -> bytes:
        parts = []
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            parts.append((await self.reader.readexactly(size + 2))[:-2])
        await self.reader.readuntil(b"\r\n")
        return b"".join(parts)

    async def ask(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        self.send(data)
        return await self.response()

    async def rest(self) -> bytes:
        """Everything until the end of the connection; a reset counts as an end."""
        try:
            return await self.reader.read()
        except ConnectionResetError:
            return b""

    async def aclose(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


class Site:
    def __init__(self, server: HttpServer, address: str) -> None:
        self.server, self.address = server, address
        self._clients: list[Client] = []
        self._sockets: list[socket.socket] = []

    async def connect(self, **options: Any) -> Client:
        host, _, port = self.address.rpartition(":")
        client = Client(*await asyncio.open_connection(host.strip("[]"), int(port), **options))
        self._clients.append(client)
        return client

    async def raw(self) -> socket.socket:
        """A connection without a library in between, and a small receive window: what is not read piles up at the
        server.
        """
        host, _, port = self.address.rpartition(":")
        raw = socket.socket()
        self._sockets.append(raw)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, (host, int(port)))
        return raw

    async def stalled(self) -> Client:
        """A client with a small receive window."""
        client = Client(*await asyncio.open_connection(sock=await self.raw(), limit=1024))
        self._clients.append(client)
        return client

    async def ask(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        return await (await self.connect()).ask(data)


@asynccontextmanager
async def site(handler: Handler, edge: Edge | None = None, **options: Any) -> AsyncIterator[Site]:
    server = HttpServer(handler, ServerOptions(**options), edge)
    place = Site(server, await server.start("127.0.0.1:0"))
    try:
        yield place
    finally:
        for client in place._clients:
            await client.aclose()
        for raw in place._sockets:
            raw.close()
        await server.aclose()


async def hello(request: Request) -> Response:
    return Response(200, (("content-type", "text/plain"),), Body(f"{request.method} {request.url}".encode()))


def get(target: str = "/", *lines: str, method: str = "GET") -> bytes:
    return "".join(f"{line}\r\n" for line in (f"{method} {target} HTTP/1.1", "Host: a", *lines, "")).encode(
        "latin-1"
    )


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


__all__ = ["Client", "Site", "chunk", "get", "hello", "run", "site"]
