"""Rate limits on what comes in: whom they count, what they cover, and that the service never hears of the rest."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pyworkerd.admission import Admission, Rule, as_read
from pyworkerd.asgi import AsgiApp
from pyworkerd.bindings.rate_limit.counters import InMemoryRateLimits, RateLimits, Window
from pyworkerd.bindings.shared import Shared
from pyworkerd.errors import RateLimited
from pyworkerd.messages import Request
from pyworkerd.server import ServerOptions
from pyworkerd.serving import Serving
from pyworkerd_config.model import Config, Https, Network, RateLimit, Service, Socket
from pyworkerd_config.model import Worker as WorkerModel

from tests.runtime.asgi.test_app import ask as ask_app
from tests.runtime.server.client import Client, get
from tests.runtime.server.pem import client_context, pair
from tests.runtime.server.test_http2_connection import Peer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyworkerd.observe.access import AccessEntry
    from pyworkerd.runtime import Runtime

SOURCE = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(request.url)
"""
DAY = 86_400


@pytest.mark.parametrize(
    ("path", "readings"),
    [
        ("/a/b", ["/a/b"]),
        ("/a/b/", ["/a/b/"]),
        ("/a/./b", ["/a/b"]),
        ("/x/../a/b", ["/a/b"]),
        ("/../../a", ["/a"]),
        ("//a//b", ["/a/b", "//a//b"]),
        ("/a//../b", ["/a/b", "/b"]),
        ("/a//../%62", ["/a/b", "/a/%62", "/b"]),
        ("/a/%2F../b", ["/a/b", "/b", "/a/%2F../b"]),
        ("/x//..//a", ["/x//a", "/x/a", "/a"]),
        ("/a/%62", ["/a/b"]),
        ("/%61/..", ["/", "/a/.."]),
        ("/%61/%2e%2E/a/.%2e/b", ["/b"]),
        ("/a%2fb", ["/a/b", "/a%2fb"]),
        ("/a\\b", ["/a/b"]),
        ("/a\\..\\b", ["/b"]),
        ("/a/b/.", ["/a/b/"]),
        ("/a/b/..", ["/a/"]),
        ("/", ["/"]),
        ("/..", ["/"]),
        ("/%", ["/%"]),
        ("/%ff", ["/\ufffd"]),
    ],
)
def test_a_path_as_programs_read_it(path: str, readings: list[str]) -> None:
    found = as_read(path)
    assert found is not None
    assert {path, *readings} <= set(found)


@pytest.mark.parametrize(
    ("route", "url", "covered"),
    [
        ("/*", "http://h/", True),
        ("/catalog/items", "http://h/catalog/items", True),
        ("/catalog/items", "http://h/catalog/items?page=2", True),
        ("/catalog/items", "http://h/catalog/%69tems", True),
        ("/catalog/items", "http://h/catalog//x/../items", True),
        ("/catalog/items", "http://h/catalog//../items", True),
        ("/catalog/items", "http://h/catalog/item", False),
        ("/catalog/*", "http://h/catalog/items/7", True),
        ("/catalog/*", "http://h/auth/..%2fcatalog/items", True),
        ("a.example/*", "http://A.example:8080/x", True),
        ("a.example/*", "http://%61.example/x", True),
        ("a.example/*", "http://b.example/a.example/", False),
        ("/catalog/items", f"http://h/catalog/{'./' * 4000}items", True),
        ("/catalog/items", f"http://h/{'%41' * 4000}", True),
        ("/catalog/items", f"http://h/{'a' * 4000}", False),
        ("/x", "http://h?/x", False),
        ("/", "http://h?/x", True),
    ],
)
def test_what_a_route_covers(route: str, url: str, covered: bool) -> None:
    assert Rule.of("shop", RateLimit(1, DAY, route)).covers(url) is covered


def test_what_has_a_count_of_its_own() -> None:
    def key(of: str, client: str | None, *values: str) -> str:
        headers = tuple(("x-key", value) for value in values)
        return Rule.of("shop", RateLimit(1, DAY, key=of)).counted_as(headers, client)

    assert key("everyone", "192.0.2.1") == key("everyone", None)
    assert key("client", "192.0.2.1") != key("client", "192.0.2.2")
    assert key("client", "2001:db8::1") == key("client", "2001:db8::ffff:2"), "one subscriber's network"
    assert key("client", "2001:db8::1") != key("client", "2001:db8:0:1::1")
    assert key("client", None) != key("client", "192.0.2.1")
    assert key("header:X-Key", "192.0.2.1", "a") == key("header:x-key", "192.0.2.2", "a")
    assert key("header:x-key", "192.0.2.1", "a") != key("header:x-key", "192.0.2.1", "b")
    assert key("header:x-key", "192.0.2.1") == key("client", "192.0.2.1"), "without it, its client counts"
    assert key("header:x-key", "192.0.2.1") != key("header:x-key", "192.0.2.2")
    long = key("header:x-key", None, "a" * 60_000)
    assert len(long) < 100
    assert long != key("header:x-key", None, "a" * 60_001)


class Slow(RateLimits):
    """Counters that always have to be waited for."""

    def __init__(self) -> None:
        self._inner = InMemoryRateLimits()

    async def take(self, window: Window, key: str, now: float) -> bool:
        await asyncio.sleep(0)
        return await self._inner.take(window, key, now)

    async def aclose(self) -> None:
        await self._inner.aclose()


def test_when_it_may_be_tried_again() -> None:
    now = [DAY * 20_000 + 100.25]

    async def main() -> None:
        admission = Admission(
            [Service("shop", Network(), rate_limits=(RateLimit(1, 60), RateLimit(2, DAY)))],
            Shared(),
            now=lambda: now[0],
        )
        request = Request("GET", "http://h/")
        await admission.admit("shop", request)
        with pytest.raises(RateLimited) as minute:
            await admission.admit("shop", request)
        assert (minute.value.status, minute.value.retry_after) == (429, 20)
        now[0] += 20
        await admission.admit("shop", request)
        now[0] += 60
        with pytest.raises(RateLimited) as day:
            await admission.admit("shop", request)
        assert day.value.retry_after == DAY - 180
        await admission.admit("other", request)

    asyncio.run(main())


def limited(folder: Path, *limits: RateLimit, trusted: tuple[str, ...] = ()) -> Config:
    (folder / "worker.py").write_text(SOURCE)
    worker = WorkerModel(folder / "worker.py", folder, global_outbound=None)
    return Config(
        sockets=(Socket("http", "127.0.0.1:0", trusted=trusted),),
        services=(
            Service("shop", worker, routes=("/shop/*",), rate_limits=limits),
            Service("other", worker, routes=("/*",)),
        ),
    )


async def opened(serving: Serving) -> Client:
    host, _, port = serving.listening()[0].address.rpartition(":")
    return Client(*await asyncio.open_connection(host, int(port)))


@pytest.mark.parametrize("counters", ["at once", "waited for"])
def test_a_flood_never_reaches_its_worker(
    with_runtime: Callable[..., None], tmp_path: Path, counters: str
) -> None:
    told: list[AccessEntry] = []
    config = limited(tmp_path, RateLimit(3, DAY, "/shop/items"), RateLimit(9, DAY, key="everyone"))

    async def main(runtime: Runtime) -> None:
        if counters == "waited for":
            runtime.shared.provide(RateLimits, Slow())  # type: ignore[type-abstract]
        serving = Serving(runtime, ServerOptions(access_log=told.append))
        await serving.start()
        client = await opened(serving)
        answers = [await client.ask(get("/shop/items")) for _ in range(5)]
        assert [status for status, _, _ in answers] == [200, 200, 200, 429, 429]
        fields = dict(answers[-1][1])
        assert fields["x-pyworkerd-error"] == "rate_limited"
        assert 1 <= int(fields["retry-after"]) <= DAY
        assert (await client.ask(get("/shop/%69tems")))[0] == 429
        assert (await client.ask(get("/shop/else")))[0] == 200, "another path of the same service"
        assert (await client.ask(get("/items")))[0] == 200, "another service"
        assert sum(n for row, (n,) in serving.metrics()["requests"].items() if row[0] == "shop") == 4
        counts = serving.metrics()["requests_limited"]
        assert counts == {("shop",): (3,)}
        refused = [entry for entry in told if entry.status == 429]
        assert {(entry.service, entry.error) for entry in refused} == {("shop", "rate_limited")}
        # A reload counts on, and so does what was refused.
        await serving.switch(await serving.prepare(limited(tmp_path, RateLimit(3, DAY, "/shop/items"))))
        assert (await client.ask(get("/shop/items")))[0] == 429
        assert serving.metrics()["requests_limited"] == {("shop",): (4,)}
        await client.aclose()
        await serving.aclose()

    with_runtime(main, config)


def test_clients_are_whom_a_trusted_proxy_names(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    async def main(runtime: Runtime) -> None:
        serving = Serving(runtime)
        await serving.start()
        client = await opened(serving)

        async def ask(forwarded: str) -> int:
            return (await client.ask(get("/shop/", f"x-forwarded-for: {forwarded}")))[0]

        assert [await ask("192.0.2.1") for _ in range(2)] == [200, 429]
        assert await ask("192.0.2.9, 192.0.2.1") == 429, "what a client makes up does not count"
        assert await ask("192.0.2.2") == 200
        await client.aclose()
        await serving.aclose()

    with_runtime(main, limited(tmp_path, RateLimit(1, DAY), trusted=("127.0.0.1",)))


def test_without_a_trusted_proxy_it_is_the_peer(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    async def main(runtime: Runtime) -> None:
        serving = Serving(runtime)
        await serving.start()
        client = await opened(serving)
        answers = [
            (
                await client.ask(
                    get("/shop/", f"x-forwarded-for: 192.0.2.{i}", f"cf-connecting-ip: 192.0.2.{i}")
                )
            )[0]
            for i in range(3)
        ]
        assert answers == [200, 429, 429]
        await client.aclose()
        await serving.aclose()

    with_runtime(main, limited(tmp_path, RateLimit(1, DAY)))


def test_behind_an_asgi_server(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    async def main(runtime: Runtime) -> None:
        app = AsgiApp(runtime, manage=False)

        hosts = ("192.0.2.1", "192.0.2.1", "192.0.2.2")
        answers = [(await ask_app(app, "/shop/", client=[host, 1234]))[0] for host in hosts]
        assert answers == [200, 429, 200]

    with_runtime(main, limited(tmp_path, RateLimit(1, DAY)))


def test_calls_between_workers_are_not_counted(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    async def main(runtime: Runtime) -> None:
        for _ in range(3):
            answer = await runtime.fetch(Request("GET", "http://h/shop/"))
            assert answer.status == 200
            await answer.aclose()

    with_runtime(main, limited(tmp_path, RateLimit(1, DAY)))


def test_over_http2(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    """Streams of one connection count as requests of one client."""

    async def main(runtime: Runtime) -> None:
        serving = Serving(runtime)
        (socket,) = await serving.start()
        host, _, port = socket.address.rpartition(":")
        context = client_context()
        context.set_alpn_protocols(["h2"])
        peer = Peer(*await asyncio.open_connection(host, int(port), ssl=context, server_hostname="localhost"))
        head = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/shop/")]
        streams = [peer.ask(head) for _ in range(5)]
        answers = [await peer.response(stream) for stream in streams]
        assert sorted(status for status, _, _ in answers) == [200, 200, 429, 429, 429]
        refused = next(headers for status, headers, _ in answers if status == 429)
        assert refused["x-pyworkerd-error"] == "rate_limited"
        assert int(refused["retry-after"]) >= 1
        peer.writer.close()
        await serving.aclose()

    config = limited(tmp_path, RateLimit(2, DAY))
    https = Https((pair(tmp_path, "localhost", "127.0.0.1"),), http2=True)
    with_runtime(main, replace(config, sockets=(replace(config.sockets[0], https=https),)))
