"""Clients with bad manners or bad lines. Whatever they do, the server serves others meanwhile, forgets them afterwards,
and has its memory back.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyworkerd.cli.descriptors import raise_limit
from pyworkerd.messages import Body, Request, Response

from tests.memory import in_use
from tests.runtime.server.client import LOOPS, Client, Site, chunk, get, run, site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PARSERS = ["httptools", "h11"]
MIB = 1024 * 1024
SLACK = 16 * MIB
"""What may be kept for good, whatever the number of clients: caches, free lists, pools."""
MANY = 1000
PIECE = 16 * 1024
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: what is not sent is thrown away, and the other side hears a reset."""


def others() -> set[asyncio.Task[object]]:
    """All tasks but the test's own."""
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def until(met: Callable[[], bool], pause: float = 0) -> None:
    """Look until it is so; the time limit of `run` ends it otherwise."""
    while not met():
        await asyncio.sleep(pause)


def leave(raw: socket.socket, how: str) -> None:
    if how == "resets":
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    raw.close()


async def end_of(raw: socket.socket) -> bytes:
    """Everything until the server ends the connection, in whatever way."""
    parts = []
    with suppress(ConnectionResetError):
        while data := await asyncio.get_running_loop().sock_recv(raw, 65536):
            parts.append(data)
    raw.close()
    return b"".join(parts)


async def served(client: Client) -> None:
    assert (await client.ask(get("/small")))[::2] == (200, b"small")


@asynccontextmanager
async def unharmed(place: Site) -> AsyncIterator[Client]:
    """A polite client for use meanwhile. After the block nothing may be left of the others."""
    polite = await place.connect()
    await served(polite)
    before, tasks = in_use(), others()
    yield polite
    await served(polite)
    await until(lambda: place.server.statistics().connections_now == 1)
    await until(lambda: others() <= tasks)
    assert place.server.statistics().active_now == 0
    assert in_use() - before < SLACK
    await served(await place.connect())


class Sources:
    """A handler for each path, and how many bodies of its responses are open."""

    def __init__(self) -> None:
        self.open = 0

    async def pieces(self, count: int) -> AsyncIterator[bytes]:
        self.open += 1
        try:
            for _ in range(count):
                yield bytes(PIECE)
        finally:
            self.open -= 1

    async def __call__(self, request: Request) -> Response:
        path = request.url.rpartition("/")[2]
        if path == "small":
            return Response(200, (), Body(b"small"))
        if path == "read":
            return Response(200, (), Body(await request.body.read()))
        if path == "same":
            return Response(200, (), request.body)
        if path in ("large", "huge"):
            return Response(200, (), Body(bytes((64 if path == "large" else 512) * PIECE)))
        if path == "pieces":
            return Response(200, (), Body(chunks=self.pieces(64)))
        if path == "endless":
            return Response(200, (), Body(chunks=self.pieces(2**60)))
        await asyncio.Event().wait()
        raise AssertionError


# slow senders


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("head", [b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"\r\n", b"G"])
def test_heads_that_come_byte_by_byte_have_their_time_and_no_more(loop: str, head: bytes) -> None:
    async def drip(raw: socket.socket) -> None:
        with suppress(OSError):
            while True:
                await asyncio.get_running_loop().sock_sendall(raw, b"a")
                await asyncio.sleep(0.01)

    async def main() -> None:
        async with site(Sources(), header_timeout=0.5) as place, unharmed(place) as polite:
            crowd = [await place.raw() for _ in range(50)]
            for raw in crowd:
                await asyncio.get_running_loop().sock_sendall(raw, head)
            dripping = [asyncio.create_task(drip(raw)) for raw in crowd]
            await served(polite)
            ends = [await end_of(raw) for raw in crowd]
            assert {end[:13] for end in ends} == {b"HTTP/1.1 408 "}
            await asyncio.gather(*dripping)

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("path", ["read", "same", "never"])
@pytest.mark.parametrize("body", [b"", b"5\r\nab", b"5\r\nabcde\r\n0\r\n"])
def test_bodies_that_stop_in_the_middle(loop: str, path: str, body: bytes) -> None:
    async def main() -> None:
        async with site(Sources(), body_timeout=0.2) as place, unharmed(place) as polite:
            crowd = [await place.raw() for _ in range(50)]
            head = get(f"/{path}", "Transfer-Encoding: chunked", method="POST")
            for raw in crowd:
                await asyncio.get_running_loop().sock_sendall(raw, head + body)
            await served(polite)
            if path == "never":
                # Nobody waits for the body: its handler is still asked, and the client may leave.
                await until(lambda: place.server.statistics().timeouts == len(crowd))
                for raw in crowd:
                    leave(raw, "closes")
                return
            for raw in crowd:
                answer = await end_of(raw)
                # A response that is made of the body has begun, and can only be broken off.
                assert answer.startswith(b"HTTP/1.1 408 " if path == "read" else b"HTTP/1.1 ")
                assert b"\r\n0\r\n" not in answer

    run(main, loop)


# ends at any moment

TALK = (
    get("/{}", "Transfer-Encoding: chunked", "Content-Type: text/plain", method="POST")
    + chunk(b"abc")
    + chunk(b"defghijklm")
    + b"0\r\nTrailer: x\r\n\r\n"
    + get("/{}", "Content-Length: 5", method="POST")
    + b"hello"
)


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("how", ["resets", "closes"])
@pytest.mark.parametrize("path", ["read", "same", "never"])
def test_a_client_may_go_after_any_byte_of_its_requests(parser: str, how: str, path: str) -> None:
    talk = TALK.replace(b"{}", path.encode())

    async def main() -> None:
        async with site(Sources(), parser=parser) as place, unharmed(place) as polite:
            for length in range(len(talk) + 1):
                seen = place.server.statistics().received
                raw = await place.raw()
                await asyncio.get_running_loop().sock_sendall(raw, talk[:length])
                await until(
                    lambda seen=seen, length=length: place.server.statistics().received == seen + length
                )
                leave(raw, how)
                await until(lambda: place.server.statistics().connections_now == 1)
                assert place.server.statistics().active_now == 0
                await served(polite)

    run(main)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("path", ["large", "pieces", "endless"])
def test_a_client_may_go_after_any_byte_of_its_response(
    loop: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    sources = Sources()

    async def attempt(place: Site, length: int, how: str) -> None:
        raw = await place.raw()
        await asyncio.get_running_loop().sock_sendall(raw, get(f"/{path}"))
        while length > 0:
            length -= len(await asyncio.get_running_loop().sock_recv(raw, min(length, 65536)))
        leave(raw, how)
        await until(lambda: place.server.statistics().connections_now == 1)
        assert (place.server.statistics().active_now, sources.open) == (0, 0)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        stack = AsyncExitStack()
        place = runner.run(stack.enter_async_context(site(sources)))
        runner.run(stack.enter_async_context(unharmed(place)))

        @settings(max_examples=50)
        @given(
            st.integers(0, 300) | st.integers(0, 64 * PIECE),
            st.sampled_from(["resets", "closes"]),
        )
        def check(length: int, how: str) -> None:
            runner.run(attempt(place, length, how))

        try:
            check()
        finally:
            runner.run(stack.aclose())
    assert not caplog.records  # event loops complain of writing to clients that have gone


@pytest.mark.parametrize("loop", LOOPS)
def test_half_a_client_is_none(loop: str) -> None:
    """It has closed its sending side and waits, as `nc` does: nginx ends the request, and so do we."""

    async def main() -> None:
        async with site(Sources()) as place, unharmed(place):
            for path in ("never", "endless"):
                raw = await place.raw()
                await asyncio.get_running_loop().sock_sendall(raw, get(f"/{path}"))
                await until(lambda: place.server.statistics().active_now == 1)
                raw.shutdown(socket.SHUT_WR)
                await until(lambda: place.server.statistics().connections_now == 1)
                raw.close()

    run(main, loop)


# readers that do not read


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(("path", "many"), [("small", 1), ("large", 20), ("endless", 20)])
def test_clients_that_ask_and_never_read(loop: str, path: str, many: int) -> None:
    async def ask(raw: socket.socket) -> None:
        with suppress(OSError):
            while True:
                await asyncio.get_running_loop().sock_sendall(raw, get(f"/{path}") * 1000)

    async def main() -> None:
        async with site(Sources(), write_timeout=0.3) as place, unharmed(place) as polite:
            before = in_use()
            crowd = [await place.raw() for _ in range(many)]
            asking = [asyncio.create_task(ask(raw)) for raw in crowd]
            await served(polite)
            # On a busy machine some have been given up already.
            await until(lambda: stuck(place) + place.server.statistics().timeouts == len(crowd))
            largest = 64 * PIECE if path == "large" else 0
            assert in_use() - before < SLACK + len(crowd) * (MIB + largest)
            await until(lambda: place.server.statistics().connections_now == 1)
            assert place.server.statistics().timeouts == len(crowd)
            await asyncio.gather(*asking)
            for raw in crowd:
                raw.close()

    run(main, loop)


def stuck(place: Site) -> int:
    """Connections whose client has no room."""
    return sum(
        connection._out.full is not None  # type: ignore[attr-defined]
        for connection in place.server._shared.connections
    )


@pytest.mark.parametrize("loop", LOOPS)
def test_a_thousand_slow_readers_hold_a_buffer_each(loop: str) -> None:
    raise_limit()
    each = (
        160 * 1024
    )  # twice `response_buffer`, as buffers grow by more than they need, and all else of a connection

    async def main() -> None:
        async with site(Sources()) as place, unharmed(place) as polite:
            before = in_use()
            readers = [await place.raw() for _ in range(MANY)]
            for raw in readers:
                await asyncio.get_running_loop().sock_sendall(raw, get("/endless"))
            for _ in range(3):
                await until(lambda: stuck(place) == MANY, 0.01)
                await served(polite)
                assert in_use() - before < MANY * each
                for raw in readers:
                    await asyncio.get_running_loop().sock_recv(raw, 1024)
            figures = place.server.statistics()
            assert figures.active_now == MANY
            assert figures.peak_response_buffer <= 64 * 1024 + PIECE + 100
            for number, raw in enumerate(readers):
                leave(raw, "resets" if number % 2 else "closes")

    run(main, loop)


# what comes after the end


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("draining", [False, True])
def test_what_comes_after_the_last_request_does_not_cost_its_answer(loop: str, draining: bool) -> None:
    """RFC 9112 section 9.6: closing with bytes unread would reset the connection, and lose what is on its way."""

    async def main() -> None:
        async with site(Sources()) as place, unharmed(place):
            raw, before = await place.raw(), place.server.statistics().received
            ask = get("/huge", *([] if draining else ["Connection: close"]))
            # As much as the server wants to hold, and as much again for it to leave unread.
            more = get("/small") * (80 * 1024 // len(get("/small")))
            await asyncio.get_running_loop().sock_sendall(raw, ask)
            await until(lambda: stuck(place) == 1)
            await asyncio.get_running_loop().sock_sendall(raw, more)
            await until(lambda: place.server.statistics().received == before + len(ask + more))
            await asyncio.get_running_loop().sock_sendall(raw, more)
            place.server._shared.draining = draining
            answer = await end_of(raw)
            # And perhaps that the server stops, with the next one.
            assert len(answer.partition(b"\r\n\r\n")[2]) >= 512 * PIECE
            place.server._shared.draining = False

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("ends", [get("/small", "Connection: close"), b"nonsense\r\n\r\n"])
def test_a_client_that_goes_on_sending_is_cut_off(loop: str, ends: bytes) -> None:
    async def main() -> None:
        async with site(Sources()) as place, unharmed(place):
            before = place.server.statistics().received
            raw = await place.raw()
            await asyncio.get_running_loop().sock_sendall(raw, ends)
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                while True:
                    await asyncio.get_running_loop().sock_sendall(raw, bytes(64 * 1024))
            raw.close()
            # What uvloop read together with the end, `discard_bytes`, and one more read.
            assert place.server.statistics().received - before <= 3 * 256 * 1024

    run(main, loop)
