"""RFC 6455 and 7692 against a real peer, the `websockets` library: its machine without I/O against ours, and its client
against a worker behind a real server.
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyworkerd.server import HttpServer, ServerOptions
from pyworkerd.websocket import Close, Piece
from pyworkerd.websocket.deflate import Deflate
from pyworkerd.websocket.protocol import Ended, Event, Ping, Protocol
from pyworkerd_config.model import Limits
from websockets.asyncio.client import ClientConnection, connect
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from tests.runtime.server.client import Client, get
from tests.runtime.websocket.ends import frame, read_frame
from tests.runtime.websocket.test_deflate import MARK, deflated
from tests.runtime.websocket.test_protocol import BAD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pyworkerd.runtime import Runtime

# machine against machine ---------------------------------------------------------------------------------------------


def peers(compressed: bool) -> tuple[ClientProtocol, Protocol]:
    """Theirs and ours, after the handshake."""
    theirs = ClientProtocol(parse_uri("ws://a/"), state=State.OPEN, max_size=None)
    if compressed:
        theirs.extensions = [PerMessageDeflate(True, True, 12, 15)]
    return theirs, Protocol(client=False, deflate=Deflate(12, 15) if compressed else None)


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def together(events: list[Event]) -> list[Any]:
    """Messages put together, pings and ends as they are."""
    found: list[Any] = []
    begun: Piece | None = None
    for event in events:
        if not isinstance(event, Piece):
            found.append(event)
        elif begun is None:
            begun = event
        else:
            begun = Piece(begun.data + event.data, event.end)  # type: ignore[operator]
        if begun is not None and begun.end:
            found.append(begun.data)
            begun = None
    return found


messages = st.one_of(
    st.text(max_size=40),
    st.binary(max_size=40),
    st.integers(100, 1000).map(lambda size: "ä" * size),
    st.integers(100, 70_000).map(lambda size: b"\1" * size),
)


@given(st.lists(messages, max_size=6), st.booleans(), st.integers(99, 5000))
def test_what_they_send_we_hear(sent: list[str | bytes], compressed: bool, size: int) -> None:
    theirs, ours = peers(compressed)
    for message in sent:
        (theirs.send_text if isinstance(message, str) else theirs.send_binary)(
            message.encode() if isinstance(message, str) else message
        )
    data = b"".join(theirs.data_to_send())
    assert together([e for piece in cut(data, min(size, ours.slice)) for e in ours.receive(piece)]) == sent


@given(
    st.lists(
        st.tuples(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.binary(max_size=125)),
        max_size=4,
    ),
    st.booleans(),
)
def test_fragments_with_pings_between(sent: list[tuple[list[bytes], bytes]], compressed: bool) -> None:
    theirs, ours = peers(compressed)
    expected: list[Any] = []
    for parts, payload in sent:
        for number, part in enumerate(parts):
            fin = number == len(parts) - 1
            (theirs.send_binary if number == 0 else theirs.send_continuation)(part, fin=fin)
            theirs.send_ping(payload)
            expected.append(Ping(payload))
        expected.insert(len(expected) - 1, b"".join(parts))
    data = b"".join(theirs.data_to_send())
    heard = together([e for piece in cut(data, ours.slice) for e in ours.receive(piece)])
    assert [x for x in heard if isinstance(x, bytes)] == [x for x in expected if isinstance(x, bytes)]
    assert [x for x in heard if isinstance(x, Ping)] == [x for x in expected if isinstance(x, Ping)]


@given(
    st.lists(st.tuples(st.lists(messages, min_size=1, max_size=3), st.booleans()), max_size=5), st.booleans()
)
def test_what_we_send_they_hear(sent: list[tuple[list[str | bytes], bool]], compressed: bool) -> None:
    theirs, ours = peers(compressed)
    expected: list[bytes] = []
    for parts, text in sent:
        same = [str(part) if text else (part if isinstance(part, bytes) else part.encode()) for part in parts]
        for number, part in enumerate(same):
            theirs.receive_data(ours.send(Piece(part, number == len(same) - 1)))
        expected.append(b"".join(part.encode() if isinstance(part, str) else part for part in same))
    heard: list[bytes] = []
    for event in theirs.events_received():
        assert isinstance(event, Frame)
        if event.opcode is Opcode.CONT:
            heard[-1] += event.data
        else:
            heard.append(bytes(event.data))
    assert heard == expected
    assert theirs.parser_exc is None


@given(
    st.sampled_from([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 4999]),
    st.text(max_size=40),
)
def test_closes(code: int, reason: str) -> None:
    theirs, ours = peers(False)
    theirs.send_close(code, reason)
    (end,) = ours.receive(b"".join(theirs.data_to_send()))
    assert isinstance(end, Ended)
    assert end.close == Close(code, reason)
    theirs.receive_data(end.answer)
    assert theirs.close_rcvd is not None
    assert theirs.close_rcvd.code == code
    theirs, ours = peers(False)
    theirs.receive_data(ours.close(Close(code, reason)))
    assert theirs.close_rcvd is not None
    assert (theirs.close_rcvd.code, theirs.close_rcvd.reason) == (code, reason)
    (end,) = ours.receive(b"".join(theirs.data_to_send()))
    assert isinstance(end, Ended)
    assert end.close == Close(code, reason) or end.close.code == code


# their client against a worker ---------------------------------------------------------------------------------------

WORKER = {
    "worker.py": """
from workers import Response, WebSocketPair, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        client, server = WebSocketPair()
        server.accept()
        def echo(event):
            if isinstance(event.data, str) and event.data.startswith("close "):
                server.close(int(event.data[6:]), "as you wish")
            else:
                server.send(event.data)
        server.addEventListener("message", echo)
        server.addEventListener("close", lambda e: print("closed", e.code, e.reason, e.wasClean))
        return Response(None, status=101, web_socket=client)
"""
}
SIZES = (0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 1_000_003)


@asynccontextmanager
async def served(runtime: Runtime, **limits: int) -> AsyncIterator[tuple[str, Any]]:
    worker = await runtime.load(WORKER, limits=Limits(cpu_ms=5000, **limits))
    server = HttpServer(worker.service.fetch, ServerOptions())
    address = await server.start("127.0.0.1:0")
    try:
        yield address, worker
        while worker.service.busy:
            await asyncio.sleep(0)
    finally:
        await server.aclose()


@pytest.mark.parametrize("compression", [None, "deflate", "with windows"])
def test_echo_of_many_sizes(compression: str | None, with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        options: dict[str, Any] = {"compression": compression}
        if compression == "with windows":
            factory = ClientPerMessageDeflateFactory(server_max_window_bits=10, client_max_window_bits=11)
            options = {"compression": None, "extensions": [factory]}
        async with served(runtime) as (address, _):
            async with connect(f"ws://{address}/", max_size=None, **options) as client:
                assert bool(client.protocol.extensions) == (compression is not None)
                for size in SIZES:
                    for message in ("ä" * (size // 2), b"\0" * size, bytes(range(256)) * (size // 256)):
                        await client.send(message)
                        assert await client.recv() == message
                assert await asyncio.wait_for(await client.ping(b"payload"), 60) >= 0
            assert client.close_code == 1000

    with_runtime(main)


def test_fragments_are_one_message(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        async with served(runtime) as (address, _), connect(f"ws://{address}/", max_size=None) as client:
            await client.send(["one", "", "two", "ä" * 100_000])
            assert await client.recv() == "onetwo" + "ä" * 100_000
            await client.send(iter([b"x" * 70_000] * 5))
            assert await client.recv() == b"x" * 350_000

    with_runtime(main)


def test_many_messages_keep_their_order(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        async def write(client: ClientConnection) -> None:
            for number in range(3000):
                await client.send(str(number))

        async with served(runtime) as (address, _), connect(f"ws://{address}/") as client:
            writing = asyncio.create_task(write(client))
            assert [await client.recv() for _ in range(3000)] == [str(number) for number in range(3000)]
            await writing

    with_runtime(main)


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1008, 1011, 1012, 3000, 4999])
def test_either_side_closes(code: int, with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        async with served(runtime) as (address, worker):
            client = await connect(f"ws://{address}/")
            await client.close(code, "why")
            other = await connect(f"ws://{address}/")
            await other.send(f"close {code}")
            with pytest.raises(ConnectionClosed):
                await other.recv()
            assert (other.close_code, other.close_reason) == (code, "as you wish")
        # Two invocations, whose steps need not come in the order of their clients.
        messages = {entry.message for entry in worker.logs}
        assert messages == {f"closed {code} why True", f"closed {code} as you wish True"} or (
            # Our reason may come back without its text.
            messages == {f"closed {code} why True", f"closed {code}  True"}
        )

    with_runtime(main)


def test_a_client_that_vanishes(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        async with served(runtime) as (address, worker):
            client = await connect(f"ws://{address}/")
            client.transport.abort()
            await client.wait_closed()
        assert [entry.message for entry in worker.logs] == ["closed 1006  False"]

    with_runtime(main)


async def opened(address: str) -> Client:
    """A client that says byte for byte what it is told to."""
    host, _, port = address.rpartition(":")
    client = Client(*await asyncio.open_connection(host, int(port)))
    client.send(
        get("/", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Extensions: permessage-deflate")
    )  # fmt: skip
    assert (await client.head())[0] == 101
    return client


BREACHES = {**BAD, "reserved bit 1": (frame(9, b"", rsv=MARK), 1002)}
"""With compression agreed on, the first reserved bit means something on a message, and nothing on a ping."""


def test_what_breaks_the_protocol_ends_with_the_right_code_and_nothing_else(
    with_runtime: Callable[..., None],
) -> None:
    async def main(runtime: Runtime) -> None:
        async with served(runtime) as (address, worker):
            bystander = await connect(f"ws://{address}/")
            for data, code in BREACHES.values():
                client = await opened(address)
                client.send(frame(1, b"before"))
                assert await read_frame(client.reader) == (0x81, b"before")
                client.send(data)
                assert await read_frame(client.reader) == (0x88, struct.pack("!H", code))
                assert await client.rest() == b""
                await client.aclose()
            await bystander.send("still here")
            assert await bystander.recv() == "still here"
            await bystander.close()
        closes = [entry.message for entry in worker.logs]
        assert len(closes) == len(BREACHES) + 1
        assert all(line.endswith("False") for line in closes[:-1])

    with_runtime(main)


@pytest.mark.parametrize(
    "data",
    [
        frame(2, b"x" * ((1 << 20) + 1)),
        frame(2, b"x" * 600_000, fin=False) + frame(0, b"x" * 600_000),
        frame(2, deflated(bytes(200 << 20)), rsv=MARK),
        frame(1, deflated(b"a" * (2 << 20)), rsv=MARK),
    ],
    ids=["one frame", "fragments", "a bomb", "a smaller one"],
)
def test_a_message_that_is_too_big_ends_with_1009(data: bytes, with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        async with served(runtime, websocket_message_mb=1) as (address, _):
            client = await opened(address)
            client.send(data)
            first, payload = await read_frame(client.reader)
            assert (first, payload[:2]) == (0x88, struct.pack("!H", 1009))
            await client.rest()
            await client.aclose()

    with_runtime(main)


@settings(max_examples=20)
@given(st.lists(messages, max_size=5))
def test_our_client_and_their_server_machine(sent: list[str | bytes]) -> None:
    """The other role: what we ask for outside is masked and understood."""
    from websockets.server import ServerProtocol  # noqa: PLC0415

    theirs = ServerProtocol(state=State.OPEN, max_size=None)
    ours = Protocol(client=True)
    for message in sent:
        theirs.receive_data(ours.send(Piece(message)))
    heard = [event.data for event in theirs.events_received() if isinstance(event, Frame)]
    assert [bytes(data) for data in heard] == [m.encode() if isinstance(m, str) else m for m in sent]
    theirs.send_text(b"back")
    assert ours.receive(b"".join(theirs.data_to_send())) == [Piece("back")]
