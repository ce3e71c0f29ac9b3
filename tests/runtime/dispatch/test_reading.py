"""Arguments that take long are read on a thread, paid for by who sent them, and then their capability is asked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pyworkerd.bindings.arguments import LONG, Read, decode
from pyworkerd_isolates import wire
from pyworkerd_isolates.protocol import Abandon

from tests.runtime.dispatch.test_calls import AskedCapability, Capability, call, new
from tests.runtime.dispatch.test_computing import Worker

LARGE = wire.dump_value([["x" * LONG], {}])


def reading(kind: type[Capability]) -> Any:
    class Reads(kind):  # type: ignore[misc, valid-type]
        reads = True

        async def call(self, method: str, arguments: bytes) -> bytes:
            await super().call(method, arguments)
            (text,), _ = decode(arguments)
            return wire.dump_value([type(arguments) is Read, len(text)])

    return Reads()


@pytest.mark.parametrize("kind", [Capability, AskedCapability])
@pytest.mark.parametrize(("size", "apart"), [(100, False), (LONG, True)])
def test_only_long_arguments_are_read_apart(kind: type[Capability], size: int, apart: bool) -> None:
    async def main() -> None:
        capability = reading(kind)
        capability.gate.set()
        door = Worker(capability)
        calls, _, asked = new(door)
        arguments = wire.dump_value([["x" * size], {}])
        calls.begin(call(7)._replace(arguments=arguments), asked)
        await door.rest()
        _, blobs = wire.decode(door.events.frame())
        assert wire.load_value(bytes(blobs[0])) == [apart, size]
        assert (len(door.costs), asked.cpu_left_ms < 50.0) == (apart, apart)
        assert (len(calls), asked.held, door.room.promised, calls.stale) == (0, set(), 0, True)

    asyncio.run(main())


def test_what_cannot_be_read_is_an_answer_and_asks_nobody() -> None:
    async def main() -> None:
        capability = reading(AskedCapability)
        door = Worker(capability)
        calls, _, asked = new(door)
        calls.begin(call(7)._replace(arguments=wire.alone("[" * LONG)), asked)
        await door.rest()
        ((kind, number, *_, said, type_name),) = door.told()
        assert (kind, number, type_name, len(calls), asked.held) == ("reject", 7, None, 0, set())
        assert "cannot be read" in said

    asyncio.run(main())


def test_one_whose_number_is_used_again_before_it_is_cancelled() -> None:
    async def main() -> None:
        capability = reading(AskedCapability)
        capability.gate.set()
        door = Worker(capability)
        jobs: list[Any] = []
        late: list[Any] = []
        door.compute = lambda job, asked, cost_ms: jobs.append(job)  # type: ignore[method-assign, assignment]
        door.clear = late.append
        calls, _, asked = new(door)
        calls.begin(call(7)._replace(arguments=LARGE), asked)
        calls.abandon(Abandon(7))
        calls.begin(call(7)._replace(arguments=wire.dump_value([["y"], {}])), asked)
        jobs[0].go_on(4.0)
        jobs[0].over()
        late[0]()
        await door.rest()
        _, blobs = wire.decode(door.events.frame())
        assert [wire.load_value(bytes(each)) for each in blobs] == [[False, 1]]
        assert (len(calls), asked.held, door.room.promised) == (0, set(), 0)

    asyncio.run(main())


def test_what_the_cpu_time_does_not_last_for_is_not_read() -> None:
    async def main() -> None:
        capability = reading(AskedCapability)
        capability.gate.set()
        door = Worker(capability)
        jobs: list[Any] = []
        door.compute = lambda job, asked, cost_ms: jobs.append(job)  # type: ignore[method-assign, assignment]
        calls, _, asked = new(door)
        asked.cpu_left_ms = 1e-6
        for number in (7, 8):
            calls.begin(call(number)._replace(arguments=LARGE), asked)
        for job in jobs:
            job.go_on(4.0)
            job.over()
        await door.rest()
        assert sorted(each[:3] for each in door.told()) == [
            ["reject", 8, "exceeded_cpu"],
            ["resolve", 7, "value"],
        ]
        assert (len(calls), asked.held, door.room.promised) == (0, set(), 0)

    asyncio.run(main())


@pytest.mark.parametrize("read", [False, True])
def test_one_that_is_abandoned_meanwhile_asks_nobody(read: bool) -> None:
    async def main() -> None:
        capability = reading(AskedCapability)
        door = Worker(capability)
        jobs: list[Any] = []
        door.compute = lambda job, asked, cost_ms: jobs.append(job)  # type: ignore[method-assign, assignment]
        calls, _, asked = new(door)
        calls.begin(call(7)._replace(arguments=LARGE), asked)
        if read:
            jobs[0].go_on(4.0)
        calls.abandon(Abandon(7))
        await door.rest()
        jobs[0].go_on(4.0)
        jobs[0].over()
        assert (door.told(), len(calls), asked.held, door.room.promised) == ([], 0, set(), 0)

    asyncio.run(main())
