"""Clients without manners, and what a worker notices of them. The server's own side is in
`tests/runtime/server/test_rude_clients.py`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from pyworkerd_config.model import Limits
from pyworkerd_isolates.protocol import WINDOW

from tests.conformance.place import served
from tests.memory import in_use
from tests.runtime.server.client import chunk, get, run
from tests.runtime.server.test_rude_clients import end_of, leave, stuck, until

if TYPE_CHECKING:
    import socket

    from tests.conformance.place import Place

LOOPS = ["asyncio", "uvloop"]
PIECE = 64 * 1024
READERS = 100
SOURCE = """
import asyncio
from workers import Response, WorkerEntrypoint

open = 0

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = request.url.split("/")[3]
        if path == "read":
            return Response(await request.text())
        if path == "upper":
            return Response(self.upper(request.body))
        if path == "endless":
            return Response(self.endless())
        return Response(str(open))

    async def upper(self, body):
        async for piece in body:
            yield bytes(piece).upper()

    async def endless(self):
        global open
        open += 1
        try:
            while True:
                yield bytes(65536)
                await asyncio.sleep(0)
        finally:
            open -= 1
"""


async def send(raw: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(raw, data)


async def nothing_is_left(place: Place) -> None:
    """No invocation, no body, no connection but that of whoever asks."""
    await until(lambda: not place.site.server.statistics().connections_now)
    await place.nothing_runs()
    assert (await place.site.ask(get("/", "Connection: close")))[2] == b"0"
    await until(lambda: not place.site.server.statistics().connections_now)


def test_a_body_that_comes_byte_by_byte_has_the_time_of_its_invocation(sandbox: object) -> None:
    async def drip(raw: socket.socket) -> None:
        with suppress(OSError):
            while True:
                await send(raw, b"a")
                await asyncio.sleep(0.01)

    async def main() -> None:
        async with served(SOURCE, limits=Limits(wall_ms=1000), linger_timeout=0.2) as place:
            crowd = [await place.site.raw() for _ in range(20)]
            for raw in crowd:
                await send(raw, get("/read", "Content-Length: 1000000", method="POST"))
            dripping = [asyncio.create_task(drip(raw)) for raw in crowd]
            assert (await place.site.ask(get("/", "Connection: close")))[2] == b"0"
            for raw in crowd:
                answer = await end_of(raw)
                assert answer.startswith(b"HTTP/1.1 503 ")
                assert b"\r\nx-pyworkerd-error: exceeded_wall_time\r\n" in answer
            await asyncio.gather(*dripping)
            await nothing_is_left(place)

    run(main)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("how", ["resets", "closes"])
@pytest.mark.parametrize("path", ["read", "upper"])
def test_a_client_may_go_after_any_byte_and_no_invocation_stays(
    loop: str, how: str, path: str, sandbox: object
) -> None:
    talk = get(f"/{path}", "Transfer-Encoding: chunked", method="POST") + chunk(b"abc") * 2 + b"0\r\n\r\n"

    async def main() -> None:
        async with served(SOURCE, limits=Limits(isolates=1)) as place:
            for length in range(len(talk) + 1):
                seen = place.site.server.statistics().received
                raw = await place.site.raw()
                await send(raw, talk[:length])
                await until(
                    lambda seen=seen, length=length: place.site.server.statistics().received == seen + length
                )
                leave(raw, how)
            await nothing_is_left(place)
            assert place.worker.service.counters.lost == 0

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_slow_readers_hold_a_window_each(loop: str, sandbox: object) -> None:
    # Of the host, with what went past `response_buffer`; and what the worker itself is at, which `memory_mb` bounds.
    most = (READERS - 1) * (WINDOW + 64 * 1024 + PIECE) + 48 * 1024 * 1024

    async def main() -> None:
        async with served(SOURCE, limits=Limits(isolates=1, cpu_ms=60_000)) as place:
            assert (await place.site.ask(get("/", "Connection: close")))[2] == b"0"
            before = in_use()
            readers = [await place.site.raw() for _ in range(READERS - 1)]
            for raw in readers:
                await send(raw, get("/endless"))
            for _ in range(3):
                await until(lambda: stuck(place.site) == len(readers), 0.01)
                # One more is served, by the same isolate.
                assert (await place.site.ask(get("/", "Connection: close")))[2] == b"%d" % len(readers)
                assert in_use() - before < most
                for raw in readers:
                    await asyncio.get_running_loop().sock_recv(raw, 1024)
            for number, raw in enumerate(readers):
                leave(raw, "resets" if number % 2 else "closes")
            await nothing_is_left(place)
            assert in_use() - before < 64 * 1024 * 1024

    run(main, loop)
