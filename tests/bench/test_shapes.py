from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.http_client import HOST
from pyworkerd_bench.shapes import BILL, BODY_BYTES, ORDER, SHAPES, TENANTS, Shape

from tests.bench.servers import SHAPED, server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with server(SHAPED) as place:
        yield place.port


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
