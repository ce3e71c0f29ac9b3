"""Clients on their way to HTTP: a PROXY header, a TLS handshake, both, or neither."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import ssl
import struct
import threading
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.http.proxy_protocol import read_header
from pyworkerd.messages import Body, Request, Response
from pyworkerd.server import ConnectionInfo, Edge, Trust, bind, connection_info
from pyworkerd.server.arrival import told_by
from pyworkerd.server.origin import NOBODY
from pyworkerd.server.tls import Tls
from pyworkerd_config import Https

from tests.runtime.server.client import Client, Site, get, hello, run, site
from tests.runtime.server.pem import authority, client_ca, client_context, pair, socket_of
from tests.runtime.server.test_upgrade import Worker, opened
from tests.runtime.websocket.ends import frame, read_frame

if TYPE_CHECKING:
    from pathlib import Path

LOOPS = ["asyncio", "uvloop"]
LOCAL = Trust.of(["127.0.0.0/8"])
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\n"
V2_START = b"\r\n\r\n\0\r\nQUIT\n"
V2 = (
    V2_START
    + struct.pack("!BBH", 0x21, 0x11, 12)
    + socket.inet_aton("192.0.2.7")
    + socket.inet_aton("198.51.100.1")
    + struct.pack("!HH", 5000, 443)
)
V2_LOCAL = V2_START + struct.pack("!BBH", 0x20, 0, 0)


async def told(request: Request) -> Response:
    """What the worker would know of its client."""
    info = connection_info.get()
    assert info is not None
    about = [value for name, value in request.headers if name in ("cf-connecting-ip", "cf-cert-subject-dn")]
    text = " ".join([request.url, info.client or "-", info.peer or "-", info.server, *about])
    return Response(200, (), Body(text.encode()))


async def echo(request: Request) -> Response:
    return Response(200, (), request.body)


async def tls(folder: Path, **settings: Any) -> Tls:
    https = Https((pair(folder, "localhost", "127.0.0.1"),), **settings)
    return await Tls.open(socket_of(https), https)


async def secure(place: Site, context: ssl.SSLContext | None = None, **options: Any) -> Client:
    return await place.connect(ssl=context or client_context(), server_hostname="localhost", **options)


async def closed(client: Client) -> None:
    """The server ended the connection without a word."""
    assert await client.rest() == b""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("header", [V1, V2])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_proxy_header_names_the_client(loop: str, header: bytes, size: int) -> None:
    async def main() -> None:
        async with site(told, Edge(trust=LOCAL, proxy_protocol=True)) as place:
            client = await place.connect()
            data = header + get("/a") + get("/b", "X-Forwarded-For: 6.6.6.6", "CF-Connecting-IP: 6.6.6.6")
            for i in range(0, len(data), size):
                client.send(data[i : i + size])
                await asyncio.sleep(0)
            for path in ("/a", "/b"):
                body = (await client.response())[2].decode()
                assert body == f"http://a{path} 192.0.2.7 127.0.0.1 198.51.100.1:443 192.0.2.7"
            assert place.server.statistics().accepted == 1

    run(main, loop)


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (b"PROXY UNKNOWN\r\n", "-"),
        (V2_LOCAL, "127.0.0.1"),
        (V1.replace(b"192.0.2.7", b"127.9.9.9"), "6.6.6.6"),
    ],
)
def test_whose_word_counts_behind_a_proxy_header(header: bytes, client: str) -> None:
    """A proxy that names nobody hands on a stranger's headers; one that names a trusted proxy does not."""

    async def main() -> None:
        async with site(told, Edge(trust=LOCAL, proxy_protocol=True)) as place:
            body = (await place.ask(header + get("/", "X-Forwarded-For: 6.6.6.6")))[2].decode()
            assert body.split()[1] == client

    run(main)


def test_a_proxy_that_ended_tls_says_so() -> None:
    async def main() -> None:
        ssl_tlv = b"\x20\0\x05\x01\0\0\0\0"
        header = V2[:14] + struct.pack("!H", 12 + len(ssl_tlv)) + V2[16:] + ssl_tlv
        async with site(told, Edge(trust=LOCAL, proxy_protocol=True)) as place:
            assert (await place.ask(header + get("/")))[2].startswith(b"https://a/ 192.0.2.7")

    run(main)


BAD = {
    "plain HTTP": get("/"),
    "a TLS hello": b"\x16\x03\x01\x02\0\x01",
    "a malformed line": b"PROXY TCP4 192.0.2.7\r\n",
    "an endless line": b"PROXY UNKNOWN " + b"x" * 1000,
    "a huge version 2": V2_START + b"\x21\x11\xff\xff",
    "another version": V2_START + b"\x31\x11\0\0",
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("case", BAD)
def test_what_is_no_proxy_header_ends_the_connection(loop: str, case: str) -> None:
    async def main() -> None:
        async with site(hello, Edge(trust=LOCAL, proxy_protocol=True)) as place:
            client = await place.connect()
            client.send(BAD[case])
            await closed(client)
            seen = place.server.statistics()
            assert (seen.arrivals_failed, seen.accepted, seen.connections_now) == (1, 0, 0)

    run(main, loop)


def test_a_peer_that_is_not_trusted_is_not_heard(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with site(hello, Edge(trust=Trust.of(["192.0.2.0/24"]), proxy_protocol=True)) as place:
            for _ in range(3):
                client = await place.connect()
                client.send(V1 + get("/"))
                await closed(client)
            assert place.server.statistics().arrivals_failed == 3

    with caplog.at_level(logging.WARNING, "pyworkerd.server"):
        run(main)
    assert caplog.messages == ["127.0.0.1 is no trusted proxy, and was not served"]  # not once for each


def test_a_trusted_unix_peer(tmp_path: Path) -> None:
    async def main() -> None:
        edge = Edge(trust=Trust.of(["unix"]), proxy_protocol=True)
        async with site(told, edge) as place:
            address = await place.server.start(bind(f"unix:{tmp_path / 's'}"))
            client = Client(*await asyncio.open_unix_connection(address.removeprefix("unix:")))
            assert (await client.ask(V1 + get("/")))[2].startswith(b"http://a/ 192.0.2.7 - 198.51.100.1:443")
            await client.aclose()

    run(main)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("sent", [b"", b"PROXY TCP4 192.0", V2[:-1]])
def test_a_header_that_does_not_come_in_time(loop: str, sent: bytes) -> None:
    async def main() -> None:
        async with site(hello, Edge(trust=LOCAL, proxy_protocol=True), arrival_timeout=0.05) as place:
            client = await place.connect()
            client.send(sent)
            await closed(client)
            assert place.server.statistics().arrivals_failed == 1

    run(main, loop)


def test_the_time_for_a_header_ends_with_it() -> None:
    """What comes later has its own deadlines."""

    async def main() -> None:
        edge = Edge(trust=LOCAL, proxy_protocol=True)
        async with site(hello, edge, arrival_timeout=0.05, header_timeout=0.2) as place:
            client = await place.connect()
            client.send(V1)
            await closed(client)
            seen = place.server.statistics()
            assert (seen.accepted, seen.arrivals_failed) == (1, 0)

    run(main)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_that_leaves_on_the_way_is_forgotten(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        for edge in (Edge(trust=LOCAL, proxy_protocol=True), Edge(await tls(tmp_path))):
            async with site(hello, edge) as place:
                for sent in (b"", b"PROXY TC", b"\x16\x03\x01"):
                    client = await place.connect()
                    client.send(sent)
                    await client.writer.drain()
                    await client.aclose()
                await until(lambda: place.server.statistics().connections_now == 0)
                assert place.server.statistics().requests == 0

    run(main, loop)


async def until(met: Any) -> None:
    while not met():
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("loop", LOOPS)
def test_https(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with site(told, Edge(await tls(tmp_path)), linger_timeout=0.1) as place:
            client = await secure(place)
            for path in ("/a", "/b"):
                status, _, body = await client.ask(get(path, "X-Forwarded-Proto: http"))
                assert (status, body.decode()) == (
                    200,
                    f"https://a{path} 127.0.0.1 127.0.0.1 {place.address} 127.0.0.1",
                )
            ssl_object = client.writer.get_extra_info("ssl_object")
            assert ssl_object.version() == "TLSv1.3"
            old = await secure(place)
            assert (await old.ask(b"GET /c HTTP/1.0\r\n\r\n"))[2].startswith(b"https://127.0.0.1")
            assert await old.rest() == b""
            client = await secure(place)
            assert (await client.ask(get("https://a/x")))[2].startswith(b"https://a/x ")
            assert (await client.ask(get("http://a/x")))[0] == 421
            assert await client.rest() == b""

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("header", [V1, V2])
def test_a_proxy_header_comes_before_tls(loop: str, header: bytes, tmp_path: Path) -> None:
    async def main() -> None:
        async with site(told, Edge(await tls(tmp_path), LOCAL, proxy_protocol=True)) as place:
            client = await place.connect()
            # Header and ClientHello in one packet: TLS must find its first byte.
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            connection = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
            client.send(header)
            answer = await over(connection, incoming, outgoing, client, get("/x", "Connection: close"))
            assert answer.endswith(b"https://a/x 192.0.2.7 127.0.0.1 198.51.100.1:443 192.0.2.7")

    run(main, loop)


async def over(
    connection: ssl.SSLObject,
    incoming: ssl.MemoryBIO,
    outgoing: ssl.MemoryBIO,
    client: Client,
    request: bytes,
) -> bytes:
    """A handshake by hand, the request in the same flight as its end; returns what was answered until the close."""
    wrote, answer = False, b""
    while True:
        try:
            if not wrote:
                connection.do_handshake()
                connection.write(request)
                wrote = True
            while piece := connection.read(65536):
                answer += piece
            break
        except ssl.SSLWantReadError:
            client.send(outgoing.read())
            incoming.write(await client.reader.read(65536))
    return answer


@pytest.mark.parametrize("loop", LOOPS)
def test_a_request_that_comes_with_the_end_of_the_handshake(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with site(echo, Edge(await tls(tmp_path))) as place:
            for size in (10, 300_000):
                client = await place.connect()
                incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                connection = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
                body = b"x" * size
                request = get("/", f"Content-Length: {size}", "Connection: close", method="POST") + body
                assert (await over(connection, incoming, outgoing, client, request)).endswith(
                    b"\r\n\r\n" + body
                )

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("sent", [get("/"), b"\x16\x03\x01\0\x05hello", b"\0" * 100_000])
def test_what_is_no_handshake_ends_the_connection(loop: str, sent: bytes, tmp_path: Path) -> None:
    async def main() -> None:
        async with site(hello, Edge(await tls(tmp_path))) as place:
            client = await place.connect()
            client.send(sent)
            answer = await client.rest()
            assert b"HTTP" not in answer
            await until(lambda: place.server.statistics().connections_now == 0)
            assert place.server.statistics().arrivals_failed == 1

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_handshake_that_takes_too_long(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with site(hello, Edge(await tls(tmp_path)), arrival_timeout=0.05) as place:
            client = await place.connect()
            client.send(b"\x16\x03\x01")
            await closed(client)
            await until(lambda: place.server.statistics().connections_now == 0)
            assert place.server.statistics().arrivals_failed == 1

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_those_that_arrive_count_as_connections(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with site(hello, Edge(await tls(tmp_path)), max_connections=2) as place:
            waiting = [await place.connect() for _ in range(4)]
            await until(lambda: place.server.statistics().connections_now == 4)
            await closed(await place.connect())
            assert place.server.statistics().refused == 1
            for client in waiting[:3]:
                await client.aclose()
            await until(lambda: place.server.statistics().connections_now == 1)
            assert (await (await secure(place)).ask(get("/")))[0] == 200

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_the_server_ends_while_clients_arrive(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        for edge in (Edge(trust=LOCAL, proxy_protocol=True), Edge(await tls(tmp_path))):
            async with site(hello, edge) as place:
                client = await place.connect()
                await until(lambda: place.server.statistics().connections_now == 1)
                await place.server.aclose()
                await closed(client)
                assert place.server.statistics().connections_now == 0

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_large_bodies_both_ways(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        size = 5_000_000
        async with site(echo, Edge(await tls(tmp_path))) as place:
            client = await secure(place)
            for _ in range(2):
                client.send(get("/", f"Content-Length: {size}", method="POST") + bytes(size))
                status, _, body = await client.response()
                assert (status, len(body)) == (200, size)
            seen = place.server.statistics()
            # Two layers hold one high-water mark each, and a piece that went past it.
            assert seen.peak_response_buffer < 1_000_000
            assert seen.peak_request_buffer < 1_000_000

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("window", [4096, None])
def test_a_slow_reader_gets_all_of_the_last_answer(loop: str, window: int | None, tmp_path: Path) -> None:
    """However short the time for saying goodbye is: it begins when everything has left the process, and what the
    kernel still holds then is not thrown away.
    """

    async def main() -> None:
        size = 2_000_000

        async def much(_: Request) -> Response:
            return Response(200, (), Body(bytes(size)))

        def read_late(address: str, go: threading.Event) -> int:
            host, _, port = address.rpartition(":")
            with socket.socket() as raw:
                if window is not None:
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
                raw.settimeout(60)
                raw.connect((host, int(port)))
                with client_context().wrap_socket(raw, server_hostname="localhost") as client:
                    client.sendall(get("/", "Connection: close"))
                    go.wait(60)
                    got = 0
                    while piece := client.recv(65536):
                        got += len(piece)
                    return got

        async with site(much, Edge(await tls(tmp_path)), linger_timeout=0.01) as place:
            go = threading.Event()
            reading = asyncio.create_task(asyncio.to_thread(read_late, place.address, go))
            statistics = place.server.statistics
            await until(lambda: statistics().requests == 1 and not statistics().active_now)
            await asyncio.sleep(0.1)  # in which nothing must happen
            go.set()
            assert await reading > size

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_reader_that_stops_is_dropped(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        async def much(_: Request) -> Response:
            return Response(200, (), Body(bytes(20_000_000)))

        async with site(much, Edge(await tls(tmp_path)), write_timeout=0.1) as place:
            client = await secure(place, limit=1024)
            client.send(get("/", "Connection: close"))
            await client.head()
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await until(lambda: place.server.statistics().connections_now == 0)
            assert place.server.statistics().timeouts == 1

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_that_says_no_goodbye_is_dropped(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with site(hello, Edge(await tls(tmp_path)), linger_timeout=0.05) as place:
            client = await place.connect()
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            connection = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
            await over(connection, incoming, outgoing, client, get("/", "Connection: close"))
            # The server has said goodbye. We neither answer nor close.
            await until(lambda: place.server.statistics().connections_now == 0)

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("politely", [True, False])
def test_a_client_that_leaves_cancels_its_request(loop: str, politely: bool, tmp_path: Path) -> None:
    """With TLS's goodbye (half-close), or with a bare end of the connection."""

    async def main() -> None:
        began, cancelled = asyncio.Event(), asyncio.Event()

        async def handler(_: Request) -> Response:
            began.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise
            raise AssertionError

        async with site(handler, Edge(await tls(tmp_path))) as place:
            client = await secure(place)
            client.send(get("/"))
            await began.wait()
            if politely:
                client.writer.close()
            else:
                client.writer.transport.abort()
            await cancelled.wait()
            await until(lambda: place.server.statistics().connections_now == 0)

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_draining_finishes_what_runs_and_ends(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def handler(_: Request) -> Response:
            await go.wait()
            return Response(200, (), Body(b"done"))

        async with site(handler, Edge(await tls(tmp_path))) as place:
            busy, idle = await secure(place), await secure(place)
            busy.send(get("/"))
            await until(lambda: place.server.statistics().active_now == 1)
            draining = asyncio.create_task(place.server.drain(30))
            await closed(idle)
            go.set()
            assert (await busy.response())[2] == b"done"
            await closed(busy)
            await draining
            assert place.server.statistics().connections_now == 0

    run(main, loop)


@pytest.mark.parametrize("required", [True, False])
def test_client_certificates(required: bool, tmp_path: Path) -> None:
    async def main() -> None:
        terminator = await tls(tmp_path, client_ca=client_ca(tmp_path), require_client_certs=required)
        async with site(told, Edge(terminator)) as place:
            mine = authority().issue_cert("me@example.com", common_name="Me, \u00e4 + more")
            client = await secure(place, client_context(mine))
            body = (await client.ask(get("/", "CF-Cert-Subject-DN: CN=admin")))[2].decode()
            assert body.partition("127.0.0.1 CN=")[2].startswith("Me\\, \\C3\\A4 \\+ more")
            nobody = await secure(place)
            nobody.send(get("/", "CF-Cert-Subject-DN: CN=admin"))
            if required:
                await closed_by_alert(nobody)
            else:
                assert (await nobody.response())[2].endswith(b" 127.0.0.1")
            stranger = client_context(authority("others").issue_cert("me@example.com"))
            await closed_by_alert(await secure(place, stranger))
            await until(lambda: place.server.statistics().arrivals_failed == 1 + required)

    run(main)


async def closed_by_alert(client: Client) -> None:
    """TLS 1.3: a client learns only after its handshake that its certificate is not wanted."""
    with contextlib.suppress(ssl.SSLError):
        assert await client.reader.read() == b""


def test_peers_of_a_dual_stack_socket_are_judged_as_ipv4() -> None:
    async def main() -> None:
        trust = Trust((ipaddress.ip_network("127.0.0.0/8"),))
        async with site(told, Edge(trust=trust)) as place:
            port = (await place.server.start("*:0")).rpartition(":")[2]
            client = Client(*await asyncio.open_connection("127.0.0.1", int(port)))
            body = (await client.ask(get("/", "X-Forwarded-For: 192.0.2.7")))[2].decode()
            assert body == f"http://a/ 192.0.2.7 127.0.0.1 127.0.0.1:{port} 192.0.2.7"
            await client.aclose()

    run(main)


def test_the_table_of_what_a_header_tells() -> None:
    info = ConnectionInfo("127.0.0.1", 1, "127.0.0.1:80", peer="127.0.0.1")
    for header, expected in (
        (V2_LOCAL, (info, NOBODY)),
        (b"PROXY UNKNOWN\r\n", (ConnectionInfo(None, None, "127.0.0.1:80", peer="127.0.0.1"), NOBODY)),
        (V1, (ConnectionInfo("192.0.2.7", 5000, "198.51.100.1:443", peer="127.0.0.1"), LOCAL)),
        (
            b"PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 1 443\r\n",
            (ConnectionInfo("192.0.2.7", 1, "[2001:db8::1]:443", peer="127.0.0.1"), LOCAL),
        ),
    ):
        found = read_header(header)
        assert not isinstance(found, int)
        assert told_by(found, info, LOCAL) == expected


@pytest.mark.parametrize("loop", LOOPS)
def test_web_sockets_over_tls(loop: str, tmp_path: Path) -> None:
    """The transport's second life, and its end: asyncio's own patience with a TLS goodbye is no limit."""

    async def main() -> None:
        worker = Worker()
        async with site(worker, Edge(await tls(tmp_path))) as place:
            client = await secure(place)
            await opened(client)
            own = worker.ends[0]
            client.send(frame(1, b"hello"))
            assert await own.receive() == "hello"
            big = bytes(50_000)
            await own.send(big)
            assert await read_frame(client.reader) == (0x82, big)
            client.send(frame(8, b"\x03\xe8"))
            assert (await read_frame(client.reader))[0] == 0x88
            assert await client.rest() == b""
            await until(lambda: place.server.statistics().connections_now == 0)

    run(main, loop)
