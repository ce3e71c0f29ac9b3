"""Large bodies through a worker that touches every byte, and many effects at once, over HTTP and within the limits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
from pyworkerd.http import HttpLimits
from pyworkerd.runtime import Runtime
from pyworkerd.server import HttpServer, ServerOptions
from pyworkerd_config.model import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SOURCE = """
import asyncio
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.method == "POST":
            return Response(self.transformed(request.body))
        answers = await asyncio.gather(*(self.env.DOUBLE(number) for number in range(100)))
        return Response(str(sum(answers)))

    async def transformed(self, body):
        async for chunk in body:
            yield chunk.swapcase()
"""
SIZE = 100 * 1024 * 1024
PIECE = b"a" * 65_536


def test_a_hundred_megabytes_both_ways_and_a_hundred_effects_at_once(sandbox: object) -> None:
    waiting = 0
    most = 0

    async def double(number: int) -> int:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        await asyncio.sleep(0.05)
        waiting -= 1
        return 2 * number

    async def upload() -> AsyncIterator[bytes]:
        for _ in range(SIZE // len(PIECE)):
            yield PIECE

    async def main() -> None:
        async with Runtime() as runtime:
            limits = Limits(cpu_ms=60_000, memory_mb=128, request_body_mb=100)
            worker = await runtime.load({"w.py": SOURCE}, bindings={"DOUBLE": double}, limits=limits)
            server = HttpServer(worker.service.fetch, ServerOptions(limits=HttpLimits(body=SIZE)))
            address = await server.start("127.0.0.1:0")
            async with aiohttp.ClientSession() as client:
                async with client.get(f"http://{address}/") as response:
                    assert await response.text() == str(2 * sum(range(100)))
                assert most == 100
                size = 0
                async with client.post(f"http://{address}/", data=upload()) as response:
                    async for chunk in response.content.iter_any():
                        assert chunk == b"A" * len(chunk)
                        size += len(chunk)
                assert size == SIZE
            await server.aclose()

    asyncio.run(main())
