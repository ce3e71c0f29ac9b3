"""What of each request reaches the access log, whatever becomes of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import ExceededCpu
from pyworkerd.messages import Body, Request, Response
from pyworkerd.observe.scope import scope

from tests.runtime.server.client import chunk, get, run, site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pyworkerd.observe.access import AccessEntry


def post(target: str, *lines: str) -> bytes:
    return get(target, *lines, method="POST")


async def handler(request: Request) -> Response:
    found = scope.get()
    assert found is not None
    found.service = "shop"
    path = request.url.removeprefix("http://a").partition("?")[0]
    if path == "/cold":
        found.cold = True
    if path == "/cpu":
        raise ExceededCpu("too much")
    if path == "/bug":
        raise ValueError("no")
    if path == "/read":
        return Response(201, (), Body(await request.body.read()))
    if path in ("/stream", "/breaks"):
        return Response(200, (), Body(chunks=pieces(path == "/breaks")))
    return Response(200, (), Body(b"hello"))


async def pieces(breaks: bool) -> AsyncIterator[bytes]:
    yield b"one"
    if breaks:
        raise ExceededCpu("too much")
    yield b"two"


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_every_request_is_logged_once_when_it_is_over(loop: str) -> None:
    log: list[AccessEntry] = []

    async def main() -> None:
        async with site(handler, access_log=log.append) as place:
            client = await place.connect()
            sent = [
                (get("/plain?token=secret"), 200),
                (get("/cold"), 200),
                (get("/cpu"), 503),
                (get("/bug"), 500),
                (post("/read", "Content-Length: 4") + b"body", 201),
                (post("/read", "Transfer-Encoding: chunked") + chunk(b"x" * 100_000) + chunk(b"y"), None),
                (chunk(b"z") + b"0\r\n\r\n", 201),
                (get("/stream"), 200),
            ]
            ids = []
            for data, status in sent:
                client.send(data)
                if status is not None:
                    got, headers, _ = await client.response()
                    assert got == status
                    ids.append(headers["x-request-id"])
            _, headers, _ = await place.ask(b"nonsense\r\n\r\n")
            broken = await place.connect()
            broken.send(get("/breaks"))
            await broken.rest()
            port = client.writer.get_extra_info("sockname")[0]
            seen = [(e.method, e.path, e.status, e.error, e.bytes_in, e.cold) for e in log]
            assert seen == [
                ("GET", "/plain", 200, "", 0, False),
                ("GET", "/cold", 200, "", 0, True),
                ("GET", "/cpu", 503, "exceeded_cpu", 0, False),
                ("GET", "/bug", 500, "internal", 0, False),
                ("POST", "/read", 201, "", 4, False),
                ("POST", "/read", 201, "", 100_002, False),
                ("GET", "/stream", 200, "", 0, False),
                ("", "", 400, "bad_request", 0, False),
                ("GET", "/breaks", 200, "exceeded_cpu", 0, False),
            ]
            assert [e.request_id for e in log][:8] == [*ids, headers["x-request-id"]]
            assert {e.client for e in log} == {port}
            assert {(e.host, e.protocol, e.service) for e in log if e.method} == {("a", "HTTP/1.1", "shop")}
            assert all(e.duration_ms >= 0 and e.time > 1e9 for e in log)
            statistics = place.server.statistics()
            assert statistics.answers == (0, 0, 6, 0, 1, 2)
            assert statistics.sent == sum(e.bytes_out for e in log)
            assert statistics.received == sum(len(data) for data, _ in sent) + 12 + len(get("/breaks"))

    run(main, loop)


def test_a_client_that_leaves_is_logged_as_one_that_left() -> None:
    log: list[AccessEntry] = []

    async def main() -> None:
        entered, logged = asyncio.Event(), asyncio.Event()

        async def wait(request: Request) -> Response:
            entered.set()
            await asyncio.Event().wait()
            return Response()

        def hear(entry: AccessEntry) -> None:
            log.append(entry)
            logged.set()

        async with site(wait, access_log=hear) as place:
            client = await place.connect()
            client.send(get("/x"))
            await entered.wait()
            await client.aclose()
            await logged.wait()
            assert place.server.statistics().answers[0] == 1

    run(main)
    ((status, error, sent),) = [(e.status, e.error, e.bytes_out) for e in log]
    assert (status, error, sent) == (0, "cancelled", 0)
