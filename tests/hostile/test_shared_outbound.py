"""Connections and name look-ups are shared by all workers: one that hangs on to them leaves the others theirs."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest
from pyworkerd.errors import WorkerException
from pyworkerd.runtime import Runtime
from pyworkerd.services.network import NetworkService
from pyworkerd.services.outbound_plan import OutboundLimits
from pyworkerd.services.resolver import THREADS
from pyworkerd_config.model import Limits, Network

SOURCE = """
import asyncio
from workers import Response, WorkerEntrypoint, fetch

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if "one" in request.url:
            return Response(await (await fetch(%(one)r)).text())
        await asyncio.gather(*[fetch(%(hang)r %% n) for n in range(40)], return_exceptions=True)
"""


def test_a_worker_that_holds_connections_leaves_others_theirs(sandbox: object) -> None:
    async def main() -> None:
        hanging = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal hanging
            head = await reader.readuntil(b"\r\n\r\n")
            if b"/one" in head:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
                await writer.drain()
            else:
                hanging += 1
                await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        source = SOURCE % {"one": f"{base}/one", "hang": f"{base}/hang/%d"}
        network = NetworkService(
            "net", Network(allow=("local",), deny=()), limits=OutboundLimits(connections=20)
        )
        async with Runtime() as runtime:
            bad = await runtime.load(
                {"w.py": source}, name="bad", network=network, limits=Limits(cpu_ms=1000)
            )
            good = await runtime.load({"w.py": source}, name="good", network=network)
            attacks = [asyncio.create_task(bad.fetch("/hang")) for _ in range(3)]
            while hanging < 10:
                await asyncio.sleep(0)
            assert await (await good.fetch("/one")).text() == "hi"
            assert hanging == 10
            for attack in attacks:
                attack.cancel()
            await asyncio.gather(*attacks, return_exceptions=True)
            await network.aclose()
        server.close()

    asyncio.run(main())


def test_a_worker_whose_names_take_long_leaves_others_their_look_ups(
    sandbox: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's resolver cannot be made slow, so that this one part of it stands in for it."""
    answer, stuck = threading.Event(), threading.Semaphore(0)

    def look_up(host: str, *_: Any, **__: Any) -> Any:
        if host.startswith("slow"):
            stuck.release()
            answer.wait()
        raise socket.gaierror(socket.EAI_NONAME, "name not known")

    async def main() -> None:
        source = SOURCE % {"one": "http://quick.invalid/", "hang": "http://slow%d.invalid/"}
        network = NetworkService("net", Network(allow=("public",), deny=()))
        async with Runtime() as runtime:
            bad = await runtime.load(
                {"w.py": source}, name="bad", network=network, limits=Limits(cpu_ms=1000)
            )
            good = await runtime.load({"w.py": source}, name="good", network=network)
            attack = asyncio.create_task(bad.fetch("/hang"))
            for _ in range(THREADS // 2):
                await asyncio.to_thread(stuck.acquire)
            with pytest.raises(WorkerException, match="no usable address"):
                await good.fetch("/one")
            answer.set()
            attack.cancel()
            await asyncio.gather(attack, return_exceptions=True)
            await network.aclose()

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    asyncio.run(main())
