"""WebSockets that leave the process, against the `websockets` library's server, and against one that misbehaves."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.errors import AccessDenied, UpstreamError
from pyworkerd.messages import Request, Response
from pyworkerd.services.external import ExternalService
from pyworkerd.services.network import NetworkService
from pyworkerd.websocket import Close, WebSocketClosed
from pyworkerd.websocket.handshake import accept_of
from pyworkerd_config.model import External, Network
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.runtime.websocket.ends import frame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

UPGRADE = (("upgrade", "websocket"),)
EVERYWHERE = Network(allow=("public", "private"))


async def echo(connection: ServerConnection) -> None:
    try:
        async for message in connection:
            if message == "close":
                await connection.close(4000, "as you wish")
            elif message == "vanish":
                connection.transport.abort()
            else:
                await connection.send(message)
    except ConnectionClosed:
        pass


@asynccontextmanager
async def network(model: Network = EVERYWHERE) -> AsyncIterator[NetworkService]:
    service = NetworkService("net", model)
    try:
        yield service
    finally:
        await service.aclose()
        assert len(asyncio.all_tasks()) <= 2


@asynccontextmanager
async def raw(
    answer: Callable[[dict[str, str]], bytes],
) -> AsyncIterator[tuple[str, list[asyncio.StreamReader]]]:
    """A server that answers a handshake with whatever it is told, and then only listens."""
    readers: list[asyncio.StreamReader] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        pairs = [line.split(": ", 1) for line in lines]
        fields = {name.lower(): value for name, value in pairs}
        writer.write(answer(fields))
        readers.append(reader)
        writers.append(writer)

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", readers
    finally:
        for writer in writers:
            writer.close()
        server.close()
        await server.wait_closed()


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(main(), 60)

    asyncio.run(bounded())


def switched(fields: dict[str, str], *more: str) -> bytes:
    lines = (
        "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_of(fields['sec-websocket-key'])}", *more, "", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode()


async def ask(
    service: NetworkService, url: str, *headers: tuple[str, str], redirect: str = "follow"
) -> Response:
    return await service.fetch(Request("GET", url, (*UPGRADE, *headers)), redirect=redirect)


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_messages_both_ways(compression: Any) -> None:
    async def main() -> None:
        async with (
            serve(echo, "127.0.0.1", 0, max_size=None, compression=compression) as server,
            network() as service,
        ):
            port = server.sockets[0].getsockname()[1]
            response = await ask(service, f"http://127.0.0.1:{port}/chat")
            assert (response.status, response.url) == (101, f"http://127.0.0.1:{port}/chat")
            names = {name for name, _ in response.headers}
            assert not {"sec-websocket-accept", "sec-websocket-extensions", "upgrade", "connection"} & names
            socket = response.web_socket
            assert socket is not None
            for message in ("hello", "", b"", b"\0" * 10, "ä" * 200_000, b"x" * 2_000_000):
                await socket.send(message)
                assert await socket.receive() == message
            await socket.close(4001, "bye")
            assert service._client is not None
            while service._client._sockets._open:
                await asyncio.sleep(0)

    run(main)


def test_the_server_closes_or_vanishes() -> None:
    async def main() -> None:
        async with serve(echo, "127.0.0.1", 0) as server, network() as service:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            for message, expected in (
                ("close", Close(4000, "as you wish")),
                ("vanish", Close(1006, "", clean=False)),
            ):
                socket = (await ask(service, url)).web_socket
                assert socket is not None
                await socket.send(message)
                with pytest.raises(WebSocketClosed) as caught:
                    await socket.receive()
                assert caught.value.close == expected

    run(main)


def test_sub_protocols() -> None:
    async def main() -> None:
        async with serve(echo, "127.0.0.1", 0, subprotocols=["v2"]) as server, network() as service:  # type: ignore[list-item]
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            response = await ask(service, url, ("sec-websocket-protocol", "v1, v2"))
            assert response.web_socket is not None
            assert response.web_socket.protocol == "v2"
            assert ("sec-websocket-protocol", "v2") in response.headers
            await response.aclose()

    run(main)


def test_a_refusal_is_an_ordinary_response() -> None:
    async def main() -> None:
        refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
        async with raw(lambda _: refusal) as (url, _), network() as service:
            response = await ask(service, url)
            assert (response.status, response.web_socket, await response.text()) == (403, None, "no")

    run(main)


def test_a_request_that_does_not_ask_is_not_upgraded() -> None:
    async def main() -> None:
        def answer(fields: dict[str, str]) -> bytes:
            seen.append(fields)
            return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

        seen: list[dict[str, str]] = []
        async with raw(answer) as (url, _), network() as service:
            for request in (
                Request("GET", url),
                Request("GET", url, (("upgrade", "h2c"), ("connection", "upgrade"))),
                Request("POST", url, UPGRADE),
            ):
                assert (await service.fetch(request)).status == 200
        assert not any("upgrade" in fields or "sec-websocket-key" in fields for fields in seen)

    run(main)


BAD: dict[str, Callable[[dict[str, str]], bytes]] = {
    "another key": lambda fields: switched({"sec-websocket-key": "x"}),
    "another protocol": lambda fields: switched(fields).replace(b"websocket", b"h2c"),
    "no connection": lambda fields: switched(fields).replace(b"Connection: Upgrade\r\n", b""),
    "an extension": lambda fields: switched(fields, "Sec-WebSocket-Extensions: x-own"),
    "a sub-protocol": lambda fields: switched(fields, "Sec-WebSocket-Protocol: x"),
}


@pytest.mark.parametrize("name", BAD)
def test_answers_that_are_none(name: str) -> None:
    async def main() -> None:
        async with raw(BAD[name]) as (url, readers), network() as service:
            with pytest.raises(UpstreamError):
                await ask(service, url)
            if (
                name == "no connection"
            ):  # to the client it is an answer without a body: it keeps the connection
                await service.aclose()
            assert await readers[0].read() == b""  # the connection is closed

    run(main)


def test_what_comes_right_behind_the_answer_is_not_lost() -> None:
    async def main() -> None:
        early = frame(1, b"early", mask=False) + frame(2, b"x" * 200_000, mask=False)
        async with raw(lambda fields: switched(fields) + early) as (url, readers), network() as service:
            socket = (await ask(service, url)).web_socket
            assert socket is not None
            assert [await socket.receive(), await socket.receive()] == ["early", b"x" * 200_000]
            await socket.send("masked")
            first, second = await readers[0].readexactly(2)
            assert (first, second) == (0x81, 0x80 | 6)
            socket.end(Close())

    run(main)


def test_a_server_that_breaks_the_protocol() -> None:
    async def main() -> None:
        broken = frame(1, b"masked", mask=True)
        async with raw(lambda fields: switched(fields) + broken) as (url, _), network() as service:
            socket = (await ask(service, url)).web_socket
            assert socket is not None
            with pytest.raises(WebSocketClosed, match="1002"):
                await socket.receive()

    run(main)


def test_closing_the_service_closes_what_is_open() -> None:
    async def main() -> None:
        async with serve(echo, "127.0.0.1", 0) as server:
            service = NetworkService("net", EVERYWHERE)
            socket = (
                await ask(service, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
            ).web_socket
            assert socket is not None
            await service.aclose()
            with pytest.raises(WebSocketClosed, match="1006"):
                await socket.receive()

    run(main)


# the policy ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "0177.1", "[::1]", "169.254.169.254", "10.0.0.1"])
def test_addresses_are_checked_like_those_of_any_request(host: str) -> None:
    async def main() -> None:
        async with network(Network(allow=("public",))) as service:
            with pytest.raises(AccessDenied):
                await ask(service, f"http://{host}:9/")

    run(main)


def test_a_redirect_is_followed_and_checked() -> None:
    async def main() -> None:
        async with serve(echo, "127.0.0.1", 0) as server, network() as service:
            port = server.sockets[0].getsockname()[1]
            moved = (
                f"HTTP/1.1 302 Found\r\nLocation: http://localhost:{port}/\r\n"
                "Connection: close\r\nContent-Length: 0\r\n\r\n"
            ).encode()
            async with raw(lambda _: moved) as (url, _):
                response = await ask(service, url)
                assert (response.status, response.url) == (101, f"http://localhost:{port}/")
                await response.aclose()
                assert (await ask(service, url, redirect="manual")).status == 302
        forbidden = b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n"
        model = Network(allow=("127.0.0.0/8",))
        async with raw(lambda _: forbidden) as (url, _), network(model) as service:
            with pytest.raises(AccessDenied):
                await ask(service, url)

    run(main)


def test_an_external_service() -> None:
    async def main() -> None:
        async with serve(echo, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            service = ExternalService("ext", External(address=f"127.0.0.1:{port}"))
            response = await service.fetch(Request("GET", "https://whatever.example/x", UPGRADE))
            assert response.web_socket is not None
            await response.web_socket.send("hello")
            assert await response.web_socket.receive() == "hello"
            await response.web_socket.close()
            await service.aclose()

    run(main)


def test_a_close_frame_of_a_server_is_answered() -> None:
    async def main() -> None:
        closing = frame(8, b"\x03\xe8bye", mask=False)
        async with raw(lambda fields: switched(fields) + closing) as (url, readers), network() as service:
            socket = (await ask(service, url)).web_socket
            assert socket is not None
            with pytest.raises(WebSocketClosed, match="1000: bye"):
                await socket.receive()
            first, masked = await readers[0].readexactly(2)
            assert (first, masked) == (0x88, 0x82)
            assert len(await readers[0].readexactly(6)) == 6
            assert await readers[0].read() == b""

    run(main)
