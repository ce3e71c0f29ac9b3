"""Guests that forge streams of calls, send more than was asked for, never read, never end, or end in the middle."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pyworkerd import Limits
from pyworkerd_isolates.protocol import WINDOW

from tests.hostile.test_stubs import IN_PYTHON, code_of, run

if TYPE_CHECKING:
    from pyworkerd.loaded import LoadedWorker
    from pyworkerd.runtime import Runtime

SOURCE = {
    "guest.py": IN_PYTHON["guest.py"]
    + """

async def for_ever():
    while True:
        yield bytes(65536)


async def handed_on(stream):
    async for piece in stream:
        yield piece


class Streams(WorkerEntrypoint):
    async def endless(self, count=1):
        return [Response(for_ever()).body for _ in range(count)]

    async def through(self, streams):
        return Response(handed_on(streams[0])).body

    async def sleeps(self, *_):
        await asyncio.sleep(3600)
"""
}
SOURCE["guest.py"] = SOURCE["guest.py"].replace("import DurableObject,", "import DurableObject, Response,")
FORGED = {
    "a body that it was not given": "effect('return', current().number, [0, [['p', 7]]], blobs=[b'x'])",
    "one number for two bodies": (
        "effect('return', current().number, [0, [['s', 7, None], ['s', 7, None]]], blobs=[b'x'])"
    ),
    "bytes for a body": "effect('return', current().number, [0, [['b', 0]]], blobs=[b'x'])",
    "a body without a number": "effect('return', current().number, [0, [['s', None, None]]], blobs=[b'x'])",
    "a body with too much": "effect('return', current().number, [0, [['s', 7, None, 1]]], blobs=[b'x'])",
    "a body that it has begun to read": (
        "body = (await S.endless())[0]\nawait body.read(1)\n"
        "effect('return', current().number, [0, [['p', body._source._number]]], blobs=[b'x'])"
    ),
    "a body handed on twice": (
        "number = (await S.endless())[0]._source._number\n"
        "effect('return', current().number, [0, [['p', number], ['p', number]]], blobs=[b'x'])"
    ),
    "more than the window": (
        "effect('call', 9, current().number, S._index, 'sleeps', [0, [['s', 7, None]]], blobs=[value('[]')])\n"
        "for _ in range(5):\n    effect('data', 7, outbox.blob(bytes(65536)), False)"
    ),
    "more credit than the window": (
        "body = (await S.endless())[0]\nfor _ in range(2):\n    effect('pull', body._source._number, 262144)"
    ),
}


@pytest.mark.parametrize("case", FORGED)
def test_what_was_never_agreed_ends_the_isolate_that_does_it(case: str, sandbox: object) -> None:
    async def main(runtime: Runtime) -> None:
        sender, guest = await pair(runtime)
        assert await code_of(guest.call("run", FORGED[case])) == "bad_effect"
        assert await guest.call("run", "return len(await (await S.endless())[0].read(5))") == 5
        await at_rest(sender, guest)

    run(main)


async def pair(runtime: Runtime, **limits: int) -> tuple[LoadedWorker, LoadedWorker]:
    sender = await runtime.load(SOURCE, limits=Limits(isolates=1, cpu_ms=2000, **limits))
    bound = sender.entrypoint("Streams")
    guest = await runtime.load(
        SOURCE, bindings={"S": bound}, limits=Limits(isolates=1, cpu_ms=2000, **limits)
    )
    return sender, guest


async def at_rest(*workers: LoadedWorker) -> None:
    """Nothing is left of any stream."""
    await asyncio.gather(*(worker.service.quiet() for worker in workers))
    for worker in workers:
        for live in worker.service._members.values():
            assert (len(live.bodies), live.room.promised, live.room.held) == (0, 0, 0)


def test_streams_that_nobody_reads_hold_a_window_each_and_end_with_their_reader(sandbox: object) -> None:
    async def main(runtime: Runtime) -> None:
        sender, guest = await pair(runtime)
        reading = asyncio.create_task(
            guest.call("run", "KEPT.append(await S.endless(100))\nprint('there')\nawait asyncio.sleep(3600)")
        )
        while not guest.logs:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        (live,) = sender.service._members.values()
        assert 0 < live.room.held <= 100 * WINDOW
        assert await code_of(sender.entrypoint("Streams").call("endless", 29)) == "exceeded_stubs"
        reading.cancel()
        await at_rest(sender, guest)

    run(main)


def test_nobody_is_given_more_than_it_may_hold(sandbox: object) -> None:
    async def main(runtime: Runtime) -> None:
        senders = [await runtime.load(SOURCE, limits=Limits(isolates=1, cpu_ms=2000)) for _ in range(3)]
        bound = {f"S{number}": each.entrypoint("Streams") for number, each in enumerate(senders)}
        guest = await runtime.load(SOURCE, bindings=bound, limits=Limits(cpu_ms=2000))
        code = (
            "KEPT.append([await env.S0.endless(100), await env.S1.endless(100)])\n"
            "return (await outcome(env.S2.endless(100)))[1]"
        )
        assert "more stubs or streams" in await guest.call("run", code)
        await at_rest(*senders, guest)

    run(main)


def test_streams_of_each_other_end_with_the_wall_time(sandbox: object) -> None:
    async def main(runtime: Runtime) -> None:
        sender, guest = await pair(runtime, wall_ms=500)
        code = "own = [Response(for_ever()).body]\nKEPT.append(await S.through(own))\nreturn 'answered'"
        # On a machine that is busy it may take so long to begin.
        assert await code_of(guest.call("run", code)) in ("answered", "exceeded_wall_time")
        async with asyncio.timeout(20):
            await at_rest(sender, guest)

    run(main)


def test_an_isolate_that_ends_in_the_middle(sandbox: object) -> None:
    async def main(runtime: Runtime) -> None:
        sender, guest = await pair(runtime)
        code = (
            "stream = (await S.endless())[0]\nfirst = await stream.read(5)\nprint('there')\n"
            "try:\n    async for _ in stream:\n        pass\nexcept OSError as error:\n    return str(error)"
        )
        reading = asyncio.create_task(guest.call("run", code))
        while not guest.logs:
            await asyncio.sleep(0.005)
        for live in tuple(sender.service._members.values()):
            live.end()
        assert "ended before this body was complete" in await reading
        await at_rest(sender, guest)

    run(main)
