"""Bodies from end to end, through real sockets and isolates: each piece when it is sent, each end to both sides."""

from __future__ import annotations

import gzip

import pytest
from pyworkerd_config.model import Limits

from tests.conformance.place import Place, served
from tests.runtime.server.client import Client, chunk, get, run

LOOPS = ["asyncio", "uvloop"]
CHUNKED = get("/", "Transfer-Encoding: chunked", method="POST")

EVENTS = """
import asyncio
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/other"):
            return Response("here")
        return Response(self.events(), headers={"content-type": "text/event-stream"})

    async def events(self):
        try:
            while True:
                yield f"data: {await self.env.NEXT()}\\n\\n"
        except BaseException as error:
            await self.env.TELL(type(error).__name__)
            raise
"""


async def event(client: Client) -> bytes:
    """One chunk, as it was sent."""
    size = int(await client.reader.readuntil(b"\r\n"), 16)
    return (await client.reader.readexactly(size + 2))[:-2]


@pytest.mark.parametrize("loop", LOOPS)
def test_each_event_arrives_when_it_is_sent(loop: str, sandbox: object) -> None:
    async def main() -> None:
        async with served(EVENTS) as place:
            client = await place.connect()
            client.send(get())
            status, headers = await client.head()
            assert (status, headers["content-type"]) == (200, "text/event-stream")
            assert headers["transfer-encoding"] == "chunked"
            for number in range(20):
                # The next one is not given before this one is here.
                place.hook.give(number)
                assert await event(client) == f"data: {number}\n\n".encode()

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("reset", [False, True])
def test_a_client_that_leaves_cancels_what_the_stream_waits_for(
    loop: str, reset: bool, sandbox: object
) -> None:
    async def main() -> None:
        async with served(EVENTS) as place:
            client = await place.connect()
            client.send(get())
            await client.head()
            place.hook.give("one")
            await event(client)
            if reset:
                client.writer.transport.abort()
            else:
                client.writer.close()
            assert await place.hook.told() == "CancelledError"
            await place.nothing_runs()
            assert place.hook.waiting == 0

    run(main, loop)


def test_a_client_that_leaves_before_the_first_piece(sandbox: object) -> None:
    async def main() -> None:
        async with served(EVENTS) as place:
            client = await place.connect()
            client.send(get())
            await client.head()
            client.writer.transport.abort()
            assert await place.hook.told() == "CancelledError"
            await place.nothing_runs()

    run(main)


def test_head_wants_no_stream(sandbox: object) -> None:
    async def main() -> None:
        async with served(EVENTS) as place:
            client = await place.connect()
            client.send(get(method="HEAD"))
            status, headers, body = await client.response("HEAD")
            assert (status, headers["content-type"], body) == (200, "text/event-stream", b"")
            assert await place.hook.told() in ("CancelledError", "GeneratorExit")
            assert (await client.ask(get("/other")))[2] == b"here"
            await place.nothing_runs()

    run(main)


HANDLER = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        self.ctx.waitUntil(self.promised())
        try:
            await self.env.TELL("begun")
            return Response(str(await self.env.NEXT()))
        except BaseException as error:
            await self.env.TELL(type(error).__name__)
            raise

    async def promised(self):
        await self.env.NEXT()
        await self.env.TELL("promised")
"""


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_that_leaves_cancels_the_handler_and_not_what_was_promised(
    loop: str, sandbox: object
) -> None:
    async def main() -> None:
        async with served(HANDLER) as place:
            client = await place.connect()
            client.send(get())
            assert await place.hook.told() == "begun"
            client.writer.transport.abort()
            assert await place.hook.told() == "CancelledError"
            place.hook.give(None)
            assert await place.hook.told() == "promised"
            await place.nothing_runs()

    run(main, loop)


DUPLEX = """
import asyncio
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = request.url.split("/")[3]
        body = request.body
        if path == "upper":
            return Response(self.upper(body))
        if path == "same":
            return Response(body)
        if path == "early":
            return Response("no thanks", status=403)
        if path == "early-part":
            return Response(str(len(await body.read(3))))
        if path == "later":
            self.ctx.waitUntil(self.read_on(body))
            return Response(self.until_told())
        return Response(str(len(await request.bytes())))

    async def upper(self, body):
        try:
            async for piece in body:
                yield piece.upper()
        except BaseException as error:
            await self.env.TELL(type(error).__name__)
            raise

    async def until_told(self):
        while piece := await self.env.NEXT():
            yield piece

    async def read_on(self, body):
        await self.env.TELL(len(await body.read()))
"""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("path", ["/upper", "/same"])
def test_both_ways_at_once(loop: str, path: str, sandbox: object) -> None:
    async def main() -> None:
        async with served(DUPLEX) as place:
            client = await place.connect()
            client.send(CHUNKED.replace(b" / ", f" {path} ".encode()))
            client.send(chunk(b"first"))
            assert (await client.head())[0] == 200
            for piece in (b"first", *(b"piece %d" % number for number in range(20))):
                if piece != b"first":
                    client.send(chunk(piece))
                # Each comes back before the next one is sent, so the response runs beside the request.
                assert await event(client) == (piece.upper() if path == "/upper" else piece)
            client.send(b"0\r\nIgnored: trailer\r\nContent-Length: 3\r\n\r\n")
            assert await event(client) == b""
            assert (await client.ask(get("/other", "Content-Length: 2", method="POST") + b"ab"))[2] == b"2"
            await place.nothing_runs()

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("path", "status", "answer"), [("/early", 403, b"no thanks"), ("/early-part", 200, b"3")]
)
def test_an_answer_while_the_request_still_arrives(
    loop: str, path: str, status: int, answer: bytes, sandbox: object
) -> None:
    async def main() -> None:
        async with served(DUPLEX, discard_bytes=100_000) as place:
            client = await place.connect()
            # A rest that is small is taken for the connection's sake, which goes on.
            client.send(CHUNKED.replace(b" / ", f" {path} ".encode()) + chunk(b"abc"))
            assert (await client.response())[::2] == (status, answer)
            client.send(
                chunk(b"x" * 10_000) + b"0\r\n\r\n" + get("/other", "Content-Length: 1", method="POST") + b"a"
            )
            assert (await client.response())[2] == b"1"
            # One that is large ends it, after the answer.
            client.send(CHUNKED.replace(b" / ", f" {path} ".encode()) + chunk(b"abc"))
            assert (await client.response())[::2] == (status, answer)
            client.send(chunk(b"x" * 500_000))
            assert await client.rest() == b""
            await place.nothing_runs()

    run(main, loop)


def test_a_request_is_read_on_while_the_response_runs(sandbox: object) -> None:
    async def main() -> None:
        async with served(DUPLEX) as place:
            client = await place.connect()
            client.send(CHUNKED.replace(b" / ", b" /later ") + chunk(b"abc"))
            assert (await client.head())[0] == 200
            client.send(chunk(b"defg") + b"0\r\n\r\n")
            assert await place.hook.told() == 7
            place.hook.give(b"after", None)
            assert await event(client) == b"after"
            assert await event(client) == b""
            await place.nothing_runs()

    run(main)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("how", ["leaves", "resets", "breaks the framing"])
def test_a_request_that_breaks_off_breaks_the_response_made_of_it(
    loop: str, how: str, sandbox: object
) -> None:
    async def main() -> None:
        async with served(DUPLEX) as place:
            client = await place.connect()
            client.send(CHUNKED.replace(b" / ", b" /upper ") + chunk(b"abc"))
            await client.head()
            assert await event(client) == b"ABC"
            if how == "leaves":
                client.writer.write_eof()
            elif how == "resets":
                client.writer.transport.abort()
            else:
                client.send(b"no chunk")
            assert await place.hook.told() in ("StreamError", "CancelledError")
            # Never `0 CRLF CRLF`, which would make it look complete.
            assert await client.rest() == b""
            await place.nothing_runs()

    run(main, loop)


BREAKS = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = request.url.split("/")[3]
        headers = {"content-length": "10"} if path == "short" else {}
        return Response(getattr(self, path)(), headers=headers)

    async def other(self):
        yield "here"

    async def raises(self):
        yield "first"
        await self.env.NEXT()
        raise ValueError("a secret")

    async def loops(self):
        yield "first"
        await self.env.NEXT()
        while True:
            pass

    async def short(self):
        yield "first"
        await self.env.NEXT()

    async def wrong(self):
        yield "first"
        await self.env.NEXT()
        yield 5

    async def hoards(self):
        yield "first"
        await self.env.NEXT()
        hoard = [b"x"]
        while True:
            hoard.append(hoard[-1] * 2)
"""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("path", ["raises", "loops", "short", "wrong", "hoards"])
def test_a_response_that_cannot_be_completed_is_reset(loop: str, path: str, sandbox: object) -> None:
    async def main() -> None:
        async with served(BREAKS, limits=Limits(cpu_ms=200)) as place:
            client = await place.connect()
            client.send(get(f"/{path}"))
            _, headers = await client.head()
            if "content-length" in headers:
                assert await client.reader.readexactly(5) == b"first"
            else:
                assert await event(client) == b"first"
            place.hook.give(None)
            with pytest.raises(ConnectionResetError):
                assert await client.reader.read() == b""
            client = await place.connect()
            assert (await client.ask(get("/other")))[2] == b"here"

    run(main, loop)


ENCODED = gzip.compress(b"much text " * 100, mtime=0)
CODINGS = f"""
from workers import Response, WorkerEntrypoint

DATA = {ENCODED!r}

async def pieces():
    for index in range(0, len(DATA), 7):
        yield DATA[index:index + 7]

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        kind = request.url.split("/")[3]
        headers = {{"content-encoding": "gzip", "x-coding": request.headers.get("content-encoding") or ""}}
        if kind == "echo":
            data = await request.bytes()
            headers["x-same"] = str(data == DATA)
            return Response(data, headers=headers)
        if kind == "stream":
            return Response(pieces(), headers=headers)
        if kind.isdigit():
            return Response(None, status=int(kind), headers=headers)
        return Response(DATA, headers=headers)
"""


def test_a_content_coding_is_left_alone(sandbox: object) -> None:
    async def main() -> None:
        async with served(CODINGS) as place:
            client = await place.connect()
            accepts = "Accept-Encoding: br, identity;q=0"
            upload = get(
                "/echo", "Content-Encoding: gzip", f"Content-Length: {len(ENCODED)}", accepts, method="POST"
            )
            _, headers, body = await client.ask(upload + ENCODED)
            assert (headers["x-coding"], headers["x-same"], headers["content-encoding"]) == (
                "gzip",
                "True",
                "gzip",
            )
            assert body == ENCODED
            for path in ("/whole", "/stream"):
                _, headers, body = await client.ask(get(path, accepts))
                assert (headers["content-encoding"], body) == ("gzip", ENCODED)
            client.send(get("/whole", method="HEAD"))
            _, headers, _ = await client.response("HEAD")
            assert (headers["content-encoding"], headers["content-length"]) == ("gzip", str(len(ENCODED)))
            for status in (204, 304):
                assert (await client.ask(get(f"/{status}")))[0] == status
            # What came before had no bodies, or this would not be read.
            assert (await client.ask(get("/whole")))[2] == ENCODED

    run(main)


PRESSURE = """
from workers import Response, WorkerEntrypoint

made = 0

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = request.url.split("/")[3]
        if path == "made":
            return Response(str(made))
        if path == "unread":
            await self.env.TELL("here")
            await self.env.NEXT()
            size = 0
            async for piece in request.body:
                size += len(piece)
            return Response(str(size))
        return Response(self.pieces(int(path)))

    async def pieces(self, count):
        global made
        for _ in range(count):
            made += 1
            yield b"x" * 10_000
"""


async def made(place: Place) -> int:
    """How many pieces the worker has made, once it makes no more."""
    client, before = await place.connect(), -1
    while (now := int((await client.ask(get("/made")))[2])) != before:
        before = now
    return now


@pytest.mark.parametrize("loop", LOOPS)
def test_a_worker_makes_no_more_than_is_read(loop: str, sandbox: object) -> None:
    async def main() -> None:
        async with served(PRESSURE, limits=Limits(cpu_ms=60_000, isolates=1)) as place:
            client = await place.site.stalled()
            client.send(get("/3000"))
            await client.head()
            # The window of a stream, the server's buffer, and what the kernel takes.
            assert await made(place) < 1000
            assert len(await client.chunks()) == 30_000_000
            assert await made(place) == 3000
            assert place.site.server.statistics().peak_response_buffer <= (64 + 64) * 1024

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_sends_no_more_than_is_read(loop: str, sandbox: object) -> None:
    size = 30_000_000

    async def main() -> None:
        async with served(PRESSURE, limits=Limits(cpu_ms=60_000, isolates=1)) as place:
            client = await place.connect()
            client.send(get("/unread", f"Content-Length: {size}", method="POST"))
            client.send(b"x" * size)
            assert await place.hook.told() == "here"
            # A neighbour's requests show that the loop has turned, and that nobody waits.
            for _ in range(50):
                await made(place)
            assert client.writer.transport.get_write_buffer_size() > size // 2
            place.hook.give(None)
            assert (await client.response())[2] == str(size).encode()
            assert place.site.server.statistics().peak_request_buffer <= (64 + 256) * 1024

    run(main, loop)
