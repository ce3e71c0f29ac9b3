"""Turns at a shared queue of connections: fair where everybody can, and never at the cost of a client."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest
from pyworkerd.server import Balance, HttpServer, Table, accepting, bind
from pyworkerd.server.accepting import BURST, Acceptor
from pyworkerd.server.balance import SLACK

from tests.runtime.server.client import Client, get, hello, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pyworkerd.server import Listener

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


async def connect(listener: Listener) -> Client:
    text = str(listener.address)
    if text.startswith("unix:"):
        return Client(*await asyncio.open_unix_connection(text.removeprefix("unix:")))
    return Client(*await asyncio.open_connection("127.0.0.1", int(text.rpartition(":")[2])))


@LOOPS
@pytest.mark.parametrize("address", ["127.0.0.1:0", "unix:{}/s"])
def test_servers_that_share_a_socket_share_its_connections(loop: str, address: str, tmp_path: Path) -> None:
    async def main() -> None:
        listener, table = bind(address.format(tmp_path)), Table()
        servers = [HttpServer(hello, balance=Balance(table.take())) for _ in range(3)]
        for server in servers:
            await server.start(listener.share())
        clients = await asyncio.gather(*(connect(listener) for _ in range(30)))
        for client in clients:
            assert (await client.ask(get("/x")))[0] == 200
        have = [server.statistics().connections_now for server in servers]
        assert sum(have) == 30
        assert max(have) - min(have) <= 2 * SLACK + 2
        # The others go on when one stops; what it has is drained as ever.
        draining = asyncio.create_task(servers[0].drain(60))
        for client in clients:
            status, headers, _ = await client.ask(get("/x"))
            assert status == 200
            if headers.get("connection") == "close":
                await client.aclose()
        await draining
        late = await connect(listener)
        assert (await late.ask(get("/x")))[0] == 200
        for client in (*clients, late):
            await client.aclose()
        for server in servers:
            await server.aclose()
        listener.close()

    run(main, loop)


@LOOPS
def test_nobody_is_kept_waiting_for_a_process_that_does_not_come(loop: str) -> None:
    async def main() -> None:
        listener, table = bind("127.0.0.1:0"), Table()
        server = HttpServer(hello, balance=Balance(table.take()))
        await server.start(listener.share())
        table.take().tell(0)  # it says that it takes connections, and hangs
        clients = await asyncio.gather(*(connect(listener) for _ in range(40)))
        for client in clients:
            assert (await client.ask(get("/x")))[0] == 200
            await client.aclose()
        await server.aclose()
        listener.close()

    run(main, loop)


class Queue:
    """A listening socket on which so many clients wait, who have hung up already."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def accept(self) -> tuple[socket.socket, None]:
        if not self.waiting:
            raise BlockingIOError(errno.EAGAIN, "nobody")
        self.waiting -= 1
        ours, theirs = socket.socketpair()
        theirs.close()
        return ours, None


class Loop:
    """The test's hand on readers and timers of the running loop."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._readers: list[Callable[[], None]] = []
        self._timers: list[Callable[[], None]] = []
        loop = asyncio.get_running_loop()
        patch.setattr(loop, "add_reader", lambda _, then: self._readers.append(then))
        patch.setattr(loop, "remove_reader", lambda _: self._readers.clear())
        patch.setattr(loop, "call_later", lambda _, *then: self._timers.append(partial(*then)))

    def somebody_comes(self) -> int:
        """Returns how many times the acceptor looked before it listened again."""
        (reader,) = self._readers
        reader()
        looks = 0
        while self._timers:
            assert not self._readers
            looks += 1
            self._timers.pop()()
        return looks


def test_whoever_has_more_waits_half_as_long_and_takes_twice_as_many_each_time_that_nobody_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        table, queue, loop = Table(), Queue(1_000), Loop(monkeypatch)
        balance, other = Balance(table.take()), table.take()
        balance.join(set(range(10)))
        other.tell(0)
        acceptor = Acceptor(cast("socket.socket", queue), asyncio.Protocol, balance)
        seen = []
        for _ in range(7):
            before = queue.waiting
            looks = loop.somebody_comes()
            seen.append((looks, before - queue.waiting))
        assert seen == [(32, 1), (16, 2), (8, 4), (4, 8), (2, 16), (1, 32), (1, 32)]
        queue.waiting = 0  # the others have come
        assert loop.somebody_comes() == 1
        queue.waiting = 100
        assert loop.somebody_comes() == 32
        assert queue.waiting == 99
        other.tell(1_000)  # now it has fewest
        assert loop.somebody_comes() == 0
        assert queue.waiting == 99 - BURST
        monkeypatch.undo()
        await acceptor.settle()

    run(main, "asyncio")


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@LOOPS
def test_without_descriptors_clients_wait_in_the_queue(
    loop: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accepting, "FAILED_S", 0.01)

    async def main() -> None:
        listener = bind("127.0.0.1:0")
        client = socket.socket()
        client.setblocking(False)
        server = HttpServer(hello)
        await server.start(listener.share())
        with no_descriptors_left():
            await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", listener.address.port))
            while not caplog.records:
                await asyncio.sleep(0)
        asking = Client(*await asyncio.open_connection(sock=client))
        assert (await asking.ask(get("/x")))[0] == 200
        await asking.aclose()
        await server.aclose()
        listener.close()
        assert "cannot accept connections: Too many open files" in caplog.text

    run(main, loop)


@LOOPS
def test_a_client_that_is_turned_away_at_once_leaves_nothing(loop: str) -> None:
    class TurnsAway(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            cast("asyncio.Transport", transport).abort()

    async def main() -> None:
        wrong: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))
        listener = bind("127.0.0.1:0")
        listener.listen(5)
        acceptor = Acceptor(listener.sockets[0], TurnsAway)
        for _ in range(3):
            client = await connect(listener)
            assert await client.rest() == b""
            await client.aclose()
        await acceptor.settle()
        acceptor.close()
        acceptor.close()
        listener.close()
        assert wrong == []

    run(main, loop)


@LOOPS
def test_those_that_were_accepted_reach_a_server_that_stops(loop: str) -> None:
    async def main() -> None:
        listener = bind("127.0.0.1:0")
        server = HttpServer(hello)
        await server.start(listener.share())
        client = socket.create_connection(
            ("127.0.0.1", cast("tuple[str, int]", listener.sockets[0].getsockname())[1])
        )
        client.setblocking(False)
        client.send(get("/x"))
        accepting = server._acceptors[0]
        while not accepting._coming:
            await asyncio.sleep(0)
        await server.drain(60)
        assert client.recv(1_000).startswith(b"HTTP/1.1 200")
        client.close()
        await server.aclose()
        listener.close()

    run(main, loop)
