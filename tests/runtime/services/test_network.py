from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from pyworkerd.errors import (
    AccessDenied,
    ConfigurationError,
    ConnectTimeout,
    NoSuchEntrypoint,
    NoSuchMethod,
    UpstreamError,
)
from pyworkerd.messages import Body, Request, header
from pyworkerd.services import outbound
from pyworkerd.services.base import Target
from pyworkerd.services.network import NetworkService
from pyworkerd.services.outbound_client import Client
from pyworkerd.services.outbound_plan import OutboundLimits, Plan, Wire
from pyworkerd.testing.resolver import FixedResolver
from pyworkerd_config.model import Network

from tests.runtime.services.http_server import Incoming, Server, raw, reply, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

NAMES = {
    "site.example": ["127.0.0.1"],
    "mixed.example": ["10.1.1.1", "127.0.0.1", "::ffff:10.1.1.1"],
    "inside.example": ["127.0.0.1", "10.0.0.1", "::1", "169.254.169.254"],
    "rebinding.example": [["127.0.0.1"], ["10.0.0.1"]],
}
LOCAL = Network(allow=("local",))
PUBLIC = Network()


@asynccontextmanager
async def network(
    model: Network = LOCAL, *, limits: OutboundLimits | None = None
) -> AsyncIterator[tuple[NetworkService, FixedResolver]]:
    names = FixedResolver(NAMES)
    service = NetworkService("internet", model, resolver=names, limits=limits or OutboundLimits())
    try:
        yield service, names
    finally:
        await service.aclose()


def run(answer: object, test: Callable[[NetworkService, Server], Awaitable[None]]) -> None:
    """Run a test against one server, with a network that may reach this machine."""

    async def main() -> None:
        async with serve(answer) as server, network() as (service, _):
            await test(service, server)

    asyncio.run(main())


async def fails(service: NetworkService, request: Request, **options: str) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        response = await service.fetch(request, **options)
        await response.body.read()
    assert "127.0.0.1:" not in str(caught.value) or "127.0.0.1" in request.url
    return caught.value


async def turns(count: int = 2000) -> None:
    """Let everything else run as far as it gets by itself."""
    for _ in range(count):
        await asyncio.sleep(0)


# What goes out, and what comes back


def test_only_what_the_guest_said_goes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def test(service: NetworkService, server: Server) -> None:
        headers = (
            ("X-One", "1"),
            ("Host", "evil.example"),
            ("Content-Length", "7"),
            ("X-One", "caf\xc3\xa9"),
        )
        url = f"http://site.example:{server.port}/p/../%2e?q=%41#f"
        response = await service.fetch(Request("GET", url, headers))
        assert await response.body.read() == b"hello"
        (request,) = server.requests
        assert (request.method, request.target) == ("GET", "/p/../%2e?q=%41")
        assert request.headers == [
            ("host", f"site.example:{server.port}"),
            ("x-one", "1"),
            ("x-one", "caf\xc3\xa9"),
        ]

    run(reply(b"hello"), test)


def test_answers_come_back_as_they_are() -> None:
    fields = ("Content-Encoding: gzip", "Set-Cookie: a=1", "Set-Cookie: b=2", "Connection: X-Hop", "X-Hop: 1")

    async def test(service: NetworkService, server: Server) -> None:
        for _ in range(2):
            response = await service.fetch(Request("GET", server.url))
            assert response.status == 418
            assert response.body.length == 11
            assert await response.body.read() == b"not gzipped"
            assert response.headers == (
                ("content-length", "11"),
                ("content-encoding", "gzip"),
                ("set-cookie", "a=1"),
                ("set-cookie", "b=2"),
            )
        assert all(request.header("cookie") is None for request in server.requests)
        assert server.connections == 1

    run(reply(b"not gzipped", "418 Teapot", fields), test)


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 Not Modified")]
)
def test_answers_without_a_body(method: str, status: str) -> None:
    async def test(service: NetworkService, server: Server) -> None:
        response = await service.fetch(Request(method, server.url))
        assert response.body.data == b""
        assert header(response.headers, "x-here") == "1"

    async def answer(incoming: Incoming, writer: asyncio.StreamWriter) -> None:
        length = "Content-Length: 5\r\n" if method == "HEAD" else ""
        writer.write(f"HTTP/1.1 {status}\r\nX-Here: 1\r\n{length}\r\n".encode())

    run(answer, test)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "GET"])
@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 2_000_000])
def test_bodies_in_hand_have_a_length(method: str, size: int) -> None:
    received = []

    async def answer(incoming: Incoming, writer: asyncio.StreamWriter) -> None:
        received.append(await incoming.body())
        await reply()(Incoming("GET", "", [], incoming.reader), writer)

    async def test(service: NetworkService, server: Server) -> None:
        await service.fetch(Request(method, server.url, body=Body(b"x" * size)))
        (request,) = server.requests
        expected = None if method == "GET" and not size else str(size)
        assert request.header("content-length") == expected
        assert request.header("transfer-encoding") is None
        assert request.header("content-type") is None
        assert received == [b"x" * size]

    run(answer, test)


# Streaming


@pytest.mark.parametrize("length", [None, 20_000_000])
def test_twenty_megabytes_there_and_back_at_once(length: int | None) -> None:
    async def echo(incoming: Incoming, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        async for chunk in incoming.chunks():
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    async def source() -> AsyncIterator[bytes]:
        for number in range(200):
            yield number.to_bytes(2, "big") * 50_000
            yield b""

    async def test(service: NetworkService, server: Server) -> None:
        body = Body(chunks=source(), length=length)
        response = await service.fetch(Request("POST", server.url, body=body))
        assert response.body.length is None
        got = await response.body.read()
        assert got == b"".join([number.to_bytes(2, "big") * 50_000 for number in range(200)])
        assert server.requests[0].header("content-length") == (str(length) if length else None)

    run(echo, test)


def test_a_slow_reader_holds_the_server_back() -> None:
    sent = 0

    async def flood(incoming: Incoming, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while sent < 100_000_000:
            writer.write(bytes(100_000))
            sent += 100_000
            await writer.drain()

    async def test(service: NetworkService, server: Server) -> None:
        response = await service.fetch(Request("GET", server.url))
        await turns()
        held = sent
        assert held < 50_000_000
        await response.body.aclose()
        await server.gone.wait()

    run(flood, test)


def test_a_server_that_does_not_read_holds_the_source_back() -> None:
    pulled = 0
    closed = asyncio.Event()
    let_go = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        nonlocal pulled
        try:
            while True:
                yield bytes(100_000)
                pulled += 100_000
        finally:
            closed.set()

    async def deaf(incoming: Incoming, writer: asyncio.StreamWriter) -> None:
        await let_go.wait()

    async def test(service: NetworkService, server: Server) -> None:
        task = asyncio.create_task(service.fetch(Request("POST", server.url, body=Body(chunks=source()))))
        await turns()
        assert 0 < pulled < 50_000_000
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await closed.wait()

    run(deaf, test)


@pytest.mark.parametrize("length", [9, 11])
def test_a_body_of_another_length_than_announced_fails(length: int) -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"01234"
        yield b"56789"

    async def test(service: NetworkService, server: Server) -> None:
        request = Request("POST", server.url, body=Body(chunks=source(), length=length))
        assert "request body" in str(await fails(service, request))
        await server.gone.wait()

    run(reply(), test)


@pytest.mark.parametrize("begun", [False, True])
def test_what_the_source_raises_reaches_the_caller(begun: bool) -> None:
    answered = asyncio.Event()

    class BrokenError(UpstreamError):
        pass

    async def source() -> AsyncIterator[bytes]:
        yield b"x"
        if begun:
            await answered.wait()
        raise BrokenError("the tenant's stream failed")

    async def answer(incoming: Incoming, writer: asyncio.StreamWriter) -> None:
        if begun:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12")
        await incoming.body()

    async def test(service: NetworkService, server: Server) -> None:
        with pytest.raises(BrokenError):
            response = await service.fetch(Request("POST", server.url, body=Body(chunks=source())))
            assert begun
            answered.set()
            await response.body.read()
        await server.gone.wait()

    run(answer, test)


class Source:
    """A body that says when it was told to stop. Unless it is `endless`, it waits after one chunk."""

    def __init__(self, *, endless: bool) -> None:
        self.endless = endless
        self.pulls = 0
        self.closed = asyncio.Event()

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> bytes:
        self.pulls += 1
        if not self.endless and self.pulls > 1:
            await asyncio.Event().wait()
        return bytes(100_000)

    async def aclose(self) -> None:
        self.closed.set()


@pytest.mark.parametrize("endless", [False, True])
@pytest.mark.parametrize("how", ["end", "close", "cancel"])
def test_an_upload_ends_with_its_answer(how: str, endless: bool) -> None:
    async def answer(incoming: Incoming, writer: asyncio.StreamWriter) -> None:
        length = 6 if how == "end" else 7
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: %d\r\n\r\nenough" % length)
        await asyncio.Event().wait()

    async def test(service: NetworkService, server: Server) -> None:
        source = Source(endless=endless)
        response = await service.fetch(Request("POST", server.url, body=Body(chunks=source)))
        assert response.status == 413
        await turns()
        assert not source.closed.is_set() or how == "end"
        if how == "end":
            assert await response.body.read() == b"enough"
        elif how == "close":
            await response.body.aclose()
        else:
            task = asyncio.create_task(response.body.read())
            await turns(10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await source.closed.wait()

    run(answer, test)


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "http://inside.example/", "nonsense", "http://nowhere.example/"]
)
def test_a_source_is_closed_when_nothing_is_sent(url: str) -> None:
    async def main() -> None:
        async with network(PUBLIC) as (service, _):
            source = Source(endless=True)
            await fails(service, Request("POST", url, body=Body(chunks=source)))
            assert source.closed.is_set()
            assert source.pulls == 0

    asyncio.run(main())


def test_a_fetch_that_comes_as_the_service_is_closed_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = threading.Event()
    # Since Python 3.14 what a thread has done at once is known at once: this import takes until then.
    monkeypatch.setattr(outbound, "import_module", lambda _: closed.wait())

    async def main() -> None:
        async with network(PUBLIC) as (service, _):
            source = Source(endless=True)
            early = asyncio.ensure_future(
                fails(service, Request("POST", "http://x/", body=Body(chunks=source)))
            )
            await asyncio.sleep(0)  # it waits for the client to be imported
            await service.aclose()
            closed.set()
            assert "was closed" in str(await early)
            assert source.closed.is_set()
            assert service._client is None

    asyncio.run(main())


# Letting go


def test_closing_a_body_closes_the_connection() -> None:
    async def answer(incoming: Incoming, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234")

    async def test(service: NetworkService, server: Server) -> None:
        response = await service.fetch(Request("GET", server.url))
        await response.body.aclose()
        await response.body.aclose()
        await server.gone.wait()

    run(answer, test)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"])
def test_cancelling_closes_the_connection(sent: bytes) -> None:
    arrived = asyncio.Event()

    async def answer(incoming: Incoming, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        arrived.set()

    async def test(service: NetworkService, server: Server) -> None:
        async def fetch() -> bytes:
            response = await service.fetch(Request("GET", server.url))
            return await response.body.read()

        task = asyncio.create_task(fetch())
        await arrived.wait()
        await turns(50)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.gone.wait()

    run(answer, test)


# What the policy forbids

LITERALS = [
    "127.0.0.1",
    "2130706433",
    "0177.0.0.1",
    "0x7f.1",
    "127.1",
    "0",
    "10.0.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "224.0.0.1",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fd00::1]",
]


@pytest.mark.parametrize("host", LITERALS)
def test_forbidden_addresses_are_refused_unasked(host: str) -> None:
    async def main() -> None:
        async with network(PUBLIC) as (service, names):
            error = await fails(service, Request("GET", f"http://{host}/"))
            assert type(error) is AccessDenied
            assert names.asked == []

    asyncio.run(main())


def test_a_name_that_leads_inside_is_not_followed_and_reads_like_none() -> None:
    async def main() -> None:
        async with serve(reply()) as server, network(PUBLIC) as (service, _):
            inside = await fails(service, Request("GET", f"http://inside.example:{server.port}/"))
            nowhere = await fails(service, Request("GET", f"http://nowhere.example:{server.port}/"))
            assert type(inside) is AccessDenied
            assert type(nowhere) is UpstreamError
            assert str(inside).replace("inside", "nowhere") == str(nowhere)
            assert server.connections == 0

    asyncio.run(main())


def test_only_the_permitted_addresses_of_a_name_are_tried() -> None:
    async def test(service: NetworkService, server: Server) -> None:
        response = await service.fetch(Request("GET", f"http://mixed.example:{server.port}/"))
        assert await response.body.read() == b"here"

    run(reply(b"here"), test)


def test_a_name_is_resolved_once_per_connection_and_the_checked_address_is_used() -> None:
    async def main() -> None:
        async with serve(reply(b"here")) as server, network() as (service, names):
            response = await service.fetch(Request("GET", f"http://rebinding.example:{server.port}/"))
            assert await response.body.read() == b"here"
            assert names.asked == ["rebinding.example"]

    asyncio.run(main())


def test_a_socket_is_not_opened_to_an_address_that_slipped_through() -> None:
    """The second check, by itself: the first one is told that everything is fine."""

    async def main() -> None:
        verdicts = [True, False]
        plan = Plan(
            wire=lambda destination: Wire(destination.url, destination.authority),
            resolver=FixedResolver(NAMES),
            permits=lambda address: verdicts.pop(0),
        )
        async with serve(reply()) as server:
            client = Client(plan)
            with pytest.raises(AccessDenied):
                await client.fetch(Request("GET", f"http://site.example:{server.port}/"), "follow")
            await client.aclose()
            assert (verdicts, server.connections) == ([], 0)

    asyncio.run(main())


# Redirects


def test_redirects_are_followed_with_what_may_come_along() -> None:
    async def answer(incoming: Incoming, writer: asyncio.StreamWriter) -> None:
        body = await incoming.body()
        if incoming.target == "/end":
            text = f"{incoming.method} {body.decode()} {incoming.header('authorization')}"
            await reply(text.encode())(Incoming("GET", "", [], incoming.reader), writer)
            return
        status, _, location = incoming.target[1:].partition("-")
        writer.write(f"HTTP/1.1 {status} x\r\nLocation: {location}\r\nContent-Length: 2\r\n\r\nno".encode())

    async def test(service: NetworkService, server: Server) -> None:
        async def post(path: str, body: bytes = b"data") -> str:
            request = Request("POST", server.url + path, (("authorization", "s"),), Body(body))
            return (await (await service.fetch(request)).body.read()).decode()

        assert await post("/302-/end") == "GET  s"
        assert await post("/307-/end") == "POST data s"
        assert await post(f"/308-http://site.example:{server.port}/end") == "POST data None"
        assert await post(f"/301-http://site.example:{server.port}/end") == "GET  None"
        assert (await post("/307-/end", b"x" * 200_000)).count("x") == 200_000

    run(answer, test)


def test_redirect_modes() -> None:
    async def test(service: NetworkService, server: Server) -> None:
        response = await service.fetch(Request("GET", server.url), redirect="manual")
        assert response.status == 302
        assert header(response.headers, "location") == "/"
        await response.body.aclose()
        assert "does not allow" in str(await fails(service, Request("GET", server.url), redirect="error"))
        assert "redirect mode" in str(await fails(service, Request("GET", server.url), redirect="maybe"))
        before = len(server.requests)
        assert "20 times" in str(await fails(service, Request("GET", server.url)))
        assert len(server.requests) - before == 21

    run(reply(b"", "302 Found", ("Location: /",)), test)


@pytest.mark.parametrize("location", ["http://10.0.0.1/", "http://0x0a000001/", "//inside-only.example/"])
def test_a_redirect_to_a_forbidden_address_is_refused(location: str) -> None:
    async def main() -> None:
        names = FixedResolver({"inside-only.example": ["10.0.0.1"]})
        service = NetworkService("internet", LOCAL, resolver=names)
        async with serve(reply(b"", "302 Found", (f"Location: {location}",))) as server:
            assert type(await fails(service, Request("GET", server.url))) is AccessDenied
            await service.aclose()

    asyncio.run(main())


def test_a_streamed_body_is_not_sent_twice() -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"once"

    async def test(service: NetworkService, server: Server) -> None:
        request = Request("POST", server.url, body=Body(chunks=source()))
        assert "streamed" in str(await fails(service, request))
        assert len(server.requests) == 1

    run(reply(b"", "307 Temporary", ("Location: /",)), test)


# Failures


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "broke"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "broke"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n01234", "malformed"),
        (b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 129 + b"\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"a" * 15_000 + b"\r\n") * 9 + b"\r\n", "malformed"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "malformed"),
        (b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234", "cut short"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n", "cut short"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n01234\r\n", ""),
    ],
)
def test_answers_that_go_wrong(data: bytes, words: str) -> None:
    async def test(service: NetworkService, server: Server) -> None:
        error = await fails(service, Request("POST", f"http://site.example:{server.port}/"))
        assert type(error) is UpstreamError
        assert words in str(error)
        assert "site.example" in str(error)

    run(raw(data), test)


def test_nobody_listens() -> None:
    async def main() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            async with network() as (service, _):
                error = await fails(service, Request("GET", f"http://site.example:{port}/"))
                assert str(error) == f"no connection to site.example:{port} could be made"

    asyncio.run(main())


@pytest.mark.parametrize(("connect_s", "connect_ms"), [(0.01, None), (19.0, 10), (19.0, 0), (0.01, 2**52)])
def test_a_name_server_that_never_answers(connect_s: float, connect_ms: int | None) -> None:
    class Silent(FixedResolver):
        async def resolve(self, host: str) -> list[object]:
            await asyncio.Event().wait()
            raise AssertionError

    async def main() -> None:
        limits = OutboundLimits(connect_s=connect_s)
        service = NetworkService("internet", PUBLIC, resolver=Silent({}), limits=limits)
        error = await fails(service, Request("GET", "http://a.example/", connect_ms=connect_ms))
        assert (type(error), str(error)) == (ConnectTimeout, "no connection to a.example was made in time")
        await service.aclose()

    asyncio.run(main())


def test_a_wait_for_a_place_is_part_of_the_time_for_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []
    real = aiohttp.ClientSession.request

    def noting(self: aiohttp.ClientSession, *args: Any, **options: Any) -> Any:
        given.append(options["timeout"].connect)
        return real(self, *args, **options)

    async def main() -> None:
        monkeypatch.setattr(aiohttp.ClientSession, "request", noting)
        async with (
            serve(reply(b"x")) as server,
            network(limits=OutboundLimits(connections=2)) as (service, _),
        ):
            first = await service.fetch(Request("GET", server.url, connect_ms=10_000))
            second = asyncio.create_task(service.fetch(Request("GET", server.url, connect_ms=10_000)))
            await turns(10)
            assert len(given) == 1  # no caller has more than it leaves
            await first.body.read()
            await (await second).body.read()
        assert 0 < given[1] < given[0] <= 10.0

    asyncio.run(main())


def test_a_server_that_never_answers() -> None:
    async def silence(incoming: Incoming, writer: asyncio.StreamWriter) -> None:
        await incoming.body()

    async def main() -> None:
        async with serve(silence) as server, network(limits=OutboundLimits(silence_s=0.01)) as (service, _):
            assert "in time" in str(await fails(service, Request("GET", server.url)))
            await server.gone.wait()

    asyncio.run(main())


@pytest.mark.parametrize(
    "bad",
    [
        Request("CONNECT", "http://site.example/"),
        Request("G ET", "http://site.example/"),
        Request("GET", "http://site.example/\r\nX: y"),
        Request("GET", "http://u:p@site.example/"),
        Request("GET", "http://site.example/", (("a b", "c"),)),
        Request("GET", "http://site.example/", (("a", "c\r\nd: e"),)),
        Request("GET", "http://site.example/", (("a", "caf\xe9"),)),
        Request("GET", "ws://site.example/"),
    ],
)
def test_requests_that_cannot_be_sent(bad: Request) -> None:
    async def main() -> None:
        async with network() as (service, names):
            assert "cannot be sent" in str(await fails(service, bad))
            assert names.asked == []

    asyncio.run(main())


def test_a_network_has_no_methods_and_no_entrypoints() -> None:
    async def main() -> None:
        async with network() as (service, _):
            with pytest.raises(NoSuchMethod):
                await service.call("add", b"")
            with pytest.raises(NoSuchEntrypoint):
                await service.fetch(Request("GET", "http://site.example/"), Target("Admin"))

    asyncio.run(main())


def test_a_policy_that_cannot_be_read_is_the_operators_fault() -> None:
    with pytest.raises(ConfigurationError, match=r"'internet'.*'everything'"):
        NetworkService("internet", Network(allow=("everything",)))


def test_aiohttp_is_not_loaded_before_it_is_needed() -> None:
    program = (
        "import sys, pyworkerd.services.network, pyworkerd.services.external;"
        "assert not {'aiohttp', 'yarl'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
