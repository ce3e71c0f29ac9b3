"""Both ends of a control channel, over real sockets."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import pytest
from pyworkerd.supervisor import channel as module
from pyworkerd.supervisor.channel import Channel
from pyworkerd.supervisor.messages import Answer, Ask, BoundSocket, ControlError, Hurry, Prepare, Progress

from tests.runtime.server.client import run

LOOPS = ["asyncio", "uvloop"]


class End:
    """One end, and what it heard."""

    def __init__(self, end: socket.socket, *, supervisor: bool) -> None:
        self.heard: asyncio.Queue[Any] = asyncio.Queue()
        self.channel = Channel(
            end, supervisor=supervisor, received=self.heard.put_nowait, ended=self.heard.put_nowait
        )


def ends() -> tuple[End, End]:
    ours, theirs = socket.socketpair()
    return End(ours, supervisor=True), End(theirs, supervisor=False)


@pytest.mark.parametrize("loop", LOOPS)
def test_both_ways_and_the_end(loop: str) -> None:
    async def main() -> None:
        ours, theirs = ends()
        large = Answer(7, b"x" * 5_000_000)  # more than the socket holds
        assert ours.channel.send(Hurry())
        assert theirs.channel.send(Progress("one"))
        assert theirs.channel.send(large)
        assert await theirs.heard.get() == Hurry()
        assert [await ours.heard.get(), await ours.heard.get()] == [Progress("one"), large]
        await theirs.channel.flush()
        theirs.channel.close()
        theirs.channel.close()
        assert await ours.heard.get() is None
        assert not ours.channel.send(Hurry())
        assert not theirs.channel.send(Progress("late"))
        assert ours.heard.empty()
        assert theirs.heard.empty()

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_descriptors_come_along_in_their_order(loop: str) -> None:
    async def main() -> None:
        ours, theirs = ends()
        pipes = [os.pipe() for _ in range(3)]
        blocks = Ask(1, "x", b"x" * 2_000_000)  # what comes behind has to wait
        ours.channel.send(blocks)
        for number, (_, writing) in enumerate(pipes):
            assert ours.channel.send(Prepare(number, (BoundSocket("s", "a", 1),)), [writing])
            os.close(writing)
        assert await theirs.heard.get() == blocks
        for number, (reading, _) in enumerate(pipes):
            assert (await theirs.heard.get()).generation == number
            got = theirs.channel.descriptors.popleft()
            assert not os.get_inheritable(got)
            os.write(got, b"%d" % number)
            os.close(got)
            assert os.read(reading, 10) == b"%d" % number
            assert os.read(reading, 10) == b""  # nobody else has it any more
            os.close(reading)
        ours.channel.close()
        theirs.channel.close()

    run(main, loop)


def test_descriptors_that_nobody_takes_are_closed() -> None:
    async def main() -> None:
        ours, theirs = ends()
        reading, writing = os.pipe()
        ours.channel.send(Prepare(1, ()), [writing])
        os.close(writing)
        await theirs.heard.get()
        theirs.channel.close()
        assert os.read(reading, 1) == b""
        os.close(reading)
        ours.channel.close()

    run(main)


def test_a_process_cannot_hand_descriptors_to_the_supervisor() -> None:
    async def main() -> None:
        ours, theirs = ends()
        reading, writing = os.pipe()
        theirs.channel.send(Progress("take this"), [writing])
        os.close(writing)
        assert await ours.heard.get() == Progress("take this")
        assert os.read(reading, 1) == b""
        assert not ours.channel.descriptors
        os.close(reading)
        ours.channel.close()
        theirs.channel.close()

    run(main)


def test_whoever_breaks_the_protocol_is_cut_off() -> None:
    async def main() -> None:
        end, other = socket.socketpair()
        ours = End(end, supervisor=True)
        other.sendall(b"\x00\x00\x00\x01\xc0" * 3)
        assert isinstance(await ours.heard.get(), ControlError)
        assert other.recv(1) == b""
        assert ours.heard.empty()
        other.close()

    run(main)


def test_what_nobody_takes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_BYTES", 1_000_000)

    async def main() -> None:
        ours, theirs = ends()
        theirs.channel._loop.remove_reader(theirs.channel._socket)  # it has stopped reading
        reading, writing = os.pipe()
        sent = 0
        while ours.channel.send(Ask(sent, "x", b"x" * 100_000), [writing]):
            sent += 1
        assert 10 <= sent < 30
        os.close(writing)
        ours.channel.close()  # and what waited is let go of
        await ours.channel.flush()
        theirs.channel.close()
        assert os.read(reading, 1) == b""
        os.close(reading)

    run(main)
