"""A minimal HTTP/1.1 client for measuring: one blocking socket, kept alive, nothing between it and the clock.

It is used for all contestants alike. It reads answers with a Content-Length or chunked (RFC 9112 sections 6
and 7.1) and refuses any other framing, because an answer that ends with its connection cannot be measured on
a kept one.
"""

from __future__ import annotations

import select
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from .errors import BenchError

MAX_HEAD = 64 * 1024
MAX_BODY = 64 * 1024 * 1024
RECEIVE = 64 * 1024
TIMEOUT = 30.0
"""Seconds after which a contestant counts as hung."""
PAUSE = 0.001
"""Seconds between two tries to reach a server that is starting: below what any figure resolves."""


@dataclass(frozen=True)
class Response:
    """A complete answer. Header names are lower case; of a repeated header the last value is kept."""

    status: int
    headers: dict[str, str]
    body: bytes


HOST = "bench.test"
"""Has no port, so that every contestant is sent the same bytes."""


def get_request(path: str) -> bytes:
    """The bytes of a GET request."""
    return request_bytes("GET", path)


def request_bytes(method: str, path: str, body: bytes | None = None, content_type: str = "") -> bytes:
    """The bytes of a request, which has a body unless that is None."""
    head = f"{method} {path} HTTP/1.1\r\nhost: {HOST}\r\n"
    if body is None:
        return f"{head}\r\n".encode("ascii")
    head += f"content-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode("ascii") + body


def parse_response(data: bytes | bytearray) -> tuple[Response, int] | None:
    """The first answer in `data` and the bytes it takes up, or None if more is needed. Raises BenchError."""
    end = data.find(b"\r\n\r\n", 0, MAX_HEAD)
    if end < 0:
        if len(data) >= MAX_HEAD:
            raise BenchError("an answer's head is larger than 64 KiB")
        return None
    status, headers = _parse_head(bytes(data[:end]))
    if status in {204, 304}:
        return Response(status, headers, b""), end + 4
    if "chunked" in headers.get("transfer-encoding", ""):
        framed = _chunked_body(data, end + 4)
    else:
        framed = _sized_body(data, end + 4, headers.get("content-length"))
    return None if framed is None else (Response(status, headers, framed[0]), framed[1])


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    lines = head.decode("latin-1").split("\r\n")
    version, _, rest = lines[0].partition(" ")
    if version not in {"HTTP/1.1", "HTTP/1.0"} or not rest[:3].isdigit():
        raise BenchError(f"not an HTTP/1.1 answer: {lines[0][:80]!r}")
    pairs = (line.partition(":") for line in lines[1:])
    return int(rest[:3]), {name.strip().lower(): value.strip() for name, _, value in pairs}


def _number(text: str, base: int) -> int:
    try:
        number = int(text, base)
    except ValueError:
        raise BenchError(f"a body's length is not a number: {text[:40]!r}") from None
    if not 0 <= number <= MAX_BODY:
        raise BenchError(f"a body's length is out of bounds: {text[:40]!r}")
    return number


def _sized_body(data: bytes | bytearray, start: int, length: str | None) -> tuple[bytes, int] | None:
    if length is None:
        raise BenchError("an answer has neither a Content-Length nor chunks")
    end = start + _number(length, 10)
    return (bytes(data[start:end]), end) if len(data) >= end else None


def _chunked_body(data: bytes | bytearray, start: int) -> tuple[bytes, int] | None:
    chunks: list[bytes] = []
    total = 0
    while True:
        line_end = data.find(b"\r\n", start)
        if line_end < 0:
            return None
        size = _number(bytes(data[start:line_end]).partition(b";")[0].decode("latin-1"), 16)
        if size == 0:
            return _after_trailers(data, line_end + 2, b"".join(chunks))
        start, end = line_end + 4 + size, line_end + 2 + size
        total += size
        if total > MAX_BODY:
            raise BenchError("a chunked body is too large")
        if len(data) < start:
            return None
        chunks.append(bytes(data[line_end + 2 : end]))


def _after_trailers(data: bytes | bytearray, start: int, body: bytes) -> tuple[bytes, int] | None:
    while (end := data.find(b"\r\n", start)) >= 0:
        if end == start:
            return body, end + 2
        start = end + 2
    return None


def connect(host: str, port: int, timeout: float = TIMEOUT) -> socket.socket:
    """A connected socket that sends at once (no Nagle delay). Raises OSError."""
    sock = socket.create_connection((host, port), timeout=timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class Connection:
    """One kept-alive connection. Raises BenchError when the peer closes, hangs or answers nonsense."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        try:
            self._socket = connect(host, port)
        except OSError as error:
            raise BenchError(f"cannot connect to {host}:{port}: {error}") from error
        self._rest = b""

    def send(self, request: bytes) -> None:
        """Send a request; its answer is `receive`d next."""
        try:
            self._socket.sendall(request)
        except OSError as error:
            raise BenchError(f"the connection failed: {error}") from error

    def receive(self) -> Response:
        """Read one whole answer."""
        buffer = bytearray(self._rest)
        try:
            while (parsed := parse_response(buffer)) is None:
                data = self._socket.recv(RECEIVE)
                if not data:
                    raise BenchError("the connection was closed before the answer was complete")
                buffer += data
        except OSError as error:
            raise BenchError(f"the connection failed: {error}") from error
        response, used = parsed
        self._rest = bytes(buffer[used:])
        return response

    def exchange(self, request: bytes) -> Response:
        """Send a request and read its whole answer."""
        self.send(request)
        return self.receive()

    def timed(self, request: bytes, *, status: int = 200) -> float:
        """Seconds from sending a request to its complete answer. Raises BenchError on another status."""
        began = time.perf_counter()
        response = self.exchange(request)
        seconds = time.perf_counter() - began
        if response.status != status:
            raise BenchError(f"answered {response.status} instead of {status}: {response.body[:200]!r}")
        return seconds

    def is_closed(self) -> bool:
        """Whether this end or the server has hung up, as servers do when a connection was idle for seconds.

        Ask between two exchanges: nothing may be there to read then, except the end.
        """
        return self._socket.fileno() < 0 or bool(select.select([self._socket], [], [], 0)[0])

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def wait_for_200(port: int, path: str = "/", *, timeout: float = TIMEOUT) -> None:
    """Ask again and again until the first 200. Raises BenchError after `timeout` seconds."""
    deadline = time.perf_counter() + timeout
    while time.perf_counter() < deadline:
        with suppress(BenchError), Connection(port) as connection:
            if connection.exchange(get_request(path)).status == 200:
                return
        time.sleep(PAUSE)
    raise BenchError(f"no 200 from port {port} for {path} within {timeout:g} s")
