"""Answers in place of upstream's server scripts, as tests see them."""

from __future__ import annotations

import asyncio

import pytest
from pyworkerd.messages import Body, Request, Response

from .handlers import HANDLERS, query_of


def ask(name: str, query: str = "", method: str = "POST", body: bytes = b"", **headers: str) -> Response:
    pairs = tuple((key.replace("_", "-"), value) for key, value in headers.items())
    request = Request(method, f"http://web-platform.test:8000/{name}?{query}", pairs, Body(body))

    async def main() -> Response:
        response = await HANDLERS[name](request, query_of(query))
        response.body = Body(await response.body.read())
        return response

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("name", "body", "answer"),
    [
        ("echo-content.py", b"a\0\xff", b"a\0\xff"),
        ("echo-content-escaped.py", b"a\\\n\xff\r\n", b"a\\\\\\x0a\\xff\r\n"),
        ("method.py", b"x", b"x"),
        ("trickle.py", b"", b"TEST_TRICKLE\n" * 3),
    ],
)
def test_bodies(name: str, body: bytes, answer: bytes) -> None:
    assert ask(name, "ms=0&count=3", body=body).body.data == answer


def test_headers() -> None:
    found = ask("inspect-headers.py", "headers=a|B|c", a="1", b="2")
    assert found.headers == (("x-request-a", "1"), ("x-request-b", "2"), ("content-type", "text/plain"))
    assert ask("method.py", method="PUT").header("x-request-method") == "PUT"
    assert ask("method.py", content_type="x/y").header("x-request-content-type") == "x/y"


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [("", 200, b""), ("code=404&content=%FF", 404, b"\xff"), ("code=204&content=x", 204, b"")],
)
def test_status(query: str, status: int, body: bytes) -> None:
    found = ask("status.py", query)
    assert (found.status, found.body.data) == (status, body)
