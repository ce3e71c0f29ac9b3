from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.http_client import HOST
from pyworkerd_bench.processes import Server
from pyworkerd_bench.shapes import BILL, BODY_BYTES, ORDER, SHAPES, TENANTS, Shape

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = """
import asyncio
async def serve(reader, writer):
    try:
        while head := (await reader.readuntil(b"\\r\\n\\r\\n")).lower():
            method, path, *_ = head.split()
            status, body = (b"200 OK" if path == b"/a" else b"404 Not Found"), b"a"
            if method == b"post":
                length = int(head.partition(b"content-length:")[2].split()[0])
                body = await reader.readexactly(length)
                status, body = b"200 OK", body if b"text/plain" in head else b"{"
            writer.write(b"HTTP/1.1 %s\\r\\ncontent-length: %d\\r\\n\\r\\n%s" % (status, len(body), body))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with Server([sys.executable, "-c", SERVER], r"port (\d+)") as server:
        yield server.port


def test_requests_are_complete_and_equal_for_everybody() -> None:
    head, _, body = SHAPES["json"].request("/json").partition(b"\r\n\r\n")
    assert head.splitlines()[:2] == [b"POST /json HTTP/1.1", b"host: %s" % HOST.encode()]
    assert b"content-length: %d" % len(body) in head
    assert json.loads(body) == ORDER
    assert SHAPES["hello"].request("/hello").endswith(b"\r\n\r\n")


def test_the_bill_is_what_the_order_comes_to() -> None:
    assert sum(item["price"] * item["count"] for item in ORDER["items"]) == BILL["total"]  # type: ignore[index]
    assert len(SHAPES["body"].body or b"") == BODY_BYTES
    assert len(set(SHAPES["tenants"].paths)) == TENANTS


def test_right_answers_pass(port: int) -> None:
    Shape(("/a", "/a"), b"a").check(port)
    Shape(("/x",), b"12345", b"12345", "text/plain").check(port)
    Shape(("/x",), {"a": 1}, b'{ "a" : 1 }', "text/plain").check(port)


@pytest.mark.parametrize(
    "shape",
    [
        Shape(("/a", "/b"), b"a"),
        Shape(("/a",), b"b"),
        Shape(("/x",), {"a": 1}, b'{"a": 2}', "text/plain"),
        Shape(("/x",), {"a": 1}, b'{"a": 1}', "application/json"),
    ],
)
def test_wrong_answers_are_no_figure(port: int, shape: Shape) -> None:
    with pytest.raises(BenchError, match="was answered"):
        shape.check(port)
