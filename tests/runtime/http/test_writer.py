from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.errors import BadEffect
from pyworkerd.http.writer import (
    KNOWN_HEADS,
    SHORT_HEAD,
    Exchange,
    Framing,
    Heads,
    encode_body,
    encode_chunk,
    encode_switch,
    reason_phrase,
)
from pyworkerd.messages import Body
from pyworkerd.observe.scope import Scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pyworkerd.messages import Headers

GET, HEAD, OLD = Exchange(False, True), Exchange(True, True), Exchange(False, False)


def written(
    heads: Heads,
    status: int,
    headers: Headers,
    length: int | None = 0,
    exchange: Exchange = GET,
    keep: bool = True,
) -> tuple[bytes, Framing, int | None]:
    return heads.encode(Scope("T", "R", 0, ""), status, headers, length, exchange, keep, "D")


def encode(
    status: int = 200,
    headers: Headers = (),
    length: int | None = 0,
    exchange: Exchange = GET,
    *,
    keep: bool = True,
) -> tuple[list[str], Framing, int | None]:
    heads = Heads("S")
    head, framing, promised = written(heads, status, headers, length, exchange, keep)
    assert head.endswith(b"\r\n\r\n")
    assert written(heads, status, headers, length, exchange, keep) == (head, framing, promised)
    return head.decode("latin-1").split("\r\n")[:-2], framing, promised


def test_a_whole_response() -> None:
    assert encode(200, (("content-type", "text/plain"), ("set-cookie", "a"), ("set-cookie", "b")), 5) == (
        ["HTTP/1.1 200 OK", "content-type: text/plain", "set-cookie: a", "set-cookie: b", "server: S",
         "content-length: 5", "date: D", "x-request-id: R"],
        Framing.LENGTH,
        5,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "given_length", "length", "exchange", "framing", "sent"),
    [
        (200, None, None, GET, Framing.CHUNKED, None),
        (200, None, None, OLD, Framing.CLOSE, None),
        (200, "7", None, GET, Framing.LENGTH, 7),
        (200, "7", 5, GET, Framing.LENGTH, 5),
        (200, "x", None, GET, Framing.CHUNKED, None),
        (200, None, 5, HEAD, Framing.NONE, 5),
        (200, "7", 0, HEAD, Framing.NONE, 7),
        (200, "7", None, HEAD, Framing.NONE, 7),
        (200, None, None, HEAD, Framing.NONE, None),
        (204, "7", 5, GET, Framing.NONE, None),
        (304, "7", 0, GET, Framing.NONE, 7),
        (304, None, 0, GET, Framing.NONE, None),
        (205, None, 5, GET, Framing.NONE, 0),
    ],
)
def test_framing(
    status: int,
    given_length: str | None,
    length: int | None,
    exchange: Exchange,
    framing: Framing,
    sent: int | None,
) -> None:
    headers = (("content-length", given_length),) if given_length else ()
    lines, chosen, promised = encode(status, headers, length, exchange)
    assert chosen is framing
    assert promised == sent
    assert [line for line in lines if line.startswith("content-length")] == (
        [f"content-length: {sent}"] if sent is not None else []
    )
    assert ("transfer-encoding: chunked" in lines) is (framing is Framing.CHUNKED)
    assert ("connection: close" in lines) is (framing is Framing.CLOSE)


def test_connection() -> None:
    assert "connection: close" in encode(keep=False)[0]
    assert "connection: keep-alive" in encode(exchange=OLD)[0]
    assert not any(line.startswith("connection") for line in encode()[0])


def test_the_servers_business_is_dropped() -> None:
    names = (
        "Connection",
        "Keep-Alive",
        "Proxy-Authenticate",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "X-Request-Id",
    )
    assert encode(headers=tuple((name, "chunked") for name in names))[0] == encode()[0]


def test_date_and_server_of_the_handler_stay() -> None:
    lines = encode(headers=(("Date", "then"), ("server", "mine")))[0]
    assert [line for line in lines if line.startswith(("date", "server"))] == ["date: then", "server: mine"]


@pytest.mark.parametrize("text", ["a\r\nb: c", "a\n", "a\r", "a\0", "a\x01", "\x7f", "\u0100", "\u20ac"])
def test_values_that_cannot_be_sent(text: str) -> None:
    with pytest.raises(BadEffect):
        encode(headers=(("x", text),))


@pytest.mark.parametrize(
    "text", ["", "a b", "a:", "a\r\nb", "a\0", "\xe9", "\u0130", "a" * 65 + "\n", "proxy-\n"]
)
def test_names_that_cannot_be_sent(text: str) -> None:
    for _ in range(2):
        with pytest.raises(BadEffect):
            encode(headers=((text, "x"),))


@pytest.mark.parametrize("status", [0, 100, 101, 199, 600, 1000, -200])
def test_statuses_that_are_no_response(status: int) -> None:
    with pytest.raises(BadEffect):
        encode(status)


def test_switching_protocols() -> None:
    own = (("upgrade", "websocket"), ("connection", "Upgrade"))
    given = (("Set-Cookie", "a=b"), ("upgrade", "h2c"), ("content-length", "3"), ("server", "mine"))
    head = encode_switch(own, given, date="now", server="us", request_id="7")
    assert head == (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nset-cookie: a=b\r\n"
        b"server: mine\r\ndate: now\r\nx-request-id: 7\r\n\r\n"
    )
    assert b"server: us\r\n" in encode_switch(own, (), date="now", server="us", request_id="7")
    with pytest.raises(BadEffect):
        encode_switch(own, (("a", "b\r\nc: d"),), date="now", server="us", request_id="7")


def test_a_426_says_what_to_upgrade_to() -> None:
    for keep_alive in (True, False):
        head = written(Heads("us"), 426, (), keep=keep_alive)[0]
        assert b"\r\nupgrade: websocket\r\nconnection: upgrade\r\n" in head


def test_what_was_written_before_is_known_up_to_a_bound() -> None:
    heads = Heads("S")
    for number in range(KNOWN_HEADS + 1):
        assert b"\r\nx: %d\r\n" % number in written(heads, 200, (("x", str(number)),))[0]
        assert len(heads) == number % KNOWN_HEADS + 1
    long = (("x", "a" * SHORT_HEAD),)
    assert written(heads, 200, long) == written(heads, 200, long)
    assert len(heads) == 1


def test_headers_of_lists_are_written_too() -> None:
    headers: Any = [["x", "y"]]
    assert written(Heads("S"), 200, headers) == written(Heads("S"), 200, (("x", "y"),))


class Bag(dict[str, str]):
    """Headers of somebody who is not type-checked: what they are may change, but not which."""

    def __iter__(self) -> Any:
        return iter(self.items())

    __hash__ = object.__hash__


@pytest.mark.parametrize("kind", [Bag, list])
def test_headers_that_have_changed_since_are_written_anew(kind: type[Any]) -> None:
    heads, headers = Heads("S"), kind()
    written(heads, 200, headers)
    if kind is Bag:
        headers["x"] = "y"
    else:
        headers.append(["x", "y"])
    assert written(heads, 200, headers) == written(Heads("S"), 200, (("x", "y"),))


@pytest.mark.parametrize("length", [None, 5])
def test_headers_that_can_be_read_once_are_read_once(length: int | None) -> None:
    given = (("content-length", "5"), ("x", "y"))
    headers: Any = iter(given)
    assert written(Heads("S"), 200, headers, length) == written(Heads("S"), 200, given, length)


def test_an_unknown_status_has_no_phrase() -> None:
    assert reason_phrase(299) == ""
    assert encode(299)[0][0] == "HTTP/1.1 299 "
    assert encode(404)[0][0] == "HTTP/1.1 404 Not Found"


@given(
    st.integers(200, 599),
    st.lists(st.tuples(st.text(max_size=6), st.text(max_size=6)), max_size=3),
    st.binary(max_size=20),
    st.sampled_from([GET, OLD]),
)
def test_h11_reads_whatever_is_written(
    status: int, headers: list[tuple[str, str]], body: bytes, exchange: Exchange
) -> None:
    try:
        head, framing, _ = written(Heads("S"), status, tuple(headers), None, exchange)
    except BadEffect:
        return
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(head)
    response = client.next_event()
    assert isinstance(response, h11.Response)
    assert response.status_code == status
    expected = [name.lower() for name, _ in headers if name.lower() not in ("te", "upgrade", "trailer")]
    assert [name.decode() for name, _ in response.headers][: len(expected)] == expected
    if framing is Framing.CHUNKED:
        client.receive_data((encode_chunk(body) if body else b"") + b"0\r\n\r\n")
        got = b""
        while not isinstance(event := client.next_event(), h11.EndOfMessage):
            assert isinstance(event, h11.Data)
            got += bytes(event.data)
        assert got == body


def sent(body: Body, framing: Framing, promised: int | None) -> list[bytes]:
    async def main() -> list[bytes]:
        return [piece async for piece in encode_body(body, framing, promised)]

    return asyncio.run(main())


class Source:
    """A body's source that notes whether it was closed."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces, self.closed = pieces, False

    def body(self) -> Body:
        return Body(chunks=self._run())

    async def _run(self) -> AsyncIterator[bytes]:
        try:
            for piece in self.pieces:
                yield piece
        finally:
            self.closed = True


def test_a_body_in_each_framing() -> None:
    assert sent(Source(b"one", b"", b"three").body(), Framing.CHUNKED, None) == [
        b"3\r\none\r\n",
        b"5\r\nthree\r\n",
        b"0\r\n\r\n",
    ]
    assert sent(Source(b"one", b"", b"two").body(), Framing.LENGTH, 6) == [b"one", b"two"]
    assert sent(Source().body(), Framing.CLOSE, None) == []


@pytest.mark.parametrize("promised", [2, 4])
def test_a_body_is_as_long_as_was_promised(promised: int) -> None:
    source = Source(b"one")
    with pytest.raises(BadEffect, match=f"{promised}"):
        sent(source.body(), Framing.LENGTH, promised)
    assert source.closed


def test_whoever_stops_early_closes_the_body_after_it() -> None:
    source = Source(b"one", b"two")
    body = source.body()

    async def main() -> None:
        async with aclosing(encode_body(body, Framing.CHUNKED, None)) as pieces:
            assert await anext(pieces) == b"3\r\none\r\n"
        await body.aclose()
        assert source.closed

    asyncio.run(main())
