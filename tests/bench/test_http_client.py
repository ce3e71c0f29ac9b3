from __future__ import annotations

import select
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.http_client import Connection, get_request, parse_response, wait_for_200

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nT: v\r\n\r\n"


@pytest.mark.parametrize("answer", [SIZED, CHUNKED])
def test_an_answer_is_complete_at_its_last_byte_and_not_before(answer: bytes) -> None:
    for cut in range(len(answer)):
        assert parse_response(answer[:cut]) is None
    parsed = parse_response(answer + b"HTTP/1.1")
    assert parsed is not None
    response, used = parsed
    assert (response.status, response.body, used) == (200, b"hello", len(answer))


def test_header_names_are_lower_case_and_204_has_no_body() -> None:
    parsed = parse_response(SIZED)
    assert parsed is not None
    assert parsed[0].headers == {"content-length": "5", "x-a": "b"}
    assert parse_response(b"HTTP/1.1 204 No Content\r\n\r\n") is not None


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=5))
def test_chunks_of_any_content_come_back_joined(chunks: list[bytes]) -> None:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    parsed = parse_response(data)
    assert parsed is not None
    assert (parsed[0].body, parsed[1]) == (b"".join(chunks), len(data))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"SSH-2.0-x\r\n\r\n", "not an HTTP/1.1 answer"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "neither a Content-Length nor chunks"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "out of bounds"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", "not a number"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "not a number"),
        (b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000, "larger than 64 KiB"),
    ],
)
def test_nonsense_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(BenchError, match=said):
        parse_response(data)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_bench_error(data: bytes) -> None:
    with suppress(BenchError):
        parsed = parse_response(b"HTTP/1.1 200 OK\r\n" + data)
        assert parsed is None or parsed[0].status == 200


@contextmanager
def answering(*answers: bytes) -> Iterator[int]:
    """A real server on a thread: each request on its one connection gets the next answer, then it closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            for answer in answers:
                request = b""
                while not request.endswith(b"\r\n\r\n"):
                    request += connection.recv(4096)
                for byte in range(0, len(answer), 7):
                    connection.sendall(answer[byte : byte + 7])

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join()
        listener.close()


def test_a_connection_is_kept_between_requests() -> None:
    with answering(SIZED, CHUNKED) as port, Connection(port) as connection:
        assert connection.timed(get_request("/")) > 0
        assert connection.exchange(get_request("/")).body == b"hello"


def test_another_status_and_a_closed_connection_are_errors() -> None:
    refusal = b"HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\nno"
    with answering(refusal) as port, Connection(port) as connection:
        with pytest.raises(BenchError, match="answered 503 instead of 200"):
            connection.timed(get_request("/"))
        with pytest.raises(BenchError, match="connection"):
            connection.timed(get_request("/"))


def test_a_connection_knows_when_the_server_has_hung_up() -> None:
    with answering(SIZED, SIZED) as port, Connection(port) as connection:
        connection.timed(get_request("/"))
        assert not connection.is_closed()
        connection.timed(get_request("/"))
        select.select([connection._socket], [], [], 10)
        assert connection.is_closed()
    assert connection.is_closed()


def test_a_closed_port_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(BenchError, match="cannot connect"):
        Connection(port)
    with pytest.raises(BenchError, match="no 200 from"):
        wait_for_200(port, timeout=0.01)


def test_waiting_ends_with_the_first_200() -> None:
    with answering(SIZED) as port:
        wait_for_200(port)
