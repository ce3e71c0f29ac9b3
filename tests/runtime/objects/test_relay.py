"""What is lent between two processes: callbacks into the other one, objects of it, and the end of either."""

from __future__ import annotations

import asyncio
import socket
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd import Limits
from pyworkerd.errors import PyworkerdError
from pyworkerd.objects import peers
from pyworkerd.objects.relay import Relay
from pyworkerd.observe.scope import begin
from pyworkerd.services.stubs import Carried, release

from tests.runtime.objects.other_process import ROOM, SOURCE, opened
from tests.runtime.objects.test_peers import another

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from pyworkerd.loaded import LoadedWorker

    from tests.runtime.objects.test_peers import Other


def run(folder: Path, test: Callable[[LoadedWorker, Other], Awaitable[None]]) -> None:
    async def main(other: Other) -> None:
        async with opened(folder) as runtime:
            worker = await runtime.load(SOURCE, name="shop", bindings=ROOM, limits=Limits(cpu_ms=5000))
            assert await other.does("on", "a", "add") == 1  # it has this one
            await test(worker, other)
            await worker.service.quiet()
            lives: list[Any] = list(worker.service._members.values())
            assert [(live.stubs._lent, live.stubs._held) for live in lives] == [({}, {})] * len(lives)

    with another(folder) as other:
        asyncio.run(main(other))


def test_a_callback_is_called_from_the_other_process(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, _: Other) -> None:
        assert await worker.call("maps", "a", [1, 2]) == [[10, 20], [1, 2]]
        told: list[int] = []
        with pytest.raises(PyworkerdError, match="as it was told"):
            await worker.call("on", "a", "each", [1], _fails)
        assert await worker.call("on", "a", "each", [3], told.append) == [None]
        assert told == [3]

    run(tmp_path, test)


def _fails(_: int) -> None:
    raise KeyError("as it was told")


def test_an_object_of_the_other_process_is_held(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, _: Other) -> None:
        assert await worker.call("counts", "a") == [1, 6, 6, "no_method"]
        with await worker.call("on", "a", "counter") as counter, await counter.call("twin") as twin:
            assert (await counter.call("add"), await twin.call("add", 4)) == (1, 5)
            assert await counter.call("back", lambda value: value * 2) == 10
            with pytest.raises(PyworkerdError) as refused:
                await counter.call("_value")
            assert refused.value.code == "no_method"
        # Handed to another object over there, and back.
        with await worker.call("on", "a", "echo", lambda: "home") as echoed:
            assert await echoed() == "home"

    run(tmp_path, test)


def test_connections_that_stay_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "LENDING", 2)

    async def test(worker: LoadedWorker, _: Other) -> None:
        counters = [await worker.call("on", "a", "counter") for _ in range(2)]
        for arguments in (["counter"], ["echo", len]):
            with pytest.raises(PyworkerdError, match="connections to other processes"):
                await worker.call("on", "a", *arguments)
        assert await worker.call("on", "a", "add") == 2
        counters.pop().close()
        async with asyncio.timeout(20):
            while True:
                try:
                    counters.append(await worker.call("on", "a", "counter"))
                    break
                except PyworkerdError:
                    await asyncio.sleep(0.01)
        for counter in counters:
            assert await counter.call("add") == 1
            counter.close()

    run(tmp_path, test)


def test_the_other_process_dies(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, other: Other) -> None:
        counter = await worker.call("on", "a", "counter")
        assert await counter.call("add") == 1
        waiting = asyncio.create_task(counter.call("slow"))
        await asyncio.sleep(0.05)
        other.kill()
        for asked in (waiting, counter.call("add")):
            with pytest.raises(PyworkerdError) as gone:
                await asked
            assert gone.value.code == "broken_stub"
        counter.close()

    run(tmp_path, test)


def test_who_asked_goes_away(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, _: Other) -> None:
        ended = asyncio.Event()
        begun = asyncio.Event()

        async def forever(_: int) -> None:
            begun.set()
            try:
                await asyncio.sleep(3600)
            finally:
                ended.set()

        asking = asyncio.create_task(worker.call("on", "a", "each", [1], forever))
        await begun.wait()
        asking.cancel()
        await ended.wait()
        counter = await worker.call("on", "a", "counter")
        slow = asyncio.create_task(counter.call("slow"))
        await asyncio.sleep(0.02)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert await counter.call("add") == 1
        counter.close()

    run(tmp_path, test)


def test_what_is_to_be_lent_when_the_connection_has_ended_is_held_by_nobody() -> None:
    async def main() -> None:
        here, there = [Relay(*await asyncio.open_connection(sock=each)) for each in socket.socketpair()]
        value = there.borrow(b"x", [None, [5]])
        here.end()
        assert here.lend(value) == []
        release(value)
        await asyncio.sleep(0)
        assert not there.needed
        there.end()

    asyncio.run(main())


def test_a_connection_ends_with_the_last_that_is_across() -> None:
    """Also where that is a call that nobody waits for any more, of a stub that was let go before."""

    async def main() -> None:
        pair = socket.socketpair()
        answered: list[object] = []
        reader, writer = await asyncio.open_connection(sock=pair[0])
        here = Relay(reader, writer, lambda *outcome: answered.append(outcome))
        value = here.borrow(b"x", [None])
        assert isinstance(value, Carried)
        assert here.settled()
        span, context = begin()[0], copy_context()
        asked = value.stubs[0].ask("slow", False, b"", span, context, lambda *_: None)
        release(value)
        assert not writer.is_closing()
        asked.cancel()
        assert writer.is_closing()
        pair[1].close()

    asyncio.run(main())
