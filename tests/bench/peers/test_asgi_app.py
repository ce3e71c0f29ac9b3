from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pyworkerd_bench.peers.asgi_app import bare, bill
from pyworkerd_bench.shapes import BILL, ORDER


def ask(scope: dict[str, Any], *parts: bytes) -> list[Any]:
    """What the application sends for a request whose body comes in parts."""
    sent: list[Any] = []
    arriving = [{"body": part, "more_body": part is not parts[-1]} for part in parts]

    async def receive() -> Any:
        return arriving.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(bare(scope, receive, send))
    return sent


def test_the_bill_is_that_of_the_shape() -> None:
    assert bill(ORDER) == BILL


@pytest.mark.parametrize(
    ("scope", "parts", "expected"),
    [
        ({"method": "GET", "path": "/hello"}, (), b"hello"),
        ({"method": "POST", "path": "/body"}, (b"ab", b"cd"), b"abcd"),
        ({"method": "POST", "path": "/json"}, (json.dumps(ORDER).encode(),), json.dumps(BILL).encode()),
    ],
)
def test_shapes_without_a_framework(scope: dict[str, Any], parts: tuple[bytes, ...], expected: bytes) -> None:
    start, body = ask({"type": "http", **scope}, *parts)
    assert start["status"] == 200
    assert dict(start["headers"])[b"content-length"] == str(len(expected)).encode()
    assert body["body"] == expected


def test_what_is_not_http_is_left_alone() -> None:
    assert ask({"type": "lifespan"}) == []
