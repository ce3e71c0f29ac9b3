"""The binding from its configuration to what a guest asks of it, without a guest."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.bindings.kv import KVBinding
from pyworkerd.bindings.registry import configure
from pyworkerd.errors import BadCall, ConfigurationError, NoSuchMethod, WorkerException
from pyworkerd.messages import Body, Request, Response
from pyworkerd_config import Binding
from pyworkerd_isolates import wire

from tests.runtime.bindings.hosts import StaticHost, ask, built

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pyworkerd.bindings.environments import Environment


@asynccontextmanager
async def store(host: StaticHost | None = None) -> AsyncIterator[Environment]:
    host = host or StaticHost()
    async with built([configure(Binding("NAME", "kv", "cache"))], host) as environment:
        yield environment
    await host.shared.aclose()
    if host.state is not None:
        shutil.rmtree(host.state)


async def send(
    environment: Environment, method: str, path: str, body: bytes = b"", *headers: tuple[str, str]
) -> Response:
    request = Request(method, f"http://kv/{path}", headers, Body(body))
    return (await environment.table.find(1).fetch(request, "manual"))[0]


@pytest.mark.parametrize("wrong", ["", None, 3])
def test_a_store_has_to_be_named(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=r'write { kv = "cache" }'):
        configure(Binding("NAME", "kv", wrong))


def test_requests_and_calls() -> None:
    async def main() -> None:
        host = StaticHost()
        async with store(host) as environment:
            assert not environment.table.find(1).external
            assert (await send(environment, "GET", "a%2Fb")).status == 404
            await send(environment, "PUT", "a%2Fb?expiration_ttl=60", b"x", ("cf-kv-metadata", "[1]"))
            found = await send(environment, "GET", "a%2Fb?cache_ttl=30")
            assert (found.status, await found.read()) == (200, b"x")
            assert found.headers == (("cf-expiration", "1060"), ("cf-kv-metadata", "[1]"))
            assert await ask(environment, "list", None, None, None) == [[["a/b", 1060, "[1]"]], None]
            host.clock = 1060.0
            assert (await send(environment, "GET", "a%2Fb")).status == 404
            await send(environment, "PUT", "a", b"1")
            await send(environment, "PUT", "b", b"2" * 300_000)
            many = await send(environment, "POST", "", wire.dump_value(["b", "c", "a"]))
            data = await many.read()
            assert len(data) == many.body.length
            size = 4 + int.from_bytes(data[:4], "little")
            assert wire.load_value(data[4:size]) == [["b", 300_000, None], ["c", None, None], ["a", 1, None]]
            assert data[size:] == b"2" * 300_000 + b"1"
            assert [await ask(environment, "get", key) for key in "abc"] == [b"1", False, None]
            await ask(environment, "delete", "a")
            assert await ask(environment, "list", "", 1, "") == [[["b", None, None]], None]

    asyncio.run(main())


def test_what_a_guest_sends_is_checked() -> None:
    async def main() -> None:
        async with store() as environment:
            for method, path, body, kind in (
                ("PUT", "x?expiration_ttl=5", b"", BadCall),
                ("PUT", "x?expiration=[[[[", b"", BadCall),
                ("GET", "", b"", WorkerException),
                ("GET", "%ff", b"", WorkerException),
                ("GET", "..", b"", WorkerException),
                ("POST", "", b"not a value", WorkerException),
                ("POST", "", wire.dump_value("keys"), WorkerException),
                ("POST", "", wire.dump_value([1]), WorkerException),
                ("DELETE", "x", b"", NoSuchMethod),
            ):
                with pytest.raises(kind):
                    await send(environment, method, path, body)
            with pytest.raises(WorkerException, match="no named arguments"):
                await ask(environment, "delete", key="x")
            for method, positional in (
                ("delete", ()),
                ("list", (1,)),
                ("aclose", ()),
                ("get", ("x", 1)),
                ("put", ("x",)),
            ):
                with pytest.raises(NoSuchMethod):
                    await ask(environment, method, *positional)

    asyncio.run(main())


def test_too_much_at_once() -> None:
    async def main() -> None:
        async with store() as environment:
            for i in range(2):
                await send(environment, "PUT", f"k{i}", b"x" * (13 << 20))
            with pytest.raises(BadCall, match="GET_BULK failed: 413 Total size"):
                await send(environment, "POST", "", wire.dump_value(["k0", "k1"]))

    asyncio.run(main())


def test_stores_of_two_workers_are_two(tmp_path: Any) -> None:
    async def main() -> None:
        shared = StaticHost(state=tmp_path)
        other = StaticHost(worker="other", state=tmp_path, shared=shared.shared)
        async with (
            built([KVBinding("NAME", "cache")], shared) as one,
            built([KVBinding("NAME", "cache")], other) as two,
        ):
            await send(one, "PUT", "k", b"1")
            assert (await send(two, "GET", "k")).status == 404
        await shared.shared.aclose()

    asyncio.run(main())
