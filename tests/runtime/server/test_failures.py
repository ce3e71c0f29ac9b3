from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest
from pyworkerd import errors
from pyworkerd.messages import Body, Request, Response

from tests.runtime.server.client import get, run, site

if TYPE_CHECKING:
    from collections.abc import Callable

CASES: list[tuple[Callable[[], Exception], int, str, bool]] = [
    (lambda: errors.BadRequest("detail"), 400, "bad_request", False),
    (lambda: errors.NoRoute("detail"), 404, "no_route", False),
    (lambda: errors.WorkerException("TypeError", "detail", "detail"), 500, "worker_exception", False),
    (lambda: errors.NoHandler("detail"), 500, "no_handler", False),
    (lambda: errors.ExceededCpu("detail"), 503, "exceeded_cpu", False),
    (lambda: errors.Overloaded("detail"), 503, "overloaded", False),
    (lambda: errors.UpstreamError("detail"), 502, "upstream", False),
    (lambda: errors.AccessDenied("detail"), 403, "access_denied", False),
    (lambda: errors.ConnectTimeout("detail"), 504, "connect_timeout", False),
    (lambda: errors.ConfigurationError("detail"), 500, "internal", True),
    (lambda: errors.InternalError("detail"), 500, "internal", True),
    (lambda: ValueError("detail"), 500, "internal", True),
]


@pytest.mark.parametrize(("make", "status", "code", "logged"), CASES)
def test_a_raised_error_becomes_an_answer(
    make: Callable[[], Exception], status: int, code: str, logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: Request) -> Response:
        raise make()

    async def main() -> None:
        async with site(handler) as place:
            client = await place.connect()
            for _ in range(2):
                got, headers, body = await client.ask(get())
                assert (got, headers["x-pyworkerd-error"]) == (status, code)
                assert b"detail" not in body
                assert body.count(b"\n") == 1
                assert headers["content-type"].startswith("text/plain")
                assert ("retry-after" in headers) is (code == "overloaded")

    with caplog.at_level(logging.DEBUG, "pyworkerd.server"):
        run(main)
    assert len(caplog.records) == (2 if logged else 0)
    assert ("detail" in caplog.text) is logged


def test_the_error_page() -> None:
    def page(request: Request, error: Exception) -> Response | None:
        if request.url.endswith("/none"):
            return None
        if request.url.endswith("/broken"):
            raise RuntimeError
        if request.url.endswith("/bad"):
            return Response(500, (("x", "\n"),))
        return Response(599, (), Body(f"{error}".encode()))

    async def handler(request: Request) -> Response:
        raise errors.NoRoute("where")

    async def main() -> None:
        async with site(handler, error_page=page) as place:
            client = await place.connect()
            assert (await client.ask(get("/")))[::2] == (599, b"where")
            for target in ("/none", "/broken", "/bad"):
                assert (await client.ask(get(target)))[::2] == (404, b"Not Found\n")

    logging.getLogger("pyworkerd.server").setLevel(logging.CRITICAL)
    try:
        run(main)
    finally:
        logging.getLogger("pyworkerd.server").setLevel(logging.NOTSET)


def test_a_handler_that_cancels_itself(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: Request) -> Response:
        raise asyncio.CancelledError

    async def main() -> None:
        async with site(handler) as place:
            assert (await place.ask(get()))[0] == 500

    run(main)
    assert "cancelled itself" in caplog.text


@pytest.mark.parametrize(
    "response", [Response(101), Response(200, (("x", "a\r\nb: c"),)), Response(200, (("", "a"),))]
)
def test_a_response_that_cannot_be_sent(response: Response) -> None:
    async def handler(request: Request) -> Response:
        return response

    async def main() -> None:
        async with site(handler) as place:
            status, headers, _ = await place.ask(get())
            assert (status, headers["x-pyworkerd-error"]) == (500, "bad_effect")

    run(main)
