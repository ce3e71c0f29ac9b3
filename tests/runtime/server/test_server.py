from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.errors import ConfigurationError
from pyworkerd.messages import Body, Request, Response
from pyworkerd.server import Edge, HttpServer, ServerOptions, connection_info
from pyworkerd.server.shared import Shared

from tests.runtime.server.client import Client, get, hello, run, site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LOOPS = ["asyncio", "uvloop"]


@pytest.mark.parametrize("loop", LOOPS)
def test_addresses(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        server = HttpServer(hello)
        addresses = [await server.start(text) for text in ("127.0.0.1:0", "localhost:0", "*:0")]
        for address in addresses:
            host, port = address.rsplit(":", 1)
            assert int(port) > 0
            client = Client(*await asyncio.open_connection("127.0.0.1" if host == "*" else host, int(port)))
            assert (await client.ask(get("/x")))[2] == b"GET http://a/x"
            await client.aclose()
        path = tmp_path / "s"
        assert await server.start(f"unix:{path}") == f"unix:{path}"
        client = Client(*await asyncio.open_unix_connection(str(path)))
        assert (await client.ask(b"GET /x HTTP/1.0\r\n\r\n"))[2] == b"GET http://unix/x"
        await client.aclose()
        with pytest.raises(ConfigurationError, match="another server"):
            await server.start(f"unix:{path}")
        with pytest.raises(ConfigurationError, match="cannot listen"):
            await server.start(addresses[0])
        await server.aclose()
        assert not path.exists()
        with pytest.raises(RuntimeError):
            await server.start("127.0.0.1:0")

    run(main, loop)


def test_a_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))

    async def main() -> None:
        server = HttpServer(hello)
        await server.start(f"unix:{path}")
        await server.aclose()

    run(main)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_ipv6() -> None:
    async def main() -> None:
        server = HttpServer(hello)
        try:
            address = await server.start("[::1]:0")
        except ConfigurationError:
            pytest.skip("no IPv6 here")
        assert address.startswith("[::1]:")
        await server.aclose()

    run(main)


def test_connection_info() -> None:
    seen = []

    async def handler(request: Request) -> Response:
        seen.append(connection_info.get())
        return Response()

    async def main() -> None:
        async with site(handler) as place:
            client = await place.connect()
            await client.ask(get())
            host, port = client.writer.get_extra_info("sockname")
            assert seen[0] is not None
            assert (seen[0].client, seen[0].client_port, seen[0].server) == (host, port, place.address)
        assert connection_info.get() is None

    run(main)


@pytest.mark.parametrize("loop", LOOPS)
def test_drain_finishes_what_runs_and_closes_the_rest(loop: str) -> None:
    async def main() -> None:
        entered, go_on = asyncio.Event(), asyncio.Event()

        async def handler(request: Request) -> Response:
            if request.url.endswith("/slow"):
                entered.set()
                await go_on.wait()
            return Response(200, (), Body(b"done"))

        async with site(handler) as place:
            idle, new, busy = [await place.connect() for _ in range(3)]
            await idle.ask(get())
            busy.send(get("/slow"))
            await entered.wait()
            draining = asyncio.create_task(place.server.drain(50))
            assert await idle.rest() == b""
            assert await new.rest() == b""
            with pytest.raises(OSError):
                await place.connect()
            go_on.set()
            status, headers, body = await busy.response()
            assert (status, headers["connection"], body) == (200, "close", b"done")
            assert await busy.rest() == b""
            await draining
            assert place.server.statistics().connections_now == 0

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_what_is_on_its_way_when_the_end_comes_is_answered(loop: str) -> None:
    """Also on connections that were told that they may be used again."""

    async def main() -> None:
        go_on = asyncio.Event()

        async def handler(request: Request) -> Response:
            async def chunks() -> AsyncIterator[bytes]:
                yield b"begun"
                await go_on.wait()

            return Response(
                200, (), Body(chunks=chunks()) if request.url.endswith("/stream") else Body(b"whole")
            )

        async with site(handler, drain_idle=50) as place:
            idle, new, streaming = [await place.connect() for _ in range(3)]
            await idle.ask(get())
            streaming.send(get("/stream"))
            status, headers = await streaming.head()
            assert (status, headers.get("connection")) == (200, None)
            late = await place.connect()
            draining = asyncio.create_task(place.server.drain(100))
            with pytest.raises(OSError):
                while True:
                    await (await place.connect()).aclose()
            go_on.set()
            assert await streaming.chunks() == b"begun"
            for client in (idle, new, streaming, late):
                status, headers, body = await client.ask(get())
                assert (status, headers["connection"], body) == (200, "close", b"whole")
                assert await client.rest() == b""
            await draining
            assert place.server.statistics().connections_now == 0

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_drain_cancels_what_is_left(loop: str) -> None:
    async def main() -> None:
        entered, cleaned = asyncio.Event(), asyncio.Event()

        async def handler(request: Request) -> Response:
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                cleaned.set()
            return Response()

        async with site(handler) as place:
            client = await place.connect()
            client.send(get())
            await entered.wait()
            await place.server.drain(0)
            assert cleaned.is_set()
            status, headers, _ = await client.response()
            assert (status, headers["x-pyworkerd-error"], headers["retry-after"]) == (503, "overloaded", "1")
            assert headers["connection"] == "close"
            assert place.server.statistics().connections_now == 0

    run(main, loop)


def test_aclose_resets_a_handler_that_resists() -> None:
    async def main() -> None:
        entered, release = asyncio.Event(), asyncio.Event()

        async def handler(request: Request) -> Response:
            entered.set()
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue
            return Response()

        async with site(handler, cancel_grace=0.01) as place:
            client = await place.connect()
            client.send(get())
            await entered.wait()
            await place.server.aclose()
            assert await client.rest() == b""
            release.set()

    run(main)


def test_connections_over_the_limit_are_turned_away() -> None:
    async def main() -> None:
        async with site(hello, max_connections=1) as place:
            first = await place.connect()
            await first.ask(get())
            second = await place.connect()
            status, headers, body = await second.response()
            assert (status, headers["retry-after"], body) == (503, "1", b"Service Unavailable\n")
            assert await second.rest() == b""
            assert (await first.ask(get()))[0] == 200
            figures = place.server.statistics()
            assert (figures.accepted, figures.refused, figures.requests) == (2, 1, 2)

    run(main)


def test_one_address_does_not_keep_all_others_out() -> None:
    async def main() -> None:
        async with site(hello, max_connections=10, max_connections_each=2) as place:
            own = [await place.connect() for _ in range(2)]
            for client in own:
                assert (await client.ask(get()))[0] == 200
            refused = [await place.connect() for _ in range(2)]
            for client in refused:
                assert (await client.response())[0] == 503
            cut_off = await place.connect()
            assert await cut_off.rest() == b"", "what is being refused is bounded as well"

    run(main)


def test_who_comes_from_elsewhere_is_counted_apart() -> None:
    async def main() -> None:
        options = ServerOptions(max_connections=10, max_connections_each=2)
        shared = Shared(hello, options, asyncio.get_running_loop(), Edge())
        members: list[Any] = [object() for _ in range(4)]
        for member, peer in zip(members, ("127.0.0.1", "127.0.0.1", "2001:db8::1", None), strict=True):
            shared.join(member, peer)
        assert shared.crowded("127.0.0.1")
        assert not shared.crowded("127.0.0.1", 2)
        assert not any(map(shared.crowded, ("127.0.0.2", "2001:db8::2", None)))
        shared.leave(members[0])
        assert not shared.crowded("127.0.0.1")

    run(main)
