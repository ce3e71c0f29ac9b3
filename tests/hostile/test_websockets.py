"""Hostile tenants and hostile clients on WebSockets, behind a real server: each costs itself its own socket or isolate,
and a neighbour never notices.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.runtime import Runtime
from pyworkerd.server import HttpServer, ServerOptions
from pyworkerd.websocket.options import WireOptions
from pyworkerd_config.model import Limits
from pyworkerd_isolates.protocol import SOCKET_WINDOW

from tests.runtime.server.client import Client, get
from tests.runtime.websocket.ends import frame, read_frame
from tests.runtime.websocket.test_deflate import MARK, deflated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pyworkerd.loaded import LoadedWorker

TENANT = """
import asyncio
from _pyworkerd import invocation, outbox, sockets
from workers import Response, WebSocketPair, WorkerEntrypoint

def forge(*effects):
    outbox.effects.extend(effects)

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        mode = request.url.rsplit("/", 1)[1]
        client, server = WebSocketPair()
        server.accept()
        server.addEventListener("message", lambda event: getattr(self, mode)(server, event.data))
        headers = {"x": "a"}
        if mode == "early":
            forge(["upgrade", invocation.current().number, [["a", "b\\r\\nx-injected: c"]], 1])
        return Response(None, status=101, web_socket=client, headers=headers)

    def echo(self, server, message):
        server.send(message)

    def flood(self, server, message):
        forge(*[["ws_send", server._wire.number, outbox.blob(b"x" * 60_000), False, True] for _ in range(20)])

    def flood_of_nothing(self, server, message):
        forge(*[["ws_send", server._wire.number, None, False, True] for _ in range(5000)])

    def credit(self, server, message):
        forge(["ws_credit", server._wire.number, 1 << 40])

    def not_text(self, server, message):
        forge(["ws_send", server._wire.number, outbox.blob(b"\\xff"), True, True])

    def after_close(self, server, message):
        forge(["ws_close", server._wire.number, 1000, ""], ["ws_send", server._wire.number, None, True, True])

    def close_twice(self, server, message):
        forge(*[["ws_close", server._wire.number, 1000, ""]] * 2)

    def bad_close(self, server, message):
        forge(["ws_close", server._wire.number, 1006, ""])

    def answer_again(self, server, message):
        forge(["upgrade", server._holder.number, [], 999])

    def hand_on_nothing(self, server, message):
        forge(["upgrade", server._holder.number, [], 2])

    def end_of_invocation(self, server, message):
        forge(["done", server._holder.number])

    def others(self, server, message):
        for number in (0, 1, 2, 3, 5, 7, 101, 2**52):
            if number != server._wire.number:
                forge(["ws_send", number, None, True, True], ["ws_close", number, 4666, "hacked"])
        server.send("tried")

    def loop(self, server, message):
        while True:
            pass

    def hoard(self, server, message):
        hoard = []
        while True:
            hoard.append(bytearray(1 << 20))

    def backlog(self, server, message):
        try:
            while True:
                server.send(b"x" * 50_000)
        except BufferError:
            pass

    def nothing(self, server, message):
        pass
"""
NEIGHBOUR = {
    "neighbour.py": """
from workers import Response, WebSocketPair, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        client, server = WebSocketPair()
        server.accept()
        server.addEventListener("message", lambda event: server.send(event.data))
        return Response(None, status=101, web_socket=client)
"""
}
IN_TIME = WireOptions(ping_interval=3600, close_timeout=3600, write_timeout=7200)


class Site:
    """A tenant behind a server, and its neighbour with a socket open all along."""

    def __init__(self, bad: LoadedWorker, server: HttpServer, address: str) -> None:
        self.bad, self.server, self.address = bad, server, address
        self.clients: list[Client] = []

    async def open(self, mode: str, *lines: str, stalled: bool = False) -> Client:
        host, _, port = self.address.rpartition(":")
        raw = socket.socket()
        if stalled:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, (host, int(port)))
        client = Client(*await asyncio.open_connection(sock=raw, limit=1024))
        self.clients.append(client)
        upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
        client.send(get(f"/{mode}", *upgrade, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", *lines))
        return client

    async def opened(self, mode: str, *lines: str, stalled: bool = False) -> Client:
        client = await self.open(mode, *lines, stalled=stalled)
        assert (await client.head())[0] == 101
        return client


def attack(test: Callable[[Site], Awaitable[None]], **limits: int) -> None:
    async def main() -> None:
        async with Runtime() as runtime:
            bad = await runtime.load(
                {"tenant.py": TENANT}, limits=Limits(isolates=1, **{"cpu_ms": 200, **limits})
            )
            good = await runtime.load(NEIGHBOUR)
            server = HttpServer(bad.service.fetch, ServerOptions(web_socket=IN_TIME))
            site = Site(bad, server, await server.start("127.0.0.1:0"))
            async with await good.web_socket("/") as neighbour:
                await neighbour.send("before")
                await test(site)
                await neighbour.send("after")
                assert [await neighbour.receive(), await neighbour.receive()] == ["before", "after"]
            for client in site.clients:
                await client.aclose()
            await server.aclose()
            while bad.service.busy:
                await asyncio.sleep(0)
            assert bad.service.places.taken == 0

    async def bounded() -> None:
        await asyncio.wait_for(main(), 100)

    asyncio.run(bounded())


def code_of(frame_: tuple[int, bytes]) -> int:
    first, payload = frame_
    assert first == 0x88
    return int(struct.unpack("!H", payload[:2])[0])


async def last_frame(client: Client) -> tuple[int, bytes]:
    """The close frame, after whatever else was sent."""
    while True:
        found = await read_frame(client.reader)
        if found[0] == 0x88:
            return found


# tenants -------------------------------------------------------------------------------------------------------------

ENDS_THE_ISOLATE = (
    "flood", "flood_of_nothing", "credit", "not_text", "after_close", "close_twice", "bad_close", "answer_again",
    "hand_on_nothing", "loop",
)  # fmt: skip


@pytest.mark.parametrize("mode", ENDS_THE_ISOLATE)
def test_a_breach_ends_the_isolate_and_its_sockets_with_1011(mode: str, sandbox: object) -> None:
    async def test(site: Site) -> None:
        bystander, client = await site.opened("echo"), await site.opened(mode)
        client.send(frame(1, b"go"))
        codes = [code_of(await last_frame(one)) for one in (client, bystander)]
        assert codes[1] == 1011
        # What the guest closed properly before it broke the protocol may come first.
        assert codes[0] in (1011, 1000 if "close" in mode else 1011)
        again = await site.opened("echo")
        again.send(frame(1, b"back"))
        assert await read_frame(again.reader) == (0x81, b"back")

    attack(test)


def test_numbers_of_others_are_numbers_of_nothing(sandbox: object) -> None:
    async def test(site: Site) -> None:
        client = await site.opened("others")
        client.send(frame(1, b"go"))
        assert await read_frame(client.reader) == (0x81, b"tried")

    attack(test)


def test_an_isolate_ends_only_its_own_sockets(sandbox: object) -> None:
    """Numbers are looked up in the isolate's own table: those of its other sockets it may use, of course."""

    async def test(site: Site) -> None:
        clients = [await site.opened("echo") for _ in range(3)]
        client = await site.opened("others")
        client.send(frame(1, b"go"))
        for one in clients:
            assert code_of(await last_frame(one)) == 4666
        assert await read_frame(client.reader) == (0x81, b"tried")

    attack(test)


def test_an_answer_that_would_split_the_head(sandbox: object) -> None:
    async def test(site: Site) -> None:
        client = await site.open("early")
        status, headers = await client.head()
        assert status == 500
        assert "x-injected" not in headers

    attack(test)


def test_an_invocation_that_is_declared_over_closes_its_socket(sandbox: object) -> None:
    async def test(site: Site) -> None:
        client = await site.opened("end_of_invocation")
        client.send(frame(1, b"go"))
        assert code_of(await last_frame(client)) == 1011

    attack(test)


def test_a_tenant_without_memory_loses_its_sockets(sandbox: object) -> None:
    async def test(site: Site) -> None:
        client = await site.opened("hoard")
        client.send(frame(1, b"go"))
        assert code_of(await last_frame(client)) in (1011, 1012)

    attack(test, memory_mb=64)


def test_a_tenant_that_floods_a_client_that_never_reads_holds_a_window(sandbox: object) -> None:
    async def test(site: Site) -> None:
        client = await site.opened("backlog", stalled=True)
        client.send(frame(1, b"go"))
        (live,) = site.bad.service._members.values()
        (found,) = live.sockets._open.values()
        while found._held < SOCKET_WINDOW // 2:
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert found._held + found._owed <= SOCKET_WINDOW
        (member,) = site.server._shared.connections
        assert member._wire._transport.get_write_buffer_size() < 256 * 1024  # type: ignore[attr-defined]
        # It is found out: it takes nothing of what waits.
        for _ in range(3):
            member._wire._look()  # type: ignore[attr-defined]
        while live.sockets._open:
            await asyncio.sleep(0)

    attack(test)


# clients -------------------------------------------------------------------------------------------------------------


def test_a_client_that_floods_is_read_no_faster_than_the_worker_takes(sandbox: object) -> None:
    async def test(site: Site) -> None:
        client, other = await site.opened("nothing"), await site.opened("echo")
        sending = asyncio.create_task(flood(client, 400))
        for number in range(50):
            other.send(frame(1, b"%d" % number))
            assert await read_frame(other.reader) == (0x81, b"%d" % number)
        for member in site.server._shared.connections:
            wire: Any = member._wire  # type: ignore[attr-defined]
            assert wire._held < 64 * 1024 + 4096 * 64
            assert len(wire._raw) <= 512 * 1024
        await sending

    attack(test)


async def flood(client: Client, count: int) -> None:
    for _ in range(count):
        client.send(frame(2, b"x" * 10_000) + frame(1) * 500 + frame(9, b"ping") * 100)
        await client.writer.drain()


def test_bombs_close_their_own_socket(sandbox: object) -> None:
    async def test(site: Site) -> None:
        offer = "Sec-WebSocket-Extensions: permessage-deflate"
        other = await site.opened("echo")
        bomb = frame(2, deflated(bytes(64 << 20)), rsv=MARK)
        bombers = [await site.opened("nothing", offer) for _ in range(5)]
        for client in bombers:
            client.send(bomb)
        for client in bombers:
            assert code_of(await last_frame(client)) == 1009
        other.send(frame(1, b"still here"))
        assert await read_frame(other.reader) == (0x81, b"still here")

    attack(test, websocket_message_mb=4, cpu_ms=2000)


def test_messages_that_never_end_stay_in_the_workers_own_memory(sandbox: object) -> None:
    """Unfinished messages cost the isolate, whose limit ends it, and nobody else."""

    async def test(site: Site) -> None:
        clients = [await site.opened("nothing") for _ in range(5)]
        for client in clients:
            client.send(frame(2, b"x" * (15 << 20), fin=False))
        codes = {code_of(await last_frame(client)) for client in clients}
        assert codes <= {1009, 1011, 1012}
        again = await site.opened("echo")
        again.send(frame(1, b"back"))
        assert await read_frame(again.reader) == (0x81, b"back")

    attack(test, memory_mb=64, cpu_ms=5000)


def test_more_clients_than_there_are_places(sandbox: object) -> None:
    async def test(site: Site) -> None:
        clients = [await site.opened("echo") for _ in range(5)]
        refused = await site.open("echo")
        status, headers = await refused.head()
        assert (status, headers["x-pyworkerd-error"]) == (503, "exceeded_websockets")
        clients[0].send(frame(8, b"\x03\xe8"))
        await clients[0].rest()
        while site.bad.service.places.taken == 5:
            await asyncio.sleep(0)
        await site.opened("echo")

    attack(test, websockets=5)
