"""A WebSocket on a real connection: buffers, time, and both ways to end."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.websocket import Close, Piece, WebSocketClosed
from pyworkerd.websocket.handshake import Accepted
from pyworkerd.websocket.offers import Terms
from pyworkerd.websocket.options import WireOptions
from pyworkerd.websocket.wire import Wire, take_over

from tests.runtime.server.client import run
from tests.runtime.websocket.ends import frame, read_frame
from tests.runtime.websocket.test_deflate import MARK, deflated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOOPS = ["asyncio", "uvloop"]
PATIENT = WireOptions(ping_interval=3600, close_timeout=3600, write_timeout=7200)
TERMS = Terms(12, 15, "")


class Peer:
    """What is at the other end: it says and hears bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))

    async def frame(self) -> tuple[int, bytes]:
        return await asyncio.wait_for(read_frame(self.reader), 30)

    async def rest(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(), 30)


@asynccontextmanager
async def connected(
    options: WireOptions = PATIENT, *, terms: Terms | None = None, rest: bytes = b"", small: bool = False
) -> AsyncIterator[tuple[Wire, Peer]]:
    loop = asyncio.get_running_loop()
    made: asyncio.Future[Wire] = loop.create_future()

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            made.set_result(take_over(transport, options, Accepted("chat", terms), rest=rest))

    server = await loop.create_server(Accepting, "127.0.0.1", 0)
    raw = socket.socket()
    if small:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await loop.sock_connect(raw, server.sockets[0].getsockname())
    peer = Peer(*await asyncio.open_connection(sock=raw, limit=1024))
    wire = await made
    try:
        yield wire, peer
    finally:
        wire.abort()
        await wire.lost()
        peer.writer.close()
        server.close()
        await server.wait_closed()


async def closed(wire: Wire) -> Close:
    with pytest.raises(WebSocketClosed) as caught:
        while True:
            await wire.pull()
    return caught.value.close


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("terms", [None, TERMS])
def test_messages_both_ways(loop: str, terms: Terms | None) -> None:
    async def main() -> None:
        async with connected(terms=terms, rest=frame(1, b"early")) as (wire, peer):
            assert wire.protocol == "chat"
            assert await wire.receive() == "early"
            peer.send(frame(2, b"x" * 200_000), frame(1, "ä".encode()))
            assert [await wire.receive(), await wire.receive()] == [b"x" * 200_000, "ä"]
            await wire.send("short")
            assert await peer.frame() == (0x81, b"short")
            await wire.push(Piece(b"", False))
            await wire.push(Piece(b"end"))
            assert [(await peer.frame())[0] & 0x8F for _ in range(2)] == [0x02, 0x80]

    run(main, loop)


def test_a_large_message_leaves_in_fragments_that_nothing_comes_between() -> None:
    async def main() -> None:
        async with connected(small=True) as (wire, peer):
            sending = [asyncio.create_task(wire.send(letter * 300_000)) for letter in "ab"]
            frames = [await peer.frame() for _ in range(10)]
            assert [first for first, _ in frames] == [0x01, 0x00, 0x00, 0x00, 0x80] * 2
            assert b"".join(payload for _, payload in frames) == b"a" * 300_000 + b"b" * 300_000
            await asyncio.gather(*sending)

    run(main)


@pytest.mark.parametrize("loop", LOOPS)
def test_reading_pauses_while_nobody_pulls(loop: str) -> None:
    async def main() -> None:
        async with connected() as (wire, peer):
            total = 0
            message = frame(2, b"x" * 50_000)
            peer.writer.transport.set_write_buffer_limits(high=100_000)
            draining = asyncio.create_task(send_until_full(peer, message))
            while not wire._paused:
                await asyncio.sleep(0)
            held = wire._held + len(wire._raw)
            assert held < 64 * 1024 + 256 * 1024 + 4096
            for _ in range(200):
                total += len(await wire.receive())
            await draining
            assert total == 200 * 50_000
            assert not wire._paused

    run(main, loop)


async def send_until_full(peer: Peer, message: bytes) -> None:
    for _ in range(200):
        peer.send(message)
        await peer.writer.drain()


def test_a_flood_of_empty_messages_is_bounded_too() -> None:
    async def main() -> None:
        async with connected() as (wire, peer):
            peer.send(frame(1) * 20_000)
            while not wire._paused:
                await asyncio.sleep(0)
            assert len(wire._pieces) <= 64 * 1024 // 64 + 4096 // 6
            for _ in range(20_000):
                assert await wire.receive() == ""

    run(main)


def test_a_bomb_is_unpacked_no_faster_than_it_is_pulled() -> None:
    async def main() -> None:
        async with connected(terms=TERMS) as (wire, peer):
            peer.send(frame(2, deflated(bytes(32 << 20)), rsv=MARK))
            while not wire._paused:
                await asyncio.sleep(0)
            assert wire._held < 64 * 1024 + 256 * 1033
            with pytest.raises(WebSocketClosed, match="1009"):
                await wire.receive(1_000_000)
            assert await peer.frame() == (0x88, b"\x03\xf1a message is limited to 1000000 bytes")

    run(main)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_sender_waits_for_a_peer_that_does_not_read(loop: str) -> None:
    async def main() -> None:
        async with connected(small=True) as (wire, peer):
            sending = asyncio.create_task(send_all(wire, 300))
            while wire._writable is None:
                await asyncio.sleep(0)
            assert wire._transport.get_write_buffer_size() < 64 * 1024 + 65_600
            assert not sending.done()
            for _ in range(300):
                assert len((await peer.frame())[1]) == 60_000
            await sending

    run(main, loop)


async def send_all(wire: Wire, count: int) -> None:
    for _ in range(count):
        await wire.send(b"x" * 60_000)


@pytest.mark.parametrize("loop", LOOPS)
def test_of_pings_during_a_pause_the_last_is_answered(loop: str) -> None:
    async def main() -> None:
        async with connected(small=True) as (wire, peer):
            sending = asyncio.create_task(send_all(wire, 300))
            while wire._writable is None:
                await asyncio.sleep(0)
            peer.send(*(frame(9, b"%d" % number) for number in range(1000)), frame(1, b"after them"))
            assert await wire.receive() == "after them"
            pongs = []
            data = 0
            while data < 300 or not pongs:
                first, payload = await peer.frame()
                if first == 0x8A:
                    pongs.append(payload)
                else:
                    data += 1
            assert pongs == [b"999"]
            await sending

    run(main, loop)


# ending --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", LOOPS)
def test_the_peer_closes(loop: str) -> None:
    async def main() -> None:
        async with connected() as (wire, peer):
            peer.send(frame(1, b"last"), frame(8, struct.pack("!H", 4000) + b"bye"))
            assert await wire.receive() == "last"
            assert await closed(wire) == Close(4000, "bye")
            assert await peer.frame() == (0x88, struct.pack("!H", 4000))
            assert await peer.rest() == b""
            await wire.lost()
            with pytest.raises(WebSocketClosed):
                await wire.send("too late")
            wire.end(Close(1000))
            assert await closed(wire) == Close(4000, "bye")

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_this_end_closes_and_waits_for_the_answer(loop: str) -> None:
    async def main() -> None:
        async with connected() as (wire, peer):
            peer.send(frame(1, b"unread"))
            await wire.push(Piece("a"))
            closing = asyncio.create_task(wire.close(4001, "why"))
            assert await peer.frame() == (0x81, b"a")
            assert await peer.frame() == (0x88, struct.pack("!H", 4001) + b"why")
            with pytest.raises(WebSocketClosed):
                await wire.send("too late")
            assert not closing.done()
            peer.send(frame(1, b"dropped"), frame(9, b"?"), frame(8, struct.pack("!H", 4001)))
            await closing
            assert await closed(wire) == Close(4001)
            assert await peer.rest() == b""

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_the_connection_is_lost(loop: str) -> None:
    async def main() -> None:
        async with connected() as (wire, peer):
            pulling = asyncio.create_task(closed(wire))
            await asyncio.sleep(0)
            peer.writer.close()
            assert await pulling == Close(1006, "", clean=False)
            with pytest.raises(WebSocketClosed):
                await wire.send("nobody")

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_peer_that_breaks_the_protocol_hears_why(loop: str) -> None:
    async def main() -> None:
        async with connected() as (wire, peer):
            # What it goes on to send must not reset the connection before it has read the reason.
            peer.send(frame(1, b"\xff"), frame(2, b"x" * 1_000_000))
            close = await closed(wire)
            assert (close.code, close.clean) == (1007, False)
            assert await peer.frame() == (0x88, b"\x03\xef")
            assert await peer.rest() == b""

    run(main, loop)


def test_a_close_that_is_not_clean_waits_for_nothing() -> None:
    async def main() -> None:
        async with connected() as (wire, peer):
            wire.end(Close(1009, "too big", clean=False))
            assert await closed(wire) == Close(1009, "too big", clean=False)
            peer.send(frame(2, b"x" * 1_000_000))
            assert await peer.frame() == (0x88, b"\x03\xf1too big")

    run(main)


# time ----------------------------------------------------------------------------------------------------------------


def test_a_silent_peer_is_pinged_and_one_that_answers_stays() -> None:
    async def main() -> None:
        async with connected() as (wire, peer):
            wire._look()  # it has just come
            for _ in range(3):
                wire._look()
                assert await peer.frame() == (0x89, b"")
                peer.send(frame(10), frame(1, b"here"))
                assert await wire.receive() == "here"
                wire._look()

    run(main)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_peer_that_answers_no_ping_is_given_up(loop: str) -> None:
    async def main() -> None:
        async with connected(WireOptions(ping_interval=0.05)) as (wire, peer):
            assert await closed(wire) == Close(1006, "", clean=False)
            assert await peer.frame() == (0x89, b"")

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_peer_that_answers_no_close_is_given_up(loop: str) -> None:
    async def main() -> None:
        async with connected(WireOptions(close_timeout=0.05)) as (wire, _):
            await wire.close(1000)
            assert await closed(wire) == Close(1006, "", clean=False)
            await wire.lost()

    run(main, loop)


def test_a_peer_that_reads_nothing_is_given_up_even_if_it_sends() -> None:
    async def main() -> None:
        async with connected(small=True) as (wire, peer):
            sending = asyncio.create_task(send_all(wire, 1000))
            while wire._writable is None:
                await asyncio.sleep(0)
            for _ in range(3):
                assert not sending.done()
                peer.send(frame(1, b"here"))
                assert await wire.receive() == "here"
                wire._look()
            with pytest.raises(WebSocketClosed, match="1006"):
                await sending

    run(main)


def test_a_peer_that_reads_slowly_stays() -> None:
    async def main() -> None:
        async with connected(small=True) as (wire, peer):
            sending = asyncio.create_task(send_all(wire, 1000))
            while wire._writable is None:
                await asyncio.sleep(0)
            for _ in range(10):
                wire._look()
                while 0 < wire._unsent <= wire._transport.get_write_buffer_size():
                    await peer.frame()
            assert not sending.done()
            sending.cancel()

    run(main)


def test_one_task_receives_at_a_time() -> None:
    async def main() -> None:
        async with connected() as (wire, _):
            pulling = asyncio.create_task(wire.pull())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="two tasks"):
                await wire.pull()
            pulling.cancel()

    run(main)
