"""HTTP/2 over real TLS: a client that says exactly what it is told to (`h2` by hand), httpx and curl."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import struct
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import h2.config
import h2.connection
import h2.events
import httpx
import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import ContinuationFrame, HeadersFrame, PingFrame
from pyworkerd.http import HttpLimits
from pyworkerd.http.http2 import CONNECTION_WINDOW
from pyworkerd.http.http2_frames import BURST
from pyworkerd.messages import Body, Request, Response
from pyworkerd.server import Edge, connection_info
from pyworkerd.server.tls import Tls
from pyworkerd_config import Https

from tests.runtime.server.client import Site, hello, run, site
from tests.runtime.server.pem import client_context, pair, socket_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LOOPS = ["asyncio", "uvloop"]
ASK = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/x?y")]
POST = [(":method", "POST"), *ASK[1:]]


class Farewell(NamedTuple):
    """GOAWAY."""

    last_stream_id: int
    error_code: ErrorCodes


class Peer:
    """One connection of a client. `seen` collects every event of a stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(
                header_encoding="latin-1", validate_outbound_headers=False, normalize_outbound_headers=False
            )
        )
        self.h2.initiate_connection()
        self.seen: list[Any] = []
        self.over = False
        self._rest = b""
        self.flush()

    def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())

    def ask(
        self, headers: list[tuple[str, str]] = ASK, body: bytes | None = None, *, end: bool = True
    ) -> int:
        number: int = self.h2.get_next_available_stream_id()
        self.h2.send_headers(number, headers, end_stream=end and body is None)
        if body is not None:
            self.h2.send_data(number, body, end_stream=end)
        self.flush()
        return number

    async def hear(self) -> bool:
        """More from the server; False at the end."""
        try:
            data = await self.reader.read(65536)
        except OSError:
            data = b""
        if not data:
            self.over = True
            return False
        for event in self.h2.receive_data(self._without_farewell(data)):
            self.seen.append(event)
            if isinstance(event, h2.events.DataReceived):
                with contextlib.suppress(h2.exceptions.StreamClosedError):
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self.flush()
        return True

    def _without_farewell(self, data: bytes) -> bytes:
        """Whole frames, without GOAWAY, after which `h2` would hear nothing more."""
        self._rest += data
        kept = b""
        while len(self._rest) >= 9 and len(self._rest) >= (end := 9 + int.from_bytes(self._rest[:3], "big")):
            frame, self._rest = self._rest[:end], self._rest[end:]
            if frame[3] == 7:
                numbers = struct.unpack_from("!II", frame, 9)
                self.seen.append(Farewell(numbers[0], ErrorCodes(numbers[1])))
            else:
                kept += frame
        return kept

    async def until(self, kind: type, number: int | None = None) -> Any:
        while True:
            for event in self.seen:
                if isinstance(event, kind) and number in (None, getattr(event, "stream_id", None)):
                    return event
            assert await self.hear(), f"no {kind.__name__} before the end, but {self.seen}"

    async def response(self, number: int) -> tuple[int, dict[str, str], bytes]:
        await self.until(h2.events.StreamEnded, number)
        headers = dict((await self.until(h2.events.ResponseReceived, number)).headers)
        body = b"".join(
            event.data
            for event in self.seen
            if isinstance(event, h2.events.DataReceived) and event.stream_id == number
        )
        return int(headers.pop(":status")), headers, body

    async def farewell(self) -> Any:
        """GOAWAY, and the end."""
        left = await self.until(Farewell)
        while await self.hear():
            pass
        return left


@asynccontextmanager
async def serving(handler: Any, folder: Path, **options: Any) -> AsyncIterator[Site]:
    https = Https((pair(folder, "localhost", "127.0.0.1"),), http2=True)
    edge = Edge(await Tls.open(socket_of(https), https))
    async with site(handler, edge, **options) as place:
        yield place


async def connect(place: Site) -> Peer:
    context = client_context()
    context.set_alpn_protocols(["h2"])
    client = await place.connect(ssl=context, server_hostname="localhost")
    assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
    return Peer(client.reader, client.writer)


async def until(met: Any) -> None:
    while not met():
        await asyncio.sleep(0.001)


async def echo(request: Request) -> Response:
    return Response(200, (), request.body)


async def told(request: Request) -> Response:
    info = connection_info.get()
    assert info is not None
    return Response(
        200, (("x-a", "b"),), Body(f"{request.method} {request.url} {info.client} {request.headers}".encode())
    )


@pytest.mark.parametrize("loop", LOOPS)
def test_a_request_and_its_answer(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(told, tmp_path) as place:
            peer = await connect(place)
            for _ in range(2):
                number = peer.ask([*ASK, ("x-forwarded-for", "6.6.6.6"), ("te", "trailers")])
                status, headers, body = await peer.response(number)
                assert status == 200
                assert set(headers) == {"x-a", "content-length", "date", "server", "x-request-id"}
                assert body.decode() == (
                    "GET https://localhost/x?y 127.0.0.1 (('host', 'localhost'), "
                    "('cf-connecting-ip', '127.0.0.1'), ('x-real-ip', '127.0.0.1'))"
                )
            assert place.server.statistics().requests == 2

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_requests_do_not_wait_for_each_other(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def handler(request: Request) -> Response:
            if request.url.endswith("/first"):
                await go.wait()
            return Response(200, (), Body(request.url.encode()))

        async with serving(handler, tmp_path) as place:
            peer = await connect(place)
            first = peer.ask([*ASK[:3], (":path", "/first")])
            second = peer.ask()
            assert (await peer.response(second))[2] == b"https://localhost/x?y"
            go.set()
            assert (await peer.response(first))[2] == b"https://localhost/first"

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_bodies_both_ways(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            serving(echo, tmp_path) as place,
            httpx.AsyncClient(http2=True, verify=client_context()) as client,
        ):
            url = f"https://localhost:{place.address.rpartition(':')[2]}/"
            for size in (0, 1, 70_000, 3_000_000):
                answer = await client.post(url, content=bytes(size))
                assert (answer.http_version, answer.status_code, len(answer.content)) == ("HTTP/2", 200, size)
            several = await asyncio.gather(*(client.post(url, content=b"x" * 100_000) for _ in range(20)))
            assert {(each.status_code, len(each.content)) for each in several} == {(200, 100_000)}
            seen = place.server.statistics()
            assert seen.accepted == 1
            assert seen.peak_response_buffer < 1_000_000

    run(main, loop)


CURL = shutil.which("curl")


@pytest.mark.skipif(
    CURL is None
    or "HTTP2" not in subprocess.run([CURL, "-V"], capture_output=True, text=True, check=True).stdout,
    reason="no curl that speaks HTTP/2: apt-get install curl",
)
def test_curl(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(echo, tmp_path) as place:
            url = f"https://localhost:{place.address.rpartition(':')[2]}/"
            for protocol, version in (("--http2", "2"), ("--http1.1", "1.1")):
                process = await asyncio.create_subprocess_exec(
                    str(CURL), "-sk", protocol, "-d", "hello", "-w", " %{http_version} %{http_code}", url, url,
                    stdout=subprocess.PIPE,
                )  # fmt: skip
                output, _ = await process.communicate()
                assert output.decode() == f"hello {version} 200hello {version} 200"

    run(main)


def test_status_without_a_body_and_head(tmp_path: Path) -> None:
    async def main() -> None:
        async def handler(request: Request) -> Response:
            if request.method == "HEAD":
                return Response(200, (), Body(b"12345"))
            status = int(request.url.rpartition("/")[2])
            return Response(
                status, (("connection", "close"), ("x", " y ")), Body(b"dropped" if status != 200 else b"")
            )

        async with serving(handler, tmp_path) as place:
            peer = await connect(place)
            for status in (204, 304, 200):
                got = await peer.response(peer.ask([*ASK[:3], (":path", f"/{status}")]))
                assert (got[0], got[2], got[1]["x"]) == (status, b"", "y")
                assert "connection" not in got[1]
            number = peer.ask([(":method", "HEAD"), *ASK[1:]])
            got = await peer.response(number)
            assert (got[1]["content-length"], got[2]) == ("5", b"")

    run(main)


def test_trailers_are_read_and_dropped(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(echo, tmp_path) as place:
            peer = await connect(place)
            number = peer.ask(POST, b"body", end=False)
            peer.h2.send_headers(number, [("x-trailer", "y")], end_stream=True)
            peer.flush()
            assert (await peer.response(number))[2] == b"body"
            assert (await peer.response(peer.ask()))[0] == 200

    run(main)


def test_a_body_is_asked_for(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(echo, tmp_path) as place:
            peer = await connect(place)
            number = peer.ask([*POST, ("expect", "100-continue"), ("content-length", "2")], end=False)
            await peer.until(h2.events.InformationalResponseReceived, number)
            peer.h2.send_data(number, b"ok", end_stream=True)
            peer.flush()
            assert (await peer.response(number))[2] == b"ok"

    run(main)


REFUSED = {
    "no path": (ASK[:3], 400),
    "CONNECT": ([(":method", "CONNECT"), *ASK[1:]], 501),
    "connection": ([*ASK, ("connection", "close")], 400),
    "a line end": ([*ASK, ("a", "b\r\nc: d")], 400),
    "two authorities": ([*ASK, ("host", "other")], 400),
    "a long path": ([*ASK[:3], (":path", "/" + "x" * 200)], 414),
    "many fields": (ASK + [("a", "b")] * 30, 431),
    "a large body": ([*POST, ("content-length", "99999")], 413),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_request_that_is_wrong_ends_only_its_stream(case: str, tmp_path: Path) -> None:
    async def main() -> None:
        headers, status = REFUSED[case]
        limits = HttpLimits(request_line=100, fields=20, body=1000)
        async with serving(hello, tmp_path, limits=limits) as place:
            peer = await connect(place)
            got = await peer.response(peer.ask(headers, end=case != "a large body"))
            assert got[0] == status
            assert got[1]["x-pyworkerd-error"]
            assert (await peer.response(peer.ask()))[0] == 200
            seen = place.server.statistics()
            assert (seen.client_errors, seen.requests, seen.active_now) == (1, 1, 0)

    run(main)


def test_a_body_larger_than_allowed(tmp_path: Path) -> None:
    async def main() -> None:
        async def reads(request: Request) -> Response:
            return Response(200, (), Body(str(len(await request.body.read())).encode()))

        async with serving(reads, tmp_path, limits=HttpLimits(body=1000)) as place:
            peer = await connect(place)
            assert (await peer.response(peer.ask(POST, b"x" * 1001, end=False)))[0] == 413
            assert (await peer.response(peer.ask(POST, b"x" * 1000)))[2] == b"1000"

    run(main)


def test_an_answer_before_the_end_of_the_request_ends_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(hello, tmp_path) as place:
            peer = await connect(place)
            number = peer.ask(POST, b"x" * 1000, end=False)
            assert (await peer.response(number))[0] == 200
            reset = await peer.until(h2.events.StreamReset, number)
            assert reset.error_code == ErrorCodes.NO_ERROR

    run(main)


def test_failures(tmp_path: Path) -> None:
    async def main() -> None:
        async def handler(request: Request) -> Response:
            async def half() -> AsyncIterator[bytes]:
                yield b"half"
                raise RuntimeError("broke")

            if request.method == "POST":
                return Response(200, (), Body(chunks=half()))
            raise RuntimeError("broke")

        async with serving(handler, tmp_path) as place:
            peer = await connect(place)
            status, headers, _ = await peer.response(peer.ask())
            assert (status, headers["x-pyworkerd-error"]) == (500, "internal")
            reset = await peer.until(h2.events.StreamReset, peer.ask(POST))
            assert reset.error_code == ErrorCodes.INTERNAL_ERROR
            assert (await peer.response(peer.ask()))[0] == 500

    run(main)


# back-pressure


def test_a_body_that_nobody_reads_is_not_sent(tmp_path: Path) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def handler(request: Request) -> Response:
            await go.wait()
            return Response(200, (), Body(str(len(await request.body.read())).encode()))

        async with serving(handler, tmp_path, request_buffer=65_536) as place:
            peer = await connect(place)
            await peer.until(h2.events.RemoteSettingsChanged)
            number = peer.ask(POST, b"", end=False)
            sent = 0
            while size := min(peer.h2.local_flow_control_window(number), 16_384):
                peer.h2.send_data(number, bytes(size))
                sent += size
            peer.flush()
            assert sent == 65_536
            await until(lambda: place.server.statistics().received > sent)
            go.set()
            while peer.h2.local_flow_control_window(number) < 1000:
                assert await peer.hear()  # it is read, and there is room again
            peer.h2.send_data(number, b"x" * 1000, end_stream=True)
            peer.flush()
            assert (await peer.response(number))[2] == str(sent + 1000).encode()

    run(main)


def test_bodies_of_streams_that_ended_do_not_use_up_the_connection(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(hello, tmp_path) as place:
            peer = await connect(place)
            await peer.until(h2.events.RemoteSettingsChanged)
            for _ in range(2 * CONNECTION_WINDOW // 60_000):
                number = peer.ask(POST, b"", end=False)
                for _ in range(4):
                    peer.h2.send_data(number, bytes(15_000))
                peer.h2.end_stream(number)
                peer.flush()
                assert (await peer.response(number))[0] == 200

    run(main)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_that_makes_no_room_holds_up_only_itself(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        produced = 0

        async def handler(request: Request) -> Response:
            async def much() -> AsyncIterator[bytes]:
                nonlocal produced
                for _ in range(1000):
                    produced += 1
                    yield bytes(10_000)

            return Response(200, (), Body(chunks=much()) if request.method == "POST" else Body(b"small"))

        async with serving(handler, tmp_path, write_timeout=1) as place:
            peer = await connect(place)
            peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
            stalled = peer.ask(POST)
            await peer.until(h2.events.ResponseReceived, stalled)
            assert produced == 1
            peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 65_535})
            peer.h2.increment_flow_control_window(1)
            peer.flush()
            # The stream that was begun gets room by the settings as well (RFC 9113 section 6.9.2).
            assert (await peer.response(peer.ask()))[2] == b"small"
            peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
            peer.flush()
            late = peer.ask(POST)
            reset = await peer.until(h2.events.StreamReset, late)
            assert reset.error_code == ErrorCodes.CANCEL
            assert place.server.statistics().timeouts >= 1

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_source_and_a_client_that_never_wait_do_not_keep_others_from_their_turn(
    loop: str, tmp_path: Path
) -> None:
    piece, count = bytes(16 * 1024), 512

    async def main() -> None:
        sent = 0

        async def produce() -> AsyncIterator[bytes]:
            nonlocal sent
            for _ in range(count):
                sent += len(piece)
                yield piece

        async def handler(request: Request) -> Response:
            return Response(200, (), Body(chunks=produce()))

        async with serving(handler, tmp_path) as place:
            client = h2.connection.H2Connection()
            client.initiate_connection()
            client.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2**31 - 1})
            client.increment_flow_control_window(2**30)
            client.send_headers(1, ASK, end_stream=True)
            context = client_context()
            context.set_alpn_protocols(["h2"])
            host, _, port = place.address.rpartition(":")

            def read_all() -> None:
                with (
                    socket.create_connection((host, int(port))) as raw,
                    context.wrap_socket(raw, server_hostname="localhost") as secure,
                ):
                    secure.sendall(client.data_to_send())
                    got, buffer = 0, bytearray(1024 * 1024)
                    while got < len(piece) * count:
                        more = secure.recv_into(buffer)
                        assert more, "the connection ended early"
                        got += more

            reading, longest = asyncio.create_task(asyncio.to_thread(read_all)), 0
            while not reading.done():
                before = sent
                await asyncio.sleep(0)
                longest = max(longest, sent - before)
            await reading
            assert longest <= 256 * 1024

    run(main, loop)


def test_a_body_that_does_not_come(tmp_path: Path) -> None:
    async def main() -> None:
        async def reads(request: Request) -> Response:
            return Response(200, (), Body(await request.body.read()))

        async with serving(reads, tmp_path, body_timeout=0.05) as place:
            peer = await connect(place)
            assert (await peer.response(peer.ask(POST, b"a", end=False)))[0] == 408

    run(main)


# floods


@pytest.mark.parametrize("frame", ["ping", "reset", "settings"])
def test_floods_end_the_connection_and_nothing_else(frame: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(hello, tmp_path) as place:
            other, peer = await connect(place), await connect(place)
            if frame == "ping":
                peer.writer.write(PingFrame(0, b"12345678").serialize() * (2 * BURST))
            else:
                for _ in range(2 * BURST):
                    if frame == "settings":
                        peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1000})
                    else:
                        peer.h2.reset_stream(peer.ask(POST, end=False))
                    peer.flush()
            left = await peer.farewell()
            assert left.error_code in (ErrorCodes.ENHANCE_YOUR_CALM, ErrorCodes.NO_ERROR)
            await until(lambda: place.server.statistics().connections_now == 1)
            assert place.server.statistics().active_now == 0
            assert (await other.response(other.ask()))[0] == 200

    run(main)


def test_streams_that_are_opened_and_reset_cost_no_more_than_their_share(tmp_path: Path) -> None:
    """CVE-2023-44487: handlers that were cancelled and have not ended yet still count."""

    async def main() -> None:
        running = most = 0
        go = asyncio.Event()

        async def stubborn(_: Request) -> Response:
            nonlocal running, most
            running += 1
            most = max(most, running)
            try:
                await asyncio.Event().wait()
            finally:
                await go.wait()
                running -= 1
            raise AssertionError

        async with serving(stubborn, tmp_path, http2_streams=10) as place:
            peer = await connect(place)
            for _ in range(100):
                number = peer.ask()
                await until(lambda: place.server.statistics().active_now == 10 or running > 0)
                with contextlib.suppress(h2.exceptions.StreamClosedError):
                    peer.h2.reset_stream(number)
                peer.flush()
            await until(lambda: running == 10)
            last = peer.ask()
            reset = await peer.until(h2.events.StreamReset, last)
            assert (reset.error_code, most) == (ErrorCodes.REFUSED_STREAM, 10)
            go.set()
            await until(lambda: place.server.statistics().active_now == 0)

    run(main)


@pytest.mark.parametrize(
    "attack", ["endless headers", "a bomb", "no preface", "a frame too large", "a bad index"]
)
def test_what_breaks_the_protocol_ends_the_connection(attack: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(hello, tmp_path, limits=HttpLimits(head=10_000)) as place:
            peer = await connect(place)
            await peer.until(h2.events.RemoteSettingsChanged)
            raw = {
                "endless headers": HeadersFrame(1, data=b"").serialize()
                + b"".join(ContinuationFrame(1, data=b"\x00\x01a\x01b" * 100).serialize() for _ in range(50)),
                # One field of 4,000 bytes goes into the table, and is then named by one byte, again and again.
                "a bomb": HeadersFrame(
                    1, data=b"\x40\x01a\x7f\xa1\x1e" + b"v" * 4000 + b"\xbe" * 5000, flags=["END_HEADERS"]
                ).serialize(),
                "no preface": b"",
                "a frame too large": b"\xff\xff\xff\0\0\0\0\0\x01" + bytes(20_000),
                "a bad index": HeadersFrame(1, data=b"\xff\xff\x7f", flags=["END_HEADERS"]).serialize(),
            }[attack]
            if attack == "no preface":
                peer = await connect(place)
                peer.writer.close()
                client = client_context()
                client.set_alpn_protocols(["h2"])
                plain = await place.connect(ssl=client, server_hostname="localhost")
                plain.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 10)
                assert b"HTTP/1.1" not in await plain.rest()
            else:
                peer.writer.write(raw)
                assert (await peer.farewell()).error_code != ErrorCodes.NO_ERROR
            seen = place.server.statistics()
            assert (seen.client_errors, seen.requests) == (1, 0)

    run(main)


def test_many_frames_in_one_packet_leave_others_their_turn(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(hello, tmp_path) as place:
            peer = await connect(place)
            peer.writer.write(PingFrame(0, b"12345678").serialize() * 900)
            number = peer.ask()
            assert (await peer.response(number))[0] == 200
            acks = [event for event in peer.seen if isinstance(event, h2.events.PingAckReceived)]
            assert len(acks) == 900

    run(main)


# ends


@pytest.mark.parametrize("loop", LOOPS)
def test_draining_says_so_and_finishes_what_runs(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def handler(_: Request) -> Response:
            await go.wait()
            return Response(200, (), Body(b"done"))

        async with serving(handler, tmp_path) as place:
            busy, idle = await connect(place), await connect(place)
            number = busy.ask()
            await until(lambda: place.server.statistics().active_now == 1)
            draining = asyncio.create_task(place.server.drain(30))
            assert (await idle.farewell()).error_code == ErrorCodes.NO_ERROR
            left = await busy.until(Farewell)
            assert (left.error_code, left.last_stream_id) == (ErrorCodes.NO_ERROR, number)
            go.set()
            while not busy.over:
                await busy.hear()
            assert b"done" in b"".join(e.data for e in busy.seen if isinstance(e, h2.events.DataReceived))
            await draining
            assert place.server.statistics().connections_now == 0

    run(main, loop)


def test_a_connection_ends_after_so_many_requests(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(hello, tmp_path, http2_requests=3) as place:
            peer = await connect(place)
            numbers = [peer.ask() for _ in range(3)]
            while not peer.over:
                await peer.hear()
            ended = {e.stream_id for e in peer.seen if isinstance(e, h2.events.StreamEnded)}
            assert ended == set(numbers)
            assert any(isinstance(event, Farewell) for event in peer.seen)

    run(main)


def test_a_client_that_says_goodbye_gets_what_it_asked_for(tmp_path: Path) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def handler(_: Request) -> Response:
            await go.wait()
            return Response(200, (), Body(b"done"))

        async with serving(handler, tmp_path) as place:
            peer = await connect(place)
            peer.ask()
            from hyperframe.frame import GoAwayFrame  # noqa: PLC0415

            peer.writer.write(GoAwayFrame(0, last_stream_id=0, error_code=0).serialize())
            await until(lambda: place.server.statistics().active_now == 1)
            go.set()
            while not peer.over:
                await peer.hear()
            assert any(isinstance(event, h2.events.StreamEnded) for event in peer.seen)

    run(main)


@pytest.mark.parametrize("how", ["reset", "close", "abort"])
def test_a_client_that_leaves_cancels_its_requests(how: str, tmp_path: Path) -> None:
    async def main() -> None:
        cancelled = 0

        async def handler(_: Request) -> Response:
            nonlocal cancelled
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled += 1
                raise
            raise AssertionError

        async with serving(handler, tmp_path) as place:
            peer = await connect(place)
            numbers = [peer.ask() for _ in range(3)]
            await until(lambda: place.server.statistics().active_now == 3)
            if how == "reset":
                for number in numbers:
                    peer.h2.reset_stream(number)
                peer.flush()
            elif how == "close":
                peer.writer.close()
            else:
                peer.writer.transport.abort()
            await until(lambda: place.server.statistics().active_now == 0)
            seen = place.server.statistics()
            assert (cancelled, seen.disconnects, seen.answers[0]) == (3, 3, 3)

    run(main)


def test_an_idle_connection_ends(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(hello, tmp_path, idle_timeout=0.05, header_timeout=0.05) as place:
            silent = await connect(place)
            assert (await silent.farewell()).error_code == ErrorCodes.NO_ERROR
            peer = await connect(place)
            assert (await peer.response(peer.ask()))[0] == 200
            assert (await peer.farewell()).error_code == ErrorCodes.NO_ERROR

    run(main)


def test_the_server_stops_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        async def handler(_: Request) -> Response:
            await asyncio.Event().wait()
            raise AssertionError

        async with serving(handler, tmp_path) as place:
            peer, idle = await connect(place), await connect(place)
            number = peer.ask()
            await until(lambda: place.server.statistics().active_now == 1)
            await place.server.aclose()
            with contextlib.suppress(AssertionError):
                assert (await peer.response(number))[0] == 503
            assert place.server.statistics().connections_now == 0
            while not idle.over:
                await idle.hear()

    run(main)


def test_too_many_connections_are_turned_away(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(hello, tmp_path, max_connections=1) as place:
            first = await connect(place)
            assert (await first.response(first.ask()))[0] == 200
            second = await connect(place)
            assert (await second.farewell()).last_stream_id == 0
            assert place.server.statistics().refused == 1

    run(main)
