"""A runtime behind its sockets."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import aiohttp
import pytest
from pyworkerd.dispatch.worker import Worker
from pyworkerd.errors import ConfigurationError
from pyworkerd.observe.snapshot import pack, unpack
from pyworkerd.server import bind
from pyworkerd.serving import OLD_GENERATIONS, Listening, Serving
from pyworkerd_config import ConfigError
from pyworkerd_config.model import Certificate, Config, Https, Service, Socket
from pyworkerd_config.model import Worker as WorkerModel

from tests.runtime.server.client import Client, chunk, get
from tests.runtime.server.pem import client_context, pair

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyworkerd.runtime import Runtime

SOURCE = """
import asyncio
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/slow"):
            await asyncio.sleep(0.05)
        await request.text()
        return Response("served")
"""


def config(folder: Path, *sockets: Socket) -> Config:
    (folder / "worker.py").write_text(SOURCE)
    worker = WorkerModel(folder / "worker.py", folder, global_outbound=None)
    return Config(sockets=sockets, services=(Service("shop", worker, routes=("/routed/*",)),))


def test_sockets_lead_to_services(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    async def main(runtime: Runtime) -> None:
        serving = Serving(runtime)
        try:
            routed, direct = await serving.start()
            assert (routed.name, direct.name, direct.service) == ("routed", "direct", "shop")
            async with aiohttp.ClientSession() as client:
                for base, path, status in (
                    (routed, "/routed/x", 200),
                    (routed, "/x", 404),
                    (direct, "/x", 200),
                ):
                    async with client.get(f"http://{base.address}{path}") as response:
                        assert response.status == status
        finally:
            await serving.aclose()

    sockets = (Socket("routed", "127.0.0.1:0"), Socket("direct", "127.0.0.1:0", "shop"))
    with_runtime(main, config(tmp_path, *sockets))


def test_a_socket_that_somebody_else_has_bound(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    listener = bind("127.0.0.1:0")

    async def main(runtime: Runtime) -> None:
        serving = Serving(runtime)
        (socket,) = await serving.start({"given": listener.share()})
        assert socket.address == str(listener.address)
        async with aiohttp.ClientSession() as client, client.get(f"http://{socket.address}/") as response:
            assert await response.text() == "served"
        await serving.aclose()

    with_runtime(main, config(tmp_path, Socket("given", "192.0.2.1:80", "shop")))
    listener.close()


def test_draining_finishes_what_runs(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    async def main(runtime: Runtime) -> None:
        serving = Serving(runtime)
        (socket,) = await serving.start()
        async with aiohttp.ClientSession() as client:

            async def ask() -> str:
                async with client.get(f"http://{socket.address}/slow") as response:
                    return await response.text()

            asking = asyncio.create_task(ask())
            while not runtime.statistics().started:
                await asyncio.sleep(0)
            await serving.drain()
            assert await asking == "served"
            with pytest.raises(aiohttp.ClientConnectionError):
                await ask()
        await serving.aclose()

    with_runtime(main, config(tmp_path, Socket("direct", "127.0.0.1:0", "shop")))


def answering(folder: Path, text: str, *sockets: Socket) -> Config:
    made = config(folder, *sockets)
    (folder / "worker.py").write_text(SOURCE.replace("served", text))
    return made


async def connect(socket: Listening) -> Client:
    host, _, port = socket.address.rpartition(":")
    return Client(*await asyncio.open_connection(host, int(port)))


def test_connections_go_on_with_the_new_configuration(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    one, two = Socket("one", "127.0.0.1:0", "shop"), Socket("two", "127.0.0.1:0", "shop")

    async def main(runtime: Runtime) -> None:
        serving = Serving(runtime)
        first, second = [await connect(each) for each in await serving.start()]
        for client in (first, second):
            assert (await client.ask(get("/x")))[2] == b"first"
        # The second socket goes and a third one comes; the first stays, and goes by routes from now on.
        changed = answering(
            tmp_path, "second", replace(one, service=None), Socket("three", "127.0.0.1:0", "shop")
        )
        (added,) = await serving.switch(await serving.prepare(changed))
        assert added.name == "three"
        third = await connect(added)
        assert [(await first.ask(get(path)))[0] for path in ("/x", "/routed/x")] == [404, 200]
        assert (await third.ask(get("/x")))[2] == b"second"
        assert await second.rest() == b""
        for client in (first, second, third):
            await client.aclose()
        await serving.aclose()

    with_runtime(main, answering(tmp_path, "first", one, two))


def test_a_response_that_has_begun_is_finished_by_its_worker(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    source = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(request.body)
"""
    socket = Socket("one", "127.0.0.1:0", "shop")
    first, second = config(tmp_path, socket), config(tmp_path, socket)
    (tmp_path / "worker.py").write_text(source)

    async def main(runtime: Runtime) -> None:
        serving = Serving(runtime)
        client = await connect((await serving.start())[0])
        client.send(get("/", "transfer-encoding: chunked", method="POST") + chunk(b"before"))
        assert (await client.head())[0] == 200
        assert await client.reader.readexactly(11) == chunk(b"before")
        (tmp_path / "worker.py").write_text(SOURCE)
        await serving.switch(await serving.prepare(second))
        other = await connect(serving.listening()[0])
        assert (await other.ask(get("/")))[2] == b"served"
        client.send(chunk(b"after") + b"0\r\n\r\n")
        assert await client.chunks() == b"after"
        assert (await client.ask(get("/")))[2] == b"served"
        await client.aclose()
        await other.aclose()
        await serving.drain()
        await serving.aclose()

    with_runtime(main, first)


def test_what_cannot_work_changes_nothing(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    one = Socket("one", "127.0.0.1:0", "shop")

    async def main(runtime: Runtime) -> None:
        serving = Serving(runtime)
        client = await connect((await serving.start())[0])
        taken = bind("127.0.0.1:0")
        taken.listen(1)
        broken = [
            answering(tmp_path, "second", one, Socket("two", "192.0.2.1:80", "shop")),
            answering(tmp_path, "second", one, Socket("two", str(taken.address), "shop")),
        ]
        for each in broken:
            with pytest.raises(ConfigurationError, match="cannot listen"):
                await serving.prepare(each)
        taken.close()
        changed = answering(tmp_path, "1 / 0", one, Socket("two", "127.0.0.1:0", "shop"))
        (tmp_path / "worker.py").write_text("1 / 0")
        with pytest.raises(ConfigurationError, match="ZeroDivisionError"):
            await serving.prepare(changed)
        await serving.discard(
            await serving.prepare(answering(tmp_path, "third", one, replace(one, name="two")))
        )
        assert (await client.ask(get("/")))[2] == b"first"
        assert [each.name for each in serving.listening()] == ["one"]
        await client.aclose()
        await serving.aclose()

    with_runtime(main, answering(tmp_path, "first", one))


def test_only_so_many_old_configurations_go_on(
    with_runtime: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    socket = Socket("one", "127.0.0.1:0", "shop")

    async def main(runtime: Runtime) -> None:
        serving = Serving(runtime)
        await serving.start()
        clients = []
        for number in range(OLD_GENERATIONS + 1):
            clients.append(await connect(serving.listening()[0]))
            clients[-1].send(get("/", "content-length: 1", method="POST"))
            await until_asked(runtime)
            changed = answering(tmp_path, f"version {number}", socket)
            await serving.switch(await serving.prepare(changed))
        assert (await clients[0].response())[0] == 503
        assert "the oldest is ended" in caplog.text
        clients[1].send(b"x")
        assert (await clients[1].response())[2] == b"version 0"
        for client in clients:
            await client.aclose()
        await serving.aclose()

    async def until_asked(runtime: Runtime) -> None:
        worker = runtime.services["shop"]
        assert isinstance(worker, Worker)
        while not worker.busy:
            await asyncio.sleep(0)

    with_runtime(main, answering(tmp_path, "first", socket))


def test_what_workers_promised_is_waited_for(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    made = config(tmp_path, Socket("one", "127.0.0.1:0", "shop"))
    (tmp_path / "worker.py").write_text(
        SOURCE.replace("        if", "        self.ctx.waitUntil(asyncio.sleep(0.05))\n        if")
    )

    async def main(runtime: Runtime) -> None:
        serving = Serving(runtime)
        client = await connect((await serving.start())[0])
        assert (await client.ask(get("/", "connection: close")))[2] == b"served"
        worker = runtime.services["shop"]
        assert isinstance(worker, Worker)
        assert worker.busy
        await serving.drain()
        assert not worker.busy
        await client.aclose()
        await serving.aclose()

    with_runtime(main, made)


def test_an_address_that_cannot_be_used(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    async def main(runtime: Runtime) -> None:
        serving = Serving(runtime)
        with pytest.raises(ConfigurationError):
            await serving.start()
        await serving.aclose()

    with_runtime(main, config(tmp_path, Socket("outside", "192.0.2.1:80", "shop")))


def test_what_the_sockets_and_the_workers_have_counted(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    async def main(runtime: Runtime) -> None:
        serving = Serving(runtime)
        try:
            (socket,) = await serving.start()
            client = Client(*await asyncio.open_connection(*socket.address.split(":")))
            sent = [get("/routed/x"), get("/missing"), get("/routed/x")]
            for data in sent[:2]:
                await client.ask(data)
            before = serving.metrics()
            assert before["requests"] == {("shop", "2xx", ""): (1,)}
            assert before["http_responses"] == {("routed", "2xx"): (1,), ("routed", "4xx"): (1,)}
            assert before["connections"] == {("routed",): (1,)}
            assert before["received_bytes"] == {("routed",): (sum(map(len, sent[:2])),)}
            # Another version of the worker goes on where this one was.
            (tmp_path / "worker.py").write_text(SOURCE.replace("served", "anew"))
            await serving.switch(await serving.prepare(runtime.config))
            assert (await client.ask(sent[2]))[2] == b"anew"
            after = serving.metrics()
            assert after["requests"] == {("shop", "2xx", ""): (2,)}
            assert after["cold_starts"] == {("shop",): (2,)}
            assert after["received_bytes"] == {("routed",): (sum(map(len, sent)),)}
            assert unpack(pack(after)) == after
            await client.aclose()
        finally:
            await serving.aclose()

    with_runtime(main, config(tmp_path, Socket("routed", "127.0.0.1:0")))


def test_another_configuration_may_change_tls_and_trust(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    first = config(tmp_path, Socket("a", "127.0.0.1:0", "shop"))
    https = Https((pair(tmp_path, "localhost"),))

    async def main(runtime: Runtime) -> None:
        serving = Serving(runtime)
        try:
            (socket,) = await serving.start()
            assert not socket.secure
            host, port = socket.address.split(":")
            plain = Client(*await asyncio.open_connection(host, port))
            assert (await plain.ask(get("/")))[0] == 200
            broken = Https((Certificate(tmp_path / "no.pem", tmp_path / "no.key"),))
            for made in (broken, https):
                changed = replace(runtime.config, sockets=(replace(first.sockets[0], https=made),))
                if made is broken:
                    with pytest.raises(ConfigError, match=r"no\.pem does not exist"):
                        await serving.prepare(changed)
                else:
                    assert await serving.switch(await serving.prepare(changed)) == []
                assert (await plain.ask(get("/")))[0] == 200  # who is connected goes on
            secure = Client(
                *await asyncio.open_connection(host, port, ssl=client_context(), server_hostname="localhost")
            )
            assert (await secure.ask(get("/")))[0] == 200
            assert [each.secure for each in serving.listening()] == [True]
            await serving.switch(await serving.prepare(first))
            again = Client(*await asyncio.open_connection(host, port))
            for client in (plain, secure, again):
                assert (await client.ask(get("/")))[0] == 200
                await client.aclose()
        finally:
            await serving.aclose()

    with_runtime(main, first)
