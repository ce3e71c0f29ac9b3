"""A runtime behind its sockets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import pytest
from pyworkerd.errors import ConfigurationError
from pyworkerd.server import bind
from pyworkerd.serving import Serving
from pyworkerd_config.model import Config, Service, Socket
from pyworkerd_config.model import Worker as WorkerModel

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


def test_an_address_that_cannot_be_used(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    async def main(runtime: Runtime) -> None:
        serving = Serving(runtime)
        with pytest.raises(ConfigurationError):
            await serving.start()
        await serving.aclose()

    with_runtime(main, config(tmp_path, Socket("outside", "192.0.2.1:80", "shop")))
