"""Requests and responses end to end, over real sockets."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import ClientError
from pyworkerd.http import HttpLimits
from pyworkerd.messages import Body, Request, Response
from pyworkerd.observe.scope import Scope, scope

from tests.runtime.server.client import chunk, get, hello, run, site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOOPS = ["asyncio", "uvloop"]
PARSERS = ["httptools", "h11"]
SMALL = HttpLimits(request_line=100, head=500, fields=5, body=1000)
POST = get("/", "Content-Length: {}", method="POST").decode()
CHUNKED = get("/", "Transfer-Encoding: chunked", method="POST")


async def echo(request: Request) -> Response:
    return Response(200, (), Body(await request.body.read()))


async def stream_back(request: Request) -> Response:
    return Response(200, (), request.body)


def pieces(*data: bytes) -> Body:
    async def produce() -> AsyncIterator[bytes]:
        for each in data:
            yield each

    return Body(chunks=produce())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("parser", PARSERS)
def test_keep_alive_and_its_end(loop: str, parser: str) -> None:
    async def main() -> None:
        async with site(hello, parser=parser) as place:
            client = await place.connect()
            for target in ("/a", "/b?c"):
                status, headers, body = await client.ask(get(target))
                assert (status, body) == (200, f"GET http://a{target}".encode())
                assert set(headers) == {"content-type", "content-length", "date", "server", "x-request-id"}
            assert (await client.ask(get("/", "Connection: close")))[1]["connection"] == "close"
            assert await client.rest() == b""
            old = await place.connect()
            headers = (await old.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"))[1]
            assert headers["connection"] == "keep-alive"
            assert (await old.ask(b"GET / HTTP/1.0\r\n\r\n"))[2] == f"GET http://{place.address}/".encode()
            assert await old.rest() == b""

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("suspends", [False, True])
def test_pipelined_requests_are_answered_in_order_one_at_a_time(loop: str, suspends: bool) -> None:
    async def main() -> None:
        running = 0

        async def handler(request: Request) -> Response:
            nonlocal running
            running += 1
            assert running == 1
            if suspends:
                done = asyncio.get_running_loop().create_future()
                asyncio.get_running_loop().call_soon(done.set_result, None)
                await done
            running -= 1
            body = await request.body.read()
            return Response(200, (), Body(request.url.encode() + body))

        async with site(handler) as place:
            client = await place.connect()
            client.send(
                b"".join(get(f"/{n}", "Content-Length: 1", method="POST") + b"!" for n in range(200))
                + b"BAD\r\n\r\n"
            )
            for n in range(200):
                assert (await client.response())[2] == f"http://a/{n}!".encode()
            assert (await client.response())[0] == 400
            assert await client.rest() == b""

    run(main, loop)


def test_pipelined_bytes_are_bounded() -> None:
    async def main() -> None:
        entered, go_on = asyncio.Event(), asyncio.Event()

        async def handler(request: Request) -> Response:
            entered.set()
            await go_on.wait()
            return Response(204)

        async with site(handler) as place:
            client = await place.connect()
            many = 2000
            client.send(get("/", "X: " + "a" * 400) * many)
            await entered.wait()
            go_on.set()
            for _ in range(many):
                assert (await client.head())[0] == 204
            figures = place.server.statistics()
            assert figures.requests == many
            # The buffer's own limit and one read of uvloop's, 256 KiB.
            assert 64 * 1024 < figures.peak_request_buffer <= (64 + 256) * 1024

    run(main)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_large_head_may_come_while_another_request_is_answered(loop: str) -> None:
    async def main() -> None:
        entered, go_on = asyncio.Event(), asyncio.Event()

        async def handler(request: Request) -> Response:
            entered.set()
            await go_on.wait()
            return Response(204)

        async with site(handler, request_buffer=1000, limits=HttpLimits(head=50_000)) as place:
            client = await place.connect()
            client.send(get())
            await entered.wait()
            client.send(get("/", "X: " + "a" * 20_000)[:-2])
            # Until the server has seen more than its buffer takes, and paused.
            while place.server.statistics().peak_request_buffer <= 1000:
                await asyncio.sleep(0)
            go_on.set()
            assert (await client.response())[0] == 204
            client.send(b"\r\n")
            assert (await client.response())[0] == 204

    run(main, loop)


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400, "bad_request"),
        (POST.format(1001).encode(), 413, "body_too_large"),
        (get("/" + "a" * 100), 414, "uri_too_long"),
        (get("/", "X: " + "a" * 500), 431, "headers_too_large"),
        (get("/", *["X: a"] * 5), 431, "headers_too_large"),
        (get("/", "Transfer-Encoding: gzip"), 501, "not_implemented"),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501, "not_implemented"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http_version"),
        (CHUNKED + chunk(b"a" * 900) * 2, 413, "body_too_large"),
        (CHUNKED + b"x", 400, "bad_request"),
        (CHUNKED + chunk(b"a") + b"x", 400, "bad_request"),
    ],
)
def test_refusals(parser: str, data: bytes, status: int, code: str) -> None:
    async def main() -> None:
        async with site(echo, parser=parser, limits=SMALL) as place:
            client = await place.connect()
            got, headers, body = await client.ask(data)
            assert (got, headers["x-pyworkerd-error"], headers["connection"]) == (status, code, "close")
            assert body.endswith(b"\n")
            assert await client.rest() == b""
            assert place.server.statistics().client_errors == 1

    run(main)


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("before", [b"", get("/", "Content-Length: 1", method="POST") + b"a"])
def test_a_target_of_another_scheme_is_refused_and_nothing_behind_it_is_read(
    parser: str, before: bytes
) -> None:
    async def main() -> None:
        async with site(echo, parser=parser) as place:
            client = await place.connect()
            head = b"POST https://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n"
            client.send(before + head + get("/") + get("/"))
            if before:
                assert (await client.response())[0] == 200
            status, headers, _ = await client.response()
            assert (status, headers["x-pyworkerd-error"], headers["connection"]) == (
                421,
                "misdirected",
                "close",
            )
            assert await client.rest() == b""
            await (await place.connect()).ask(get("http://a/"))
            figures = place.server.statistics()
            assert (figures.client_errors, figures.active_now) == (1, 0)
            assert figures.requests == 1 + bool(before)

    run(main)


def test_a_refusal_survives_a_client_that_goes_on_sending() -> None:
    async def main() -> None:
        async with site(echo, limits=SMALL) as place:
            client = await place.connect()
            client.send(POST.format(150_000).encode() + b"a" * 150_000)
            assert (await client.response())[0] == 413
            assert await client.rest() == b""

    run(main)


def test_head_and_bodiless_statuses() -> None:
    async def handler(request: Request) -> Response:
        status = int(request.url.rsplit("/", 1)[1])
        return Response(status, (), pieces(b"a", b"b") if request.method == "GET" else Body(b"abc"))

    async def main() -> None:
        async with site(handler) as place:
            client = await place.connect()
            client.send(get("/200", method="HEAD") + get("/204") + get("/304") + get("/200"))
            assert (await client.response("HEAD"))[1]["content-length"] == "3"
            assert (await client.response())[0] == 204
            assert (await client.response())[0] == 304
            assert (await client.response())[2] == b"ab"

    run(main)


@pytest.mark.parametrize("loop", LOOPS)
def test_small_bodies_come_in_hand_and_others_stream(loop: str) -> None:
    seen: list[tuple[bool, int | None]] = []

    async def handler(request: Request) -> Response:
        seen.append((request.body.data is not None, request.body.length))
        return Response(200, (), Body(await request.body.read()))

    async def main() -> None:
        async with site(handler) as place:
            client = await place.connect()
            assert (await client.ask(POST.format(3).encode() + b"abc"))[2] == b"abc"
            assert (await client.ask(CHUNKED + chunk(b"ab") + chunk(b"c") + b"0\r\nT: x\r\n\r\n"))[
                2
            ] == b"abc"
            big = b"x" * 100_000
            assert (await client.ask(POST.format(len(big)).encode() + big))[2] == big
            assert (await client.ask(CHUNKED + chunk(big) + b"0\r\n\r\n"))[2] == big
        assert seen == [(True, 3), (True, 3), (False, len(big)), (False, None)]

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_stream_reaches_the_client_piece_by_piece(loop: str) -> None:
    async def main() -> None:
        steps: asyncio.Queue[bytes] = asyncio.Queue()

        async def produce() -> AsyncIterator[bytes]:
            while piece := await steps.get():
                yield piece

        async def handler(request: Request) -> Response:
            return Response(200, (), Body(chunks=produce()))

        async with site(handler) as place:
            client = await place.connect()
            client.send(get())
            assert (await client.head())[1]["transfer-encoding"] == "chunked"
            for piece in (b"one", b"two"):
                steps.put_nowait(piece)
                assert await client.reader.readexactly(8) == chunk(piece)
            steps.put_nowait(b"")
            assert await client.reader.readexactly(5) == b"0\r\n\r\n"
            old = await place.connect()
            old.send(b"GET / HTTP/1.0\r\n\r\n")
            steps.put_nowait(b"plain")
            steps.put_nowait(b"")
            _, headers, body = await old.response()
            assert (headers["connection"], body) == ("close", b"plain")

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("chunked", [False, True])
def test_fifty_megabytes_both_ways_with_bounded_buffers(loop: str, chunked: bool) -> None:
    block, count = bytes(range(256)) * 256, 800

    async def main() -> None:
        async with site(stream_back) as place:
            client = await place.connect()

            async def upload() -> None:
                client.send(CHUNKED if chunked else POST.format(len(block) * count).encode())
                for _ in range(count):
                    client.send(chunk(block) if chunked else block)
                    await client.writer.drain()
                if chunked:
                    client.send(b"0\r\n\r\n")

            uploading = asyncio.create_task(upload())
            _, headers = await client.head()
            assert ("content-length" in headers) is not chunked
            if chunked:
                body = await client.chunks()
            else:
                body = await client.reader.readexactly(len(block) * count)
            await uploading
            assert body == block * count
            assert (await client.ask(POST.format(2).encode() + b"ok"))[2] == b"ok"
            figures = place.server.statistics()
            assert figures.peak_request_buffer <= (64 + 256) * 1024
            assert figures.peak_response_buffer <= (64 + 256) * 1024

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_source_and_a_client_that_never_wait_do_not_keep_others_from_their_turn(loop: str) -> None:
    piece, count = bytes(16 * 1024), 1024

    async def main() -> None:
        sent = 0

        async def produce() -> AsyncIterator[bytes]:
            nonlocal sent
            for _ in range(count):
                sent += len(piece)
                yield piece

        async def handler(request: Request) -> Response:
            return Response(200, (), Body(chunks=produce()))

        async with site(handler) as place:
            host, _, port = place.address.rpartition(":")

            def read_all() -> int:
                with socket.create_connection((host, int(port))) as client:
                    client.sendall(get("/", "Connection: close"))
                    return sum(iter(partial(client.recv_into, bytearray(1024 * 1024)), 0))

            reading, longest = asyncio.create_task(asyncio.to_thread(read_all)), 0
            while not reading.done():
                before = sent
                await asyncio.sleep(0)
                longest = max(longest, sent - before)
            assert await reading > len(piece) * count
            assert longest <= 256 * 1024

    run(main, loop)


def test_an_unread_body_stops_at_the_buffer() -> None:
    async def main() -> None:
        entered, go_on = asyncio.Event(), asyncio.Event()

        async def handler(request: Request) -> Response:
            entered.set()
            await go_on.wait()
            size = 0
            async for piece in request.body:
                size += len(piece)
            return Response(200, (), Body(str(size).encode()))

        async with site(handler) as place:
            client = await place.connect()
            client.send(POST.format(20_000_000).encode() + b"a" * 20_000_000)
            await entered.wait()
            go_on.set()
            assert (await client.response())[2] == b"20000000"
            assert place.server.statistics().peak_request_buffer <= (64 + 256) * 1024

    run(main)


@pytest.mark.parametrize("loop", LOOPS)
def test_100_continue_is_sent_when_the_handler_reads(loop: str) -> None:
    async def main() -> None:
        entered, go_on = asyncio.Event(), asyncio.Event()

        async def handler(request: Request) -> Response:
            entered.set()
            await go_on.wait()
            return await echo(request)

        async with site(handler) as place:
            client = await place.connect()
            client.send(get("/", "Content-Length: 3", "Expect: 100-continue", method="POST"))
            await entered.wait()
            go_on.set()
            assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            assert (await client.ask(b"abc"))[::2] == (200, b"abc")
            # Not if the body is there already.
            entered.clear()
            client.send(get("/", "Content-Length: 3", "Expect: 100-continue", method="POST") + b"abc")
            assert (await client.response())[::2] == (200, b"abc")

    run(main, loop)


def test_100_continue_for_a_response_made_of_the_request() -> None:
    async def main() -> None:
        async with site(stream_back) as place:
            client = await place.connect()
            client.send(get("/", "Content-Length: 3", "Expect: 100-continue", method="POST"))
            assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            assert (await client.ask(b"abc"))[2] == b"abc"

    run(main)


def test_an_expectation_that_is_not_met_closes() -> None:
    async def main() -> None:
        async with site(hello) as place:
            status, headers, _ = await place.ask(
                get("/", "Content-Length: 3", "Expect: 100-continue", method="POST")
            )
            assert (status, headers["connection"]) == (200, "close")

    run(main)


@pytest.mark.parametrize("loop", LOOPS)
def test_an_early_answer_keeps_the_connection_for_a_small_rest(loop: str) -> None:
    async def main() -> None:
        async with site(hello) as place:
            client = await place.connect()
            client.send(POST.format(100_000).encode() + b"a")
            status, headers, _ = await client.response()
            assert (status, "connection" in headers) == (200, False)
            client.send(b"a" * 99_999 + get("/next"))
            assert (await client.response())[2] == b"GET http://a/next"

    run(main, loop)


def test_an_early_answer_ends_the_connection_for_a_large_rest() -> None:
    async def main() -> None:
        async with site(hello, discard_bytes=1000) as place:
            client = await place.connect()
            client.send(POST.format(1_000_000).encode())
            assert (await client.response())[0] == 200
            client.send(b"a" * 2000)
            assert await client.rest() == b""

    run(main)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("reset", [False, True])
def test_a_client_that_leaves_cancels_the_handler(loop: str, reset: bool) -> None:
    async def main() -> None:
        entered, cancelled, cleaned = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def handler(request: Request) -> Response:
            entered.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                # Cleaning up may wait; it is not cancelled again.
                done = asyncio.get_running_loop().create_future()
                asyncio.get_running_loop().call_later(0, done.set_result, None)
                await done
                cleaned.set()
                raise
            return Response()

        async with site(handler) as place:
            client = await place.connect()
            client.send(get())
            await entered.wait()
            if reset:
                client.writer.transport.abort()
            else:
                client.writer.write_eof()
            await cancelled.wait()
            await cleaned.wait()
            await place.server.drain(50)
            figures = place.server.statistics()
            assert (figures.disconnects, figures.handler_errors, figures.active_now) == (1, 0, 0)

    run(main, loop)


def test_a_client_that_leaves_fails_the_body_and_stops_the_source() -> None:
    async def main() -> None:
        failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        closed = asyncio.Event()

        async def produce() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"a" * 10_000
            finally:
                closed.set()

        async def handler(request: Request) -> Response:
            if request.method == "GET":
                return Response(200, (), Body(chunks=produce()))
            try:
                await request.body.read()
            except (ClientError, asyncio.CancelledError) as error:
                failed.set_result(error)
                raise
            return Response()

        async with site(handler) as place:
            client = await place.connect()
            client.send(POST.format(3).encode() + b"a")
            client.writer.write_eof()
            assert isinstance(await failed, (ClientError, asyncio.CancelledError))
            client = await place.stalled()
            client.send(get())
            await client.head()
            client.writer.transport.abort()
            await closed.wait()

    run(main)


@pytest.mark.parametrize("how", ["raises", "too long", "too short"])
def test_a_response_that_breaks_is_seen_as_truncated(how: str, caplog: pytest.LogCaptureFixture) -> None:
    async def produce() -> AsyncIterator[bytes]:
        yield b"abc"
        if how == "raises":
            raise ValueError("detail")
        if how == "too long":
            yield b"abc"

    async def handler(request: Request) -> Response:
        length = {"raises": None, "too long": 5, "too short": 5}[how]
        return Response(200, (), Body(chunks=produce(), length=length))

    async def main() -> None:
        async with site(handler) as place:
            client = await place.connect()
            client.send(get())
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await client.response()

    run(main)
    assert ("detail" in caplog.text) is (how == "raises")


@pytest.mark.parametrize("loop", LOOPS)
def test_slow_heads_time_out(loop: str) -> None:
    async def main() -> None:
        async with site(hello, header_timeout=0.05) as place:
            silent, slow, second = [await place.connect() for _ in range(3)]
            slow.send(b"GET / HTT")
            assert (await second.ask(get()))[0] == 200
            second.send(b"GET")
            assert await silent.rest() == b""
            for client in (slow, second):
                status, headers, _ = await client.response()
                assert (status, headers["x-pyworkerd-error"]) == (408, "request_timeout")
                assert await client.rest() == b""

    run(main, loop)


def test_idle_connections_are_closed() -> None:
    async def main() -> None:
        async with site(hello, idle_timeout=0.05) as place:
            client = await place.connect()
            assert (await client.ask(get()))[0] == 200
            assert await client.rest() == b""

    run(main)


def test_slow_bodies_time_out() -> None:
    async def main() -> None:
        async with site(echo, body_timeout=0.05) as place:
            client = await place.connect()
            status, headers, _ = await client.ask(POST.format(3).encode() + b"a")
            assert (status, headers["connection"]) == (408, "close")
            assert await client.rest() == b""
            assert place.server.statistics().timeouts == 1

    run(main)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("streamed", [False, True])
def test_readers_that_stall_are_dropped(loop: str, streamed: bool) -> None:
    async def main() -> None:
        stopped = asyncio.Event()

        async def produce() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"a" * 10_000
            finally:
                stopped.set()

        async def handler(request: Request) -> Response:
            return Response(200, (), Body(chunks=produce()) if streamed else Body(b"a" * 20_000_000))

        async with site(handler, write_timeout=0.05) as place:
            client = await place.stalled()
            client.send(get())
            await client.head()
            await place.server._shared.empty.wait()
            assert stopped.is_set() is streamed
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await client.reader.readexactly(20_000_000)
            figures = place.server.statistics()
            assert figures.timeouts == 1
            assert figures.active_now == 0

    run(main, loop)


def test_an_upgrade_that_is_not_taken_is_ignored() -> None:
    async def handler(request: Request) -> Response:
        names = {name for name, _ in request.headers}
        assert ("upgrade" in names, "connection" in names) == (request.url.endswith("/chat"), False)
        return Response(200, (("Upgrade", "websocket"), ("connection", "upgrade")))

    async def main() -> None:
        async with site(handler) as place:
            client = await place.connect()
            for target, protocol in (("/chat", "websocket"), ("/", "h2c")):
                status, headers, _ = await client.ask(
                    get(target, "Connection: upgrade", f"Upgrade: {protocol}")
                )
                assert status == 200
                assert not {"upgrade", "connection"} & set(headers)
            assert (await client.ask(get()))[0] == 200

    run(main)


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize("parser", PARSERS)
def test_every_answer_has_the_id_of_its_request_and_no_other(parser: str) -> None:
    seen: list[Scope] = []

    async def forge(request: Request) -> Response:
        found = scope.get()
        assert found is not None
        seen.append(found)
        assert not any(name.startswith("trace") for name, _ in request.headers)
        if request.url.endswith("/fail"):
            raise ValueError("no")
        return Response(headers=(("x-request-id", "forged"), ("X-Request-Id", "forged")))

    async def main() -> None:
        async with site(forge, parser=parser) as place:
            client = await place.connect()
            ids = []
            for target, *lines in (
                ("/", "X-Request-Id: mine"),
                ("/", f"TraceParent: 00-{TRACE}-00f067aa0ba902b7-01", "TraceState: a=1", "tracestate: b=2"),
                ("/", "traceparent: \xff"),
                ("/fail",),
            ):
                client.send(get(target, *lines))
                head = (await client.reader.readuntil(b"\r\n\r\n")).lower()
                assert head.count(b"x-request-id") == 1
                ids.append(head.split(b"x-request-id: ")[1].split(b"\r\n")[0].decode())
                await client.reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
            assert ids == [each.request_id for each in seen]
            assert [each.trace_id == TRACE for each in seen] == [False, True, False, False]
            assert [each.state for each in seen] == ["", "a=1,b=2", "", ""]
            refused = (await place.ask(b"nonsense\r\n\r\n"))[1]["x-request-id"]
            assert len({*ids, refused}) == 5
        assert scope.get() is None

    run(main)
