"""From HTTP/1.1 to a WebSocket and to its end, over real sockets."""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING

import pytest
from pyworkerd.messages import Body, Request, Response
from pyworkerd.server import HttpServer
from pyworkerd.websocket import Close, splice
from pyworkerd.websocket.handshake import accept_of
from pyworkerd.websocket.options import WireOptions

from tests.runtime.server.client import Client, get, run, site
from tests.runtime.websocket.ends import End, frame, pair, read_frame

if TYPE_CHECKING:
    from pyworkerd.messages import Headers
    from pyworkerd.observe.access import AccessEntry

LOOPS = ["asyncio", "uvloop"]
PARSERS = ["httptools", "h11"]
KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
UPGRADE = ("Upgrade: websocket", "Connection: keep-alive, Upgrade")
HANDSHAKE = (*UPGRADE, "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}")


class Worker:
    """A handler that accepts, and keeps its own ends."""

    def __init__(self, headers: Headers = ()) -> None:
        self.headers = headers
        self.ends: list[End] = []
        self.requests: list[Request] = []

    async def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        own, given = pair()
        self.ends.append(own)
        return Response(101, self.headers, web_socket=given)


async def opened(client: Client, *more: str) -> dict[str, str]:
    client.send(get("/chat", *HANDSHAKE, *more))
    status, headers = await client.head()
    assert status == 101
    return headers


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("parser", PARSERS)
def test_a_connection_becomes_a_websocket(loop: str, parser: str) -> None:
    async def main() -> None:
        worker = Worker((("set-cookie", "a=b"), ("upgrade", "x"), ("sec-websocket-accept", "forged")))
        async with site(worker, parser=parser) as place:
            client = await place.connect()
            headers = await opened(client)
            assert headers.pop("x-request-id")
            assert headers.keys() == {
                "upgrade",
                "connection",
                "sec-websocket-accept",
                "set-cookie",
                "date",
                "server",
            }
            assert headers["sec-websocket-accept"] == accept_of(KEY)
            assert ("upgrade", "websocket") in worker.requests[0].headers
            own = worker.ends[0]
            client.send(frame(1, b"hello"))
            assert await own.receive() == "hello"
            await own.send(b"\0")
            assert await read_frame(client.reader) == (0x82, b"\0")
            statistics = place.server.statistics()
            assert (statistics.web_sockets_now, statistics.connections_now, statistics.active_now) == (
                1,
                1,
                0,
            )
            client.send(frame(8, struct.pack("!H", 1000)))
            assert await read_frame(client.reader) == (0x88, struct.pack("!H", 1000))
            assert await client.rest() == b""
            while place.server.statistics().connections_now:
                await asyncio.sleep(0)
            assert own.closed == Close(1000)
            assert place.server.statistics().web_sockets_now == 0

    run(main, loop)


def test_frames_right_behind_the_request_are_not_lost() -> None:
    async def main() -> None:
        worker = Worker()
        async with site(worker) as place:
            client = await place.connect()
            client.send(get("/", *HANDSHAKE) + frame(1, b"early") + frame(1, b"bird"))
            assert (await client.head())[0] == 101
            assert [await worker.ends[0].receive() for _ in range(2)] == ["early", "bird"]

    run(main)


def test_bytes_are_counted_before_and_after_the_upgrade_and_the_request_is_logged() -> None:
    log: list[AccessEntry] = []

    async def main() -> None:
        worker = Worker()
        async with site(worker, access_log=log.append) as place:
            client = await place.connect()
            opening, frames = get("/", *HANDSHAKE), [frame(1, b"early"), frame(1, b"later")]
            client.send(opening + frames[0])
            head = await client.reader.readuntil(b"\r\n\r\n")
            await worker.ends[0].receive()
            client.send(frames[1])
            await worker.ends[0].receive()
            await worker.ends[0].send(b"answer")
            await read_frame(client.reader)
            statistics = place.server.statistics()
            assert statistics.received == len(opening) + sum(map(len, frames))
            assert statistics.sent == len(head) + 2 + len(b"answer")
            assert statistics.answers[1] == 1
            ((status, sent),) = [(entry.status, entry.bytes_out) for entry in log]
            assert (status, sent) == (101, len(head))

    run(main)


def test_a_connection_can_be_upgraded_after_requests() -> None:
    async def main() -> None:
        worker = Worker()

        async def handler(request: Request) -> Response:
            return (
                await worker(request) if request.url.endswith("/chat") else Response(200, (), Body(b"plain"))
            )

        async with site(handler) as place:
            client = await place.connect()
            assert (await client.ask(get("/")))[2] == b"plain"
            assert (await client.ask(get("/", *HANDSHAKE)))[2] == b"plain"  # an offer is only an offer
            await opened(client)

    run(main)


def test_the_worker_chooses_a_sub_protocol() -> None:
    async def main() -> None:
        async with site(Worker((("sec-websocket-protocol", "v2"),))) as place:
            client = await place.connect()
            assert (await opened(client, "Sec-WebSocket-Protocol: v1, v2"))["sec-websocket-protocol"] == "v2"
            status, headers, _ = await place.ask(get("/", *HANDSHAKE, "Sec-WebSocket-Protocol: v1"))
            assert (status, headers["x-pyworkerd-error"]) == (500, "bad_effect")

    run(main)


def test_compression_is_agreed_on_and_can_be_switched_off() -> None:
    async def main() -> None:
        offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
        async with site(Worker()) as place:
            headers = await opened(await place.connect(), offer)
            assert headers["sec-websocket-extensions"].startswith(
                "permessage-deflate; server_no_context_takeover"
            )
        async with site(Worker(), web_socket=WireOptions(compress=False)) as place:
            assert "sec-websocket-extensions" not in await opened(await place.connect(), offer)

    run(main)


BAD = {
    "no key": ((*UPGRADE, "Sec-WebSocket-Version: 13"), 400),
    "no version": ((*UPGRADE, f"Sec-WebSocket-Key: {KEY}"), 400),
    "old version": ((*UPGRADE, "Sec-WebSocket-Version: 8", f"Sec-WebSocket-Key: {KEY}"), 426),
    "bad key": ((*UPGRADE, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: short"), 400),
    "bad extensions": ((*HANDSHAKE, "Sec-WebSocket-Extensions: ;"), 400),
    "no upgrade": (HANDSHAKE[1:], 500),
    "no connection": ((HANDSHAKE[0], *HANDSHAKE[2:]), 500),
    "another upgrade": (("Upgrade: h2c", *HANDSHAKE[1:]), 500),
    "connection: close": ((UPGRADE[0], "Connection: close, upgrade", *HANDSHAKE[2:]), 500),
    "a body": ((*HANDSHAKE, "Content-Length: 1"), 500),
    "nothing of it": ((), 500),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_handshake_is_refused_and_the_worker_hears_of_it(name: str) -> None:
    async def main() -> None:
        worker = Worker()
        lines, expected = BAD[name]
        async with site(worker) as place:
            client = await place.connect()
            client.send(get("/", *lines) + (b"x" if "Content-Length: 1" in lines else b""))
            status, headers, _ = await client.response()
            assert status == expected
            if status == 426:
                assert headers["sec-websocket-version"] == "13"
                assert headers["upgrade"] == "websocket"
            if status == 500:
                assert headers["x-pyworkerd-error"] == "bad_effect"
            assert worker.ends[0].closed == Close(1001, "", clean=False)
            # In any case the connection has stayed with HTTP.
            if "Connection: close, upgrade" not in lines:
                assert (await client.ask(get("/")))[0] == 500

    run(main)


@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS"])
def test_only_get_is_upgraded(method: str) -> None:
    async def main() -> None:
        async with site(Worker()) as place:
            client = await place.connect()
            client.send(get("/", *HANDSHAKE, method=method))
            assert (await client.head())[0] == 500

    run(main)


def test_http_1_0_is_not_upgraded() -> None:
    async def main() -> None:
        async with site(Worker()) as place:
            request = get("/", *HANDSHAKE).replace(b"HTTP/1.1", b"HTTP/1.0")
            assert (await place.ask(request))[0] == 500

    run(main)


def test_a_client_that_leaves_before_the_answer() -> None:
    async def main() -> None:
        worker = Worker()
        asked, answer = asyncio.Event(), asyncio.Event()

        async def handler(request: Request) -> Response:
            response = await worker(request)
            asked.set()
            try:
                await answer.wait()
            except asyncio.CancelledError:
                return response
            return response

        async with site(handler) as place:
            client = await place.connect()
            client.send(get("/", *HANDSHAKE))
            await asked.wait()
            await client.aclose()
            while worker.ends[0].closed is None:
                await asyncio.sleep(0)
            assert worker.ends[0].closed == Close(1001, "", clean=False)

    run(main)


@pytest.mark.parametrize("loop", LOOPS)
def test_draining_tells_everybody_that_the_server_goes_away(loop: str) -> None:
    async def main() -> None:
        worker = Worker()
        server = HttpServer(worker)
        host, _, port = (await server.start("127.0.0.1:0")).rpartition(":")
        clients = [Client(*await asyncio.open_connection(host, int(port))) for _ in range(3)]
        for client in clients:
            await opened(client)
        draining = asyncio.create_task(server.drain(60))
        for client in clients:
            assert await read_frame(client.reader) == (0x88, struct.pack("!H", 1001))
            assert not draining.done()
            client.send(frame(8, struct.pack("!H", 1001)))
        await draining
        assert [end.closed for end in worker.ends] == [Close(1001)] * 3
        for client in clients:
            assert await client.rest() == b""
            await client.aclose()
        await server.aclose()

    run(main, loop)


def test_the_end_does_not_wait_for_clients() -> None:
    async def main() -> None:
        worker = Worker()
        server = HttpServer(worker)
        host, _, port = (await server.start("127.0.0.1:0")).rpartition(":")
        client = Client(*await asyncio.open_connection(host, int(port)))
        await opened(client)
        await server.aclose()
        assert worker.ends[0].closed == Close(1006, "", clean=False)
        assert server.statistics().connections_now == 0
        await client.aclose()

    run(main)


def test_an_end_that_breaks_costs_only_its_own_connection(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(End):
        async def pull(self) -> None:  # type: ignore[override]
            raise ZeroDivisionError

    async def handler(request: Request) -> Response:
        return Response(101, web_socket=Broken())

    async def main() -> None:
        async with site(handler) as place:
            client = await place.connect()
            await opened(client)
            assert await read_frame(client.reader) == (0x88, struct.pack("!H", 1011))
            await opened(await place.connect())

    run(main)
    assert [record.message for record in caplog.records].count("a WebSocket failed") >= 1


def test_a_slow_handler_and_a_drain_meet() -> None:
    async def main() -> None:
        worker = Worker()
        go = asyncio.Event()

        async def handler(request: Request) -> Response:
            await go.wait()
            return await worker(request)

        server = HttpServer(handler)
        host, _, port = (await server.start("127.0.0.1:0")).rpartition(":")
        client = Client(*await asyncio.open_connection(host, int(port)))
        client.send(get("/", *HANDSHAKE))
        while not server.statistics().active_now:
            await asyncio.sleep(0)
        draining = asyncio.create_task(server.drain(60))
        await asyncio.sleep(0)
        go.set()
        assert (await client.head())[0] == 101
        assert await read_frame(client.reader) == (0x88, struct.pack("!H", 1001))
        client.send(frame(8, struct.pack("!H", 1001)))
        await draining
        await client.aclose()
        await server.aclose()

    run(main)


def test_two_ends_of_two_connections_may_be_joined() -> None:
    async def main() -> None:
        worker = Worker()
        async with site(worker) as place:
            clients = [await place.connect() for _ in range(2)]
            for client in clients:
                await opened(client)
            joined = asyncio.create_task(splice(*worker.ends))
            clients[0].send(frame(1, b"from one to the other"))
            assert await read_frame(clients[1].reader) == (0x81, b"from one to the other")
            clients[1].send(frame(8, struct.pack("!H", 4000)))
            assert (await read_frame(clients[0].reader))[1] == struct.pack("!H", 4000)
            clients[0].send(frame(8, struct.pack("!H", 4000)))
            await joined

    run(main)
