"""Streams between two processes: both ways, through both and back, closed early, and to the end of either."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import PyworkerdError
from pyworkerd.messages import Body
from pyworkerd.objects.flows import Received

from tests.runtime.objects.test_relay import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pyworkerd.loaded import LoadedWorker
    from pyworkerd.services.base import Pending

    from tests.runtime.objects.test_peers import Other


def test_bodies_stream_both_ways(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, other: Other) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(20):
                yield bytes(500_000)

        assert await worker.call("on", "a", "counts", Body(chunks=chunks())) == 10**7
        body = await worker.call("on", "a", "gives", 150)
        assert len(await body.read()) == 150 * 65536
        endless = await worker.call("on", "a", "gives", 10**6)
        pieces = aiter(endless)
        assert len(await anext(pieces)) > 0
        await endless.aclose()
        await pieces.aclose()
        # Through both processes and back, unread by the one in the middle.
        echoed = await worker.call("on", "a", "echo", await worker.call("on", "a", "gives", 3))
        assert len(await echoed.read()) == 3 * 65536
        assert await worker.call("written", "a", 20) == [20 * 65536, "closed"]
        assert await worker.call("passed_on", "a", 2, 20) == [2 * 65536, "closed"]
        endless = await worker.call("on", "a", "gives", 10**6)
        other.kill()
        with pytest.raises(PyworkerdError, match="before this body was complete"):
            await endless.read()

    run(tmp_path, test)


def test_a_programs_own_failure_is_told_to_the_program_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(worker: LoadedWorker, _: Other) -> None:
        async def fails() -> AsyncIterator[bytes]:
            yield b"one"
            raise ValueError("as it was told")

        with pytest.raises(PyworkerdError, match="broke off"):
            await worker.call("on", "a", "counts", Body(chunks=fails()))
        assert "as it was told" in caplog.text

    run(tmp_path, test)


class _Silent:
    """Lends a stream that never comes."""

    def __init__(self) -> None:
        self.holders = 0

    def take(self) -> None:
        self.holders += 1

    def give_back(self) -> None:
        self.holders -= 1

    def ask(self, *_: object) -> Pending:
        return asyncio.get_running_loop().create_future()  # type: ignore[return-value]  # done() and cancel()


def test_who_reads_a_body_that_is_closed_is_told() -> None:
    async def main() -> None:
        lender = _Silent()
        body = Body(chunks=Received(lender))
        reading = asyncio.create_task(body.read())
        await asyncio.sleep(0)
        await body.aclose()
        with pytest.raises(PyworkerdError, match="this body was closed"):
            await reading
        assert lender.holders == 0

    asyncio.run(main())
