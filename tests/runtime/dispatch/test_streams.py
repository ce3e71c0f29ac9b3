"""Bodies through a worker: large ones in small memory, slow readers, early ends, dead isolates."""

from __future__ import annotations

import asyncio
import gc
import os
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from pyworkerd.errors import BadEffect, ExceededCpu, IsolateLost, PyworkerdError, UpstreamError
from pyworkerd_config.model import Limits
from pyworkerd_isolates.protocol import CHUNK, WINDOW

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pyworkerd.runtime import Runtime

MIB = 1024 * 1024
SOURCE = {
    "worker.py": """
import asyncio
from _pyworkerd import outbox
from workers import Response, WorkerEntrypoint

sent = 0
stopped = False

async def counted():
    global sent, stopped
    try:
        while True:
            yield b"y" * 65536
            sent += 65536
    finally:
        stopped = True

async def flipped(body):
    async for chunk in body:
        yield bytes(chunk).translate(FLIP)

FLIP = bytes(255 - i for i in range(256))

class Default(WorkerEntrypoint):
    async def fetch(self, request, env, ctx):
        path = request.url.split("worker", 1)[1]
        return await getattr(self, path[1:])(request, env)

    async def flip(self, request, env):
        return Response(flipped(request.body))

    async def lines(self, request, env):
        async def numbered():
            for number in range(40_000):
                yield b"%8d\\n" % number
        return Response(numbered())

    async def hand_on(self, request, env):
        return Response(request.body)

    async def endless(self, request, env):
        return Response(counted())

    async def count(self, request, env):
        return Response.json([sent, stopped])

    async def ignore(self, request, env):
        return Response("ignored")

    async def loop(self, request, env):
        while True:
            pass

    async def breaks(self, request, env):
        async def broken():
            yield b"begun"
            await asyncio.sleep(0)
            raise ValueError("no more")
        return Response(broken())

    async def upload(self, request, env):
        answer = await env.OTHER.fetch("http://worker/" + request.headers["x-to"], method="POST", body=counted())
        print("answered")
        return Response(await answer.text())

    async def promised(self, request, env):
        async def upload():
            global kept
            async def numbered():
                for _ in range(20):
                    yield bytes(65536)
            answer = await env.OTHER.fetch("http://worker/hand_on", method="POST", body=numbered())
            kept = len(await answer.bytes())
        self.ctx.wait_until(upload())
        print("promised")
        await asyncio.sleep(3600)

    async def kept(self, request, env):
        return Response.json(kept)

    async def refused(self, request, env):
        try:
            await env.OTHER.fetch("http://worker/hand_on", method="POST", body=counted())
        except Exception as error:
            return Response(error.code)

    async def too_much(self, request, env):
        outbox.effects.append(["pull", 1, 10**9])
        return Response(await request.text())

    async def overflow(self, request, env):
        async def two():
            yield b"x"
            for _ in range(6):
                outbox.effects.append(["data", 1, outbox.blob(b"z" * 65536), False])
            await asyncio.sleep(3600)
        return Response(two())
"""
}


UPLOADING = {
    "worker.js": """
let stopped = false;
function endless() {
  return new ReadableStream({
    pull(controller) { controller.enqueue(new Uint8Array(65536)); },
    cancel() { stopped = true; },
  });
}
export default {
  async fetch(request, env, ctx) {
    if (request.url.endsWith("/endless")) return new Response(endless());
    if (request.url.endsWith("/count")) return Response.json([0, stopped]);
    const answer = await env.OTHER.fetch("http://worker/endless", { method: "POST", body: endless() });
    console.log("answered");
    await scheduler.wait(3_600_000);
  },
};
"""
}
UNHURRIED = Limits(wall_ms=600_000)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until it is so; the test's own time limit ends it otherwise."""
    while not condition():
        await asyncio.sleep(0)


async def zeros(size: int) -> AsyncIterator[bytes]:
    piece = bytes(CHUNK)
    for _ in range(size // CHUNK):
        yield piece


class Source:
    """A body that never ends, and counts what is asked of it."""

    def __init__(self) -> None:
        self.given = 0
        self.closed = asyncio.Event()

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> bytes:
        self.given += CHUNK
        return bytes(CHUNK)

    async def aclose(self) -> None:
        self.closed.set()


@pytest.mark.parametrize(("path", "expected"), [("/flip", 255), ("/hand_on", 0)])
def test_a_hundred_megabytes_both_ways(path: str, expected: int, with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE, limits=Limits(cpu_ms=60_000))
        process = psutil.Process(os.getpid())
        before = process.memory_info().rss
        response = await worker.fetch(path, method="POST", body=zeros(100 * MIB))
        size = 0
        most = 0
        async for chunk in response.body:
            size += len(chunk)
            most = max(most, process.memory_info().rss)
            assert chunk.count(expected) == len(chunk)
        assert size == 100 * MIB
        assert most - before < 40 * MIB
        await until(lambda: runtime.statistics().idle == 1)

    with_runtime(main)


def test_a_body_is_read_in_the_context_of_whoever_sends_it(with_runtime: Callable[..., None]) -> None:
    whose = ContextVar("whose", default="nobody")
    seen = []

    async def chunks(name: str) -> AsyncIterator[bytes]:
        seen.append((name, whose.get()))
        yield name.encode()

    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)

        async def send(name: str) -> bytes:
            whose.set(name)
            response = await worker.fetch("http://worker/flip", method="POST", body=chunks(name))
            return await response.body.read()

        await asyncio.gather(*map(send, "abc"))
        assert sorted(seen) == [("a", "a"), ("b", "b"), ("c", "c")]

    with_runtime(main)


def test_a_body_in_hand_larger_than_the_window_streams_too(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE, limits=Limits(cpu_ms=10_000))
        response = await worker.fetch("/flip", method="POST", body=bytes(3 * MIB))
        assert await response.read() == b"\xff" * 3 * MIB

    with_runtime(main)


def test_a_body_that_is_written_line_by_line(with_runtime: Callable[..., None]) -> None:
    """Each line would be an effect of its own: more of them fit into the window than a step may have."""

    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE, limits=Limits(cpu_ms=5000))
        response = await worker.fetch("/lines")
        lines = (await response.read()).split(b"\n")
        assert [int(line) for line in lines[:-1]] == list(range(40_000))

    with_runtime(main)


def test_a_reader_that_does_not_read_holds_one_window(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        response = await worker.fetch("/endless")
        sent, _ = await (await worker.fetch("/count")).json()
        assert sent <= WINDOW
        assert (await (await worker.fetch("/count")).json())[0] == sent
        await response.body.aclose()

    with_runtime(main)


def test_a_guest_that_does_not_read_is_sent_nothing(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        source = Source()
        worker = await runtime.load(SOURCE)
        response = await worker.fetch("/ignore", method="POST", body=source)
        assert await response.text() == "ignored"
        await source.closed.wait()
        assert source.given == 0
        await until(lambda: runtime.statistics().idle == 1)

    with_runtime(main)


def test_a_slow_reader_slows_the_source(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        source = Source()
        worker = await runtime.load(SOURCE, limits=Limits(cpu_ms=10_000))
        response = await worker.fetch("/flip", method="POST", body=source)
        chunks = aiter(response.body)
        for count in range(1, 40):
            await anext(chunks)
            for _ in range(5):
                await worker.fetch("/count")
            assert source.given <= count * CHUNK + 2 * WINDOW + 2 * CHUNK
        await chunks.aclose()  # type: ignore[attr-defined]
        await response.body.aclose()
        await source.closed.wait()

    with_runtime(main)


def test_a_reader_that_stops_early_stops_the_guest(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        response = await worker.fetch("/endless")
        await anext(aiter(response.body))
        await response.body.aclose()
        await until(lambda: runtime.statistics().idle == 1)
        assert (await (await worker.fetch("/count")).json())[1] is True

    with_runtime(main)


def test_a_body_that_nobody_closes_is_stopped_when_it_is_forgotten(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        response: Any = await worker.fetch("/endless")
        assert response.status == 200
        del response
        gc.collect()
        await until(lambda: runtime.statistics().idle == 1)
        assert (await (await worker.fetch("/count")).json())[1] is True

    with_runtime(main)


def test_a_body_that_the_worker_breaks_off_is_not_complete(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        response = await worker.fetch("/breaks")
        with pytest.raises(UpstreamError):
            await response.read()

    with_runtime(main)


@pytest.mark.parametrize(
    "error", [OSError("gone"), ValueError("a bug of the program"), UpstreamError("gone")]
)
def test_a_source_that_breaks_off_breaks_the_answer(
    error: Exception, with_runtime: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    async def main(runtime: Runtime) -> None:
        async def broken() -> AsyncIterator[bytes]:
            yield b"begun"
            raise error

        worker = await runtime.load(SOURCE)
        response = await worker.fetch("/flip", method="POST", body=broken())
        with pytest.raises(PyworkerdError):
            await response.read()
        await until(lambda: runtime.statistics().idle == 1)

    with_runtime(main)
    assert ("a bug of the program" in caplog.text) is isinstance(error, ValueError)


def test_an_isolate_that_dies_breaks_the_bodies_that_stream(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        sources = [Source(), Source()]
        worker = await runtime.load(SOURCE, limits=Limits(isolates=1))
        endless = await worker.fetch("/endless")
        flipping = await worker.fetch("/flip", method="POST", body=sources[0])
        handed_on = await worker.fetch("/hand_on", method="POST", body=sources[1])
        chunks = aiter(flipping.body)
        await anext(chunks)
        with pytest.raises(ExceededCpu):
            await worker.fetch("/loop")
        for response in (endless, flipping):
            with pytest.raises(IsolateLost):
                async for _ in response.body:
                    pass
        await sources[0].closed.wait()
        # What was handed on needs the isolate no more.
        assert len(await anext(aiter(handed_on.body))) == CHUNK
        await handed_on.body.aclose()
        assert sources[1].closed.is_set()

    with_runtime(main)


def test_an_upload_that_nobody_reads_does_not_hold_its_sender(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        other = await runtime.load(SOURCE)
        worker = await runtime.load(SOURCE, bindings={"OTHER": other}, limits=UNHURRIED)
        assert await (await worker.fetch("/upload", headers={"x-to": "ignore"})).text() == "ignored"
        await until(lambda: runtime.statistics().idle == 2)
        assert (await (await worker.fetch("/count")).json())[1] is True

    with_runtime(main)


@pytest.mark.parametrize("source", [SOURCE, UPLOADING], ids=["python", "javascript"])
@pytest.mark.parametrize("answered", [False, True])
def test_an_upload_ends_with_the_caller_for_whom_it_is_made(
    source: dict[str, str], answered: bool, with_runtime: Callable[..., None]
) -> None:
    async def main(runtime: Runtime) -> None:
        other = await runtime.load(source)
        worker = await runtime.load(source, bindings={"OTHER": other}, limits=UNHURRIED)
        uploading = asyncio.create_task(worker.fetch("/upload", headers={"x-to": "endless"}))
        await until(lambda: bool(worker.logs) if answered else runtime.statistics().started == 2)
        uploading.cancel()
        await asyncio.wait([uploading])
        await until(lambda: runtime.statistics().idle == 2)
        assert (await (await worker.fetch("/count")).json())[1] is True

    with_runtime(main)


def test_an_upload_that_is_promised_goes_on_without_a_caller(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        other = await runtime.load(SOURCE)
        worker = await runtime.load(SOURCE, bindings={"OTHER": other}, limits=UNHURRIED)
        promising = asyncio.create_task(worker.fetch("/promised"))
        await until(lambda: bool(worker.logs))
        promising.cancel()
        await asyncio.wait([promising])
        await until(lambda: runtime.statistics().idle == 2)
        assert await (await worker.fetch("/kept")).json() == 20 * 65536

    with_runtime(main)


def test_a_call_that_is_refused_stops_its_body(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        other = await runtime.load(SOURCE)
        worker = await runtime.load(SOURCE, bindings={"OTHER": other})
        await other.aclose()
        assert await (await worker.fetch("/refused")).text() == "overloaded"
        await until(lambda: runtime.statistics().idle == 1)
        assert (await (await worker.fetch("/count")).json())[1] is True

    with_runtime(main)


def test_a_call_beyond_its_limit_stops_its_body(with_runtime: Callable[..., None]) -> None:
    class Outside:
        name = "outside"
        external = True

        async def fetch(self, *_: Any, **__: Any) -> Any:
            raise AssertionError

        call = fetch

    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE, bindings={"OTHER": Outside()}, limits=Limits(subrequests=0))
        assert await (await worker.fetch("/refused")).text() == "exceeded_subrequests"
        await until(lambda: runtime.statistics().idle == 1)
        assert (await (await worker.fetch("/count")).json())[1] is True

    with_runtime(main)


def test_credit_beyond_the_window_ends_the_isolate(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        source = Source()
        worker = await runtime.load(SOURCE)
        with pytest.raises(BadEffect):
            await worker.fetch("/too_much", method="POST", body=source)
        await source.closed.wait()

    with_runtime(main)


def test_more_than_there_was_credit_for_ends_the_isolate(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        response = await worker.fetch("/overflow")
        with pytest.raises(IsolateLost):
            await response.read()
        assert runtime.statistics().isolates == 0

    with_runtime(main)
