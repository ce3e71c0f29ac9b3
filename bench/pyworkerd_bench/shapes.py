"""What is asked under load: the same requests of every contestant, and how a right answer looks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .errors import BenchError
from .http_client import Connection, request_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

BODY_BYTES: Final = 10 * 1024
TENANTS: Final = 100

ORDER: Final = {
    "customer": {"id": 17, "name": "Ada"},
    "items": [
        {"name": "compiler", "price": 250, "count": 2},
        {"name": "engine", "price": 40, "count": 5},
        {"name": "table", "price": 7, "count": 1},
    ],
}
"""What a client sends as JSON: some 150 bytes, nested, like most of what APIs get."""
BILL: Final = {"customer": "Ada", "items": 3, "total": 707}
"""What a handler makes of it: it has to parse, to look inside, and to write."""


@dataclass(frozen=True)
class Shape:
    """One kind of load. Requests differ in their paths only, and are sent in turn."""

    paths: tuple[str, ...]
    expected: object
    """The answer's body, or the value that its JSON stands for."""
    body: bytes | None = None
    """With a body it is a POST."""
    content_type: str = ""

    def request(self, path: str) -> bytes:
        """The bytes of one request."""
        if self.body is None:
            return request_bytes("GET", path)
        return request_bytes("POST", path, self.body, self.content_type)

    def check(self, port: int) -> None:
        """Ask once on each path. Raises BenchError for a wrong answer: how fast one comes is no figure."""
        with Connection(port) as connection:
            for path in self.paths:
                response = connection.exchange(self.request(path))
                if response.status != 200 or not self._is_right(response.body):
                    raise BenchError(f"{path} was answered {response.status} {response.body[:200]!r}")

    def _is_right(self, body: bytes) -> bool:
        if isinstance(self.expected, bytes):
            return body == self.expected
        try:
            return bool(json.loads(body) == self.expected)
        except ValueError:
            return False


_TEXT: Final = b"".join(b"%07d\n" % number for number in range(BODY_BYTES // 8))

SHAPES: Final[Mapping[str, Shape]] = {
    "hello": Shape(("/hello",), b"hello"),
    "json": Shape(("/json",), BILL, json.dumps(ORDER).encode(), "application/json"),
    "body": Shape(("/body",), _TEXT, _TEXT, "text/plain"),
    "chain": Shape(("/chain",), b"hello"),
    "tenants": Shape(tuple(f"/t{number}" for number in range(TENANTS)), b"hello"),
}
"""By the figure's key."""
