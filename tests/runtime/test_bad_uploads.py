"""What a client does wrong after its head has gone through is its own fault, also where a worker reads the body."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import UpstreamError
from pyworkerd.http import HttpLimits
from pyworkerd.messages import Response
from pyworkerd_config.model import Limits

from tests.runtime.server.client import chunk, get, site

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.messages import Request
    from pyworkerd.runtime import Runtime

SOURCE = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if "forward" in request.url:
            return await self.env.NEXT.fetch(request.url.replace("forward", "read"), method="POST", body=request.body)
        if "catch" in request.url:
            try:
                return Response(await request.text())
            except OSError:
                return Response("caught", status=299)
        return Response(await request.text())
"""
CHUNKED = "Transfer-Encoding: chunked"
PIECE = chunk(b"x" * 60_000)


@pytest.mark.parametrize("path", ["/read", "/forward"])
@pytest.mark.parametrize(
    ("rest", "status", "code"),
    [
        (b"zz\r\n", 400, "bad_request"),
        (b"0\r\nt: " + b"x" * 20_000 + b"\r\n\r\n", 431, "headers_too_large"),
        (PIECE * 9, 413, "body_too_large"),  # the server's limit
        (b"", 408, "request_timeout"),
    ],
)
def test_the_client_is_told_what_it_did(
    path: str, rest: bytes, status: int, code: str, with_runtime: Callable[..., None]
) -> None:
    async def main(runtime: Runtime) -> None:
        last = await runtime.load({"w.py": SOURCE})
        worker = await runtime.load({"w.py": SOURCE}, bindings={"NEXT": last})
        limits = HttpLimits(body=400_000)
        async with site(worker.service.fetch, limits=limits, body_timeout=0.05 if not rest else 60) as place:
            client = await place.connect()
            client.send(get(path, CHUNKED, method="POST") + PIECE + rest)
            got, headers, _ = await client.response()
            assert (got, headers["x-pyworkerd-error"], headers["connection"]) == (status, code, "close")
            figures = place.server.statistics()
            assert (figures.client_errors + figures.timeouts > 0, figures.handler_errors) == (True, 0)
        assert [entry for entry in last.logs if entry.level == "error"] == []

    with_runtime(main)


def test_a_body_beyond_the_workers_own_limit(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load({"w.py": SOURCE}, limits=Limits(request_body_mb=1, cpu_ms=1000))
        async with site(worker.service.fetch) as place:
            client = await place.connect()
            client.send(get("/read", CHUNKED, method="POST") + PIECE * 20)
            got, headers, _ = await client.response()
            assert (got, headers["x-pyworkerd-error"]) == (413, "body_too_large")

    with_runtime(main)


def test_a_worker_may_answer_as_it_likes(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load({"w.py": SOURCE})
        async with site(worker.service.fetch) as place:
            status, headers, body = await place.ask(get("/catch", CHUNKED, method="POST") + PIECE + b"zz\r\n")
            assert (status, body) == (299, b"caught")
            assert "x-pyworkerd-error" not in headers

    with_runtime(main)


def test_a_program_that_hides_the_reason() -> None:
    """The server itself remembers what it told the handler."""

    async def handler(request: Request) -> Response:
        try:
            await request.body.read()
        except Exception:
            raise UpstreamError("it broke") from None
        return Response(204)

    async def main() -> None:
        async with site(handler) as place:
            status, headers, _ = await place.ask(get("/", CHUNKED, method="POST") + PIECE + b"zz\r\n")
            assert (status, headers["x-pyworkerd-error"]) == (400, "bad_request")

    asyncio.run(main())
