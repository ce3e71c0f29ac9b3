"""What workers said and did, over a real address."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.admin.following import EACH, FOLLOWERS
from pyworkerd.admin.site import Site
from pyworkerd.admin.tokens import Token, TokenFile, digest_of
from pyworkerd.observe.feed import Feed
from pyworkerd.observe.logs import LogEntry
from pyworkerd.observe.selection import Outcome
from pyworkerd.server import bind

from tests.runtime.admin.test_following import events
from tests.runtime.admin.test_routes import Fixed
from tests.runtime.server.client import Client, run

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine

TOKEN = "token-of-the-test"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyworkerd.admin.following.POLL_S", 0.005)


def log(message: str, worker: str = "shop", level: str = "info", time: float = 1.0) -> LogEntry:
    return LogEntry(time, worker, 1, level, "stdout", message)


def request(path: str, *more: str, method: str = "GET") -> bytes:
    head = [f"{method} /api/v1{path} HTTP/1.1", "host: 127.0.0.1", f"authorization: Bearer {TOKEN}", *more]
    return "\r\n".join([*head, "", ""]).encode()


def with_site(
    test: Callable[[Fixed, Callable[[], Coroutine[Any, Any, Client]]], Coroutine[Any, Any, None]],
) -> None:
    """Run a test with a real admin address of a server that has one process with a feed."""

    async def main() -> None:
        server = Fixed(1)
        server.feeds = {1: Feed()}
        site = Site(server, tokens=TokenFile(None, (Token("test", digest_of(TOKEN)),)))
        listener = bind("127.0.0.1:0")
        await site.start(listener)
        host, _, port = str(listener.address).rpartition(":")
        clients: list[Client] = []

        async def connect() -> Client:
            clients.append(Client(*await asyncio.open_connection(host, int(port), limit=1 << 24)))
            return clients[-1]

        try:
            await test(server, connect)
        finally:
            for client in clients:
                await client.aclose()
            await server.live.aclose()
            await site.aclose()

    run(main)


async def pieces(client: Client) -> AsyncIterator[bytes]:
    while size := int(await client.reader.readuntil(b"\r\n"), 16):
        yield (await client.reader.readexactly(size + 2))[:-2]


async def stream(client: Client, path: str = "/logs/stream") -> AsyncGenerator[tuple[str, Any], None]:
    client.send(request(path))
    status, headers = await client.head()
    assert (status, headers["content-type"]) == (200, "text/event-stream")

    async def heard() -> AsyncGenerator[tuple[str, Any], None]:
        async for piece in pieces(client):
            for event in events(piece):
                yield event

    return heard()


def test_what_was_by_what_is_asked() -> None:
    async def test(server: Fixed, connect: Callable[[], Coroutine[Any, Any, Client]]) -> None:
        feed = server.feeds[1]
        feed(log("sold tea", time=1.0))
        feed(log("no milk", level="error", time=2.0))
        feed(log("sold Tea too", worker="other", time=3.0))
        feed.ended(Outcome(4.0, "shop", 1, "", "GET /", "exception", 0, 1.0, 2.0, "r" * 16, "t" * 32))
        client = await connect()
        for query, expected in (
            ("", ["sold tea", "no milk", "sold Tea too", "GET /"]),
            ("?worker=shop&text=tea", ["sold tea"]),
            ("?text=TEA", ["sold tea", "sold Tea too"]),
            ("?status=error", ["no milk", "GET /"]),
            ("?level=error&worker=shop&since=3", ["GET /"]),
            ("?limit=1", ["GET /"]),
            ("?limit=0", []),
            ("?text=%3Cscript%3E", []),
        ):
            status, _, body = await client.ask(request(f"/logs{query}"))
            assert status == 200
            found = [each.get("message") or each["began"] for each in json.loads(body)["entries"]]
            assert found == expected, query

    with_site(test)


@pytest.mark.parametrize(
    "query",
    ["?level=loud", "?status=bad", "?limit=1001", "?since=-1", "?since=nan", "?worker=a&worker=b", "?x=1"],
)
def test_what_cannot_be_asked(query: str) -> None:
    async def test(_: Fixed, connect: Callable[[], Coroutine[Any, Any, Client]]) -> None:
        for path in ("/logs", "/logs/stream"):
            status, headers, body = await (await connect()).ask(request(f"{path}{query}"))
            assert (status, headers["content-type"]) == (400, "application/problem+json")
            assert "query" in json.loads(body)["detail"]

    with_site(test)


def test_a_stream_of_what_was_and_what_comes() -> None:
    async def test(server: Fixed, connect: Callable[[], Coroutine[Any, Any, Client]]) -> None:
        server.feeds[1](log("before"))
        heard = await stream(await connect())
        assert (await anext(heard))[1]["message"] == "before"
        server.feeds[1](log("data: forged\n\nevent: entry\ndata: {}"))
        kind, data = await anext(heard)
        assert (kind, data["message"]) == ("entry", "data: forged\n\nevent: entry\ndata: {}")
        await heard.aclose()

    with_site(test)


def test_those_who_leave_or_only_ask_for_a_head_give_their_place_back() -> None:
    async def test(server: Fixed, connect: Callable[[], Coroutine[Any, Any, Client]]) -> None:
        for _ in range(FOLLOWERS + 1):
            client = await connect()
            status, headers, _ = await _head_of(client)
            assert (status, headers["content-type"]) == (200, "text/event-stream")
        clients = []
        for _ in range(EACH):
            clients.append(await connect())
            clients[-1].send(request("/logs/stream?limit=0"))
            assert (await clients[-1].head())[0] == 200
        status, _, body = await (await connect()).ask(request("/logs/stream"))
        assert (status, "too many" in json.loads(body)["detail"]) == (503, True)
        await clients.pop().aclose()
        while True:  # the server hears of it in one of its next turns
            client = await connect()
            client.send(request("/logs/stream?limit=0"))
            status, _ = await client.head()
            if status == 200:
                break
            await client.aclose()

    async def _head_of(client: Client) -> tuple[int, dict[str, str], bytes]:
        client.send(request("/logs/stream", "connection: close", method="HEAD"))
        return await client.response("HEAD")

    with_site(test)


def test_readers_that_never_read_hold_nobody_up() -> None:
    async def test(server: Fixed, connect: Callable[[], Coroutine[Any, Any, Client]]) -> None:
        stalled = [await connect() for _ in range(8)]
        for client in stalled:
            client.send(request("/logs/stream?limit=0"))
            await client.head()
            client.writer.transport.pause_reading()
        heard = await stream(await connect(), "/logs/stream?limit=0")
        seen = 0
        for number in range(400):
            server.feeds[1](log(f"{number} {'x' * 4000}"))
            if number % 20 == 19:
                while seen <= number:
                    kind, data = await anext(heard)
                    seen += data["count"] if kind == "missed" else 1
        assert seen == 400
        await heard.aclose()

    with_site(test)


def test_without_a_token_there_is_nothing_to_hear() -> None:
    async def test(_: Fixed, connect: Callable[[], Coroutine[Any, Any, Client]]) -> None:
        for path in ("/logs", "/logs/stream", "/status"):
            for given in ("", "authorization: Bearer wrong\r\n"):
                asked = f"GET /api/v1{path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{given}\r\n"
                assert (await (await connect()).ask(asked.encode()))[0] == 401
        foreign = request("/logs/stream", "sec-fetch-site: cross-site", "origin: https://evil.example")
        assert (await (await connect()).ask(foreign))[0] == 403
        rebound = request("/logs/stream").replace(b"host: 127.0.0.1", b"host: evil.example")
        assert (await (await connect()).ask(rebound))[0] == 421

    with_site(test)
