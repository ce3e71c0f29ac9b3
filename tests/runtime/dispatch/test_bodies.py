"""The bodies of one isolate: numbers are looked up, and everything ends with its invocation."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.dispatch.bodies import Bodies
from pyworkerd.dispatch.budget import Budget
from pyworkerd.dispatch.crowd import CROWD
from pyworkerd.dispatch.invocation import CallWork, Invocation
from pyworkerd.errors import BadEffect, IsolateLost, UpstreamError
from pyworkerd.messages import Body
from pyworkerd.observe.scope import begin
from pyworkerd.services.base import DEFAULT
from pyworkerd_isolates import wire
from pyworkerd_isolates.protocol import WINDOW, Broken, Data, Events, HandedOn, Pull, Stop, StreamRef

from tests.runtime.dispatch.door import Door

if TYPE_CHECKING:
    from collections.abc import Callable


class Source:
    """Gives what it has, then waits for ever."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = list(chunks)
        self.closed = 0

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> bytes:
        if not self.chunks:
            await asyncio.Event().wait()
        return self.chunks.pop(0)

    async def aclose(self) -> None:
        self.closed += 1


def new() -> tuple[Bodies, Door, Invocation]:
    door = Door()
    answer: Any = door.loop.create_future()
    invocation = Invocation(
        1,
        CallWork("x", b"", DEFAULT),
        answer,
        0.0,
        Budget(50.0, 300_000),
        50,
        1000,
        copy_context(),
        begin()[0],
    )
    return Bodies(door), door, invocation


def test_small_bodies_come_in_hand() -> None:
    async def main() -> None:
        bodies, _, owner = new()
        assert bodies.inbound(Body(), owner) is None
        assert bodies.inbound(Body(b"x"), owner) == b"x"
        assert bodies.inbound(Body(b"x" * WINDOW), owner) == b"x" * WINDOW
        assert bodies.inbound(Body(b"x" * (WINDOW + 1)), owner) == StreamRef(1, WINDOW + 1)
        assert len(bodies) == 1
        bodies.end()

    asyncio.run(main())


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("how", ["stop", "release", "end"])
def test_whoever_stops_closes_the_source(how: str, begun: bool) -> None:
    async def main() -> None:
        bodies, door, owner = new()
        source = Source(b"x")
        assert bodies.inbound(Body(chunks=source), owner) == StreamRef(1, None)
        if begun:
            bodies.pull(Pull(1, 10))
            await asyncio.sleep(0)
        {
            "stop": lambda: bodies.stop(Stop(1)),
            "release": lambda: bodies.release(owner),
            "end": bodies.end,
        }[how]()
        await door.rest()
        assert source.closed >= 1
        assert (len(bodies), owner.held) == (0, set())

    asyncio.run(main())


def test_a_source_whose_task_never_began_is_closed() -> None:
    async def main() -> None:
        bodies, door, owner = new()
        source = Source(b"x")
        bodies.inbound(Body(chunks=source), owner)
        bodies.pull(Pull(1, 10))
        bodies.stop(Stop(1))
        await door.rest()
        assert source.closed == 1

    asyncio.run(main())


def test_no_more_is_sent_than_there_is_credit_for() -> None:
    async def main() -> None:
        bodies, door, owner = new()
        bodies.inbound(Body(chunks=Source(b"abcdef", b"ghi")), owner)
        bodies.pull(Pull(1, 4))
        for _ in range(5):
            await asyncio.sleep(0)
        _, blobs = wire.decode(door.events.frame())
        assert b"".join(bytes(blob) for blob in blobs) == b"abcd"
        bodies.pull(Pull(1, 100))
        for _ in range(5):
            await asyncio.sleep(0)
        _, blobs = wire.decode(door.events.frame())
        assert b"".join(bytes(blob) for blob in blobs) == b"abcdefghi"
        with pytest.raises(BadEffect):
            bodies.pull(Pull(1, WINDOW))
        bodies.release(owner)
        await door.rest()

    asyncio.run(main())


def test_a_body_is_handed_on_once_and_unread() -> None:
    async def main() -> None:
        bodies, door, owner = new()
        first, second = Body(chunks=Source(b"x")), Body(chunks=Source(b"x"))
        bodies.inbound(first, owner)
        bodies.inbound(second, owner)
        assert bodies.outbound(HandedOn(1), owner) is first
        with pytest.raises(UpstreamError, match="handed on already"):
            await bodies.outbound(HandedOn(1), owner).read()
        bodies.pull(Pull(2, 1))
        with pytest.raises(BadEffect, match="begun to read"):
            bodies.outbound(HandedOn(2), owner)
        with pytest.raises(BadEffect, match="not given"):
            bodies.outbound(HandedOn(3), owner)
        bodies.release(owner)
        await door.rest()

    asyncio.run(main())


def test_a_body_that_the_host_has_ended_is_broken_for_its_reader_and_costs_no_isolate() -> None:
    async def main() -> None:
        bodies, door, owner = new()
        source = Source(b"x")
        bodies.inbound(Body(chunks=source), owner)
        bodies.release(owner)  # its client has gone, while the guest was about to hand the body on
        with pytest.raises(UpstreamError, match="has ended"):
            await bodies.outbound(HandedOn(1), owner).read()
        await door.rest()
        assert source.closed

    asyncio.run(main())


def test_what_goes_out() -> None:
    async def main() -> None:
        bodies, door, owner = new()
        assert bodies.outbound(None, owner).data == b""
        assert bodies.outbound(b"x", owner).data == b"x"
        streamed = bodies.outbound(StreamRef(9, 5), owner)
        assert (streamed.data, streamed.length) == (None, 5)
        with pytest.raises(BadEffect):
            bodies.outbound(StreamRef(9, None), owner)
        bodies.data(Data(9, b"hel", False))
        bodies.data(Data(9, b"lo", True))
        bodies.data(Data(9, b"more", False))
        bodies.data(Data(4711, b"never asked", False))
        assert await streamed.read() == b"hello"
        assert (len(bodies), owner.held, door.told()) == (0, set(), [])

    asyncio.run(main())


def test_more_than_the_window_ends_the_isolate() -> None:
    async def main() -> None:
        bodies, _, owner = new()
        body = bodies.outbound(StreamRef(9, None), owner)
        bodies.data(Data(9, b"x" * WINDOW, False))
        with pytest.raises(BadEffect):
            bodies.data(Data(9, b"x", False))
        await body.aclose()

    asyncio.run(main())


def test_what_breaks_off_is_an_error_for_its_reader() -> None:
    async def main() -> None:
        bodies, door, owner = new()
        broken, left, cut = (bodies.outbound(StreamRef(number, None), owner) for number in (1, 2, 3))
        bodies.data(Data(1, b"begun", False))
        bodies.broken(Broken(1, "no more"))
        bodies.release(owner)
        for body in (broken, left, cut):
            with pytest.raises(UpstreamError):
                await body.read()
        assert door.told() == []
        late = bodies.outbound(StreamRef(4, None), owner)
        bodies.break_off(owner, IsolateLost("over"))
        with pytest.raises(IsolateLost):
            await late.read()
        assert door.told() == [["stop", 4]]

    asyncio.run(main())


def test_what_is_discarded_is_stopped() -> None:
    async def main() -> None:
        bodies, door, owner = new()
        source = Source(b"x")
        bodies.inbound(Body(chunks=source), owner)
        for ref in (None, b"x", StreamRef(5, None), HandedOn(1), HandedOn(4711)):
            bodies.discard(ref)
        await door.rest()
        assert (door.told(), source.closed) == ([["stop", 5]], 1)

    asyncio.run(main())


def test_many_small_pieces_are_told_in_few() -> None:
    """The guest pays for each event: whoever sends it a body byte by byte must not make it pay for each byte."""

    async def main() -> None:
        bodies, door, owner = new()
        bodies.inbound(Body(chunks=Source(*[b"x"] * 3000)), owner)
        bodies.pull(Pull(1, WINDOW))
        sent: list[Callable[[Events], None]] = []
        door.send = lambda _, event: sent.append(event)  # type: ignore[method-assign]
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(sent) == 1
        sent[0](door.events)
        assert [event[0] for event in door.told()] == ["data"]
        bodies.release(owner)
        await door.rest()

    asyncio.run(main())


def test_bodies_that_come_in_wait_outside_when_there_is_a_crowd() -> None:
    async def main() -> None:
        bodies, door, owner = new()
        sources = [Source(*[b"x" * 65_536] * 4) for _ in range(12)]
        for number, source in enumerate(sources, 1):
            bodies.inbound(Body(chunks=source), owner)
            bodies.pull(Pull(number, WINDOW))
        for _ in range(10):
            await asyncio.sleep(0)
        waiting = sum(4 - len(source.chunks) for source in sources)
        assert CROWD // 65_536 <= waiting < CROWD // 65_536 + len(sources)
        door.crowd.leaves([owner.id])
        for _ in range(10):
            await asyncio.sleep(0)
        assert sum(len(source.chunks) for source in sources) == 0
        bodies.release(owner)
        door.crowd.disperse()
        await door.rest()

    asyncio.run(main())


def test_what_is_held_and_what_may_come_is_counted_until_it_is_read() -> None:
    async def main() -> None:
        bodies, door, owner = new()
        answer = bodies.outbound(StreamRef(1, None), owner)
        upload = bodies.outbound(StreamRef(2, None), owner, upload=True)
        unread = bodies.outbound(StreamRef(3, None), owner, upload=True)
        assert (door.room.held, door.room.promised) == (0, 2 * WINDOW)
        for number in (1, 2, 3):
            bodies.data(Data(number, b"x" * 1000, False))
            bodies.data(Data(number, b"x" * 9000, True))
        assert (door.room.held, door.room.promised) == (30_000, 20_000)
        assert len(await answer.read()) == 10_000
        assert (door.room.held, door.room.promised) == (20_000, 20_000)
        chunks = aiter(upload)
        await anext(chunks)
        assert (door.room.held, door.room.promised) == (19_000, 19_000)
        await upload.aclose()
        assert (door.room.held, door.room.promised) == (10_000, 10_000)
        del unread
        await asyncio.sleep(0)
        assert (door.room.held, door.room.promised) == (0, 0)

    asyncio.run(main())


def test_a_byte_is_not_worth_an_object() -> None:
    async def main() -> None:
        bodies, _, owner = new()
        body = bodies.outbound(StreamRef(1, None), owner)
        for _ in range(10_000):
            bodies.data(Data(1, b"x", False))
        bodies.data(Data(1, b"y" * 5000, True))
        assert [len(chunk) async for chunk in body] == [4096, 4096, 1808, 5000]

    asyncio.run(main())


def test_an_error_is_not_held_by_the_body_that_raised_it() -> None:
    async def main() -> None:
        bodies, _, owner = new()
        body = bodies.outbound(StreamRef(1, None), owner)
        bodies.break_off(owner, IsolateLost("over"))
        for kind in (IsolateLost, UpstreamError, UpstreamError):
            with pytest.raises(kind):
                await body.read()

    asyncio.run(main())
