"""Bodies that stream over RPC: in every pair of languages, with back-pressure, through third workers, to their ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd import Limits
from pyworkerd.errors import PyworkerdError
from pyworkerd.messages import Body
from pyworkerd_config import Binding
from pyworkerd_isolates.protocol import WINDOW

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pyworkerd.loaded import LoadedWorker
    from pyworkerd.runtime import Runtime

IN_JAVASCRIPT = """
import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

let made = 0;
let ended = null;
const PIECE = new Uint8Array(65536).fill(7);
const source = (pieces, end = null) => new ReadableStream({
  type: "bytes",
  pull(controller) {
    if (made === pieces) {
      if (end === "fails") throw new TypeError("as it was told");
      controller.close();
      return;
    }
    made += 1;
    controller.enqueue(PIECE.slice());
  },
  cancel(reason) { ended = "cancelled"; },
});
const wrapped = (stream, how) => how === "stream" ? stream
  : how === "Response" ? new Response(stream, { status: 201 })
  : { deep: [new Request("http://x/", { method: "POST", body: stream })] };
const unwrapped = (given) => given.deep?.[0].body ?? given.body ?? given;

export default class extends WorkerEntrypoint {
  give(pieces, how = "stream", end = null) { made = 0; ended = null; return wrapped(source(pieces, end), how); }
  seen() { return [made, ended]; }
  async size(given) {
    let size = 0;
    try {
      for await (const chunk of unwrapped(given)) size += chunk.length;
    } catch (error) {
      return [size, error.message];
    }
    return size;
  }
  async takes(given) {
    const reader = unwrapped(given).getReader();
    const { value } = await reader.read();
    await reader.cancel("enough");
    return value.length > 0;
  }
  ignores(given) { return typeof given; }
  later(given) { this.ctx.waitUntil(this.size(given).then((size) => console.log(`later ${size}`))); }
  pass(given) { return given; }
  forward(to, given) { return this.env[to].size(given); }
  async upload(to, pieces, how = "stream") { return this.env[to].size(this.give(pieces, how)); }
  async download(from, pieces, how = "stream") { return this.size(await this.env[from].give(pieces, how)); }
  echo(stub) { return stub(source(3)); }
  async loads(files) {
    const [main] = Object.keys(files);
    const loaded = this.env.LOADER.load({ mainModule: main, modules: files }).getEntrypoint();
    return [await loaded.size(this.give(9)), await this.size(await loaded.give(9))];
  }
}
"""
IN_PYTHON = """
from workers import Request, Response, WorkerEntrypoint

STATE = {}
PIECE = b"\\x07" * 65536


async def source(pieces, end=None):
    try:
        while STATE["made"] < pieces:
            STATE["made"] += 1
            yield PIECE
        if end == "fails":
            raise TypeError("as it was told")
    except GeneratorExit:
        STATE["ended"] = "cancelled"
        raise


def wrapped(body, how):
    if how == "stream":
        return Response(body).body
    if how == "Response":
        return Response(body, 201)
    return {"deep": [Request("http://x/", method="POST", body=body)]}


def unwrapped(given):
    if isinstance(given, dict):
        given = given["deep"][0]
    return getattr(given, "body", given)


class Default(WorkerEntrypoint):
    async def give(self, pieces, how="stream", end=None):
        STATE.update(made=0, ended=None)
        return wrapped(source(pieces, end), how)

    async def seen(self):
        return [STATE["made"], STATE["ended"]]

    async def size(self, given):
        size = 0
        try:
            async for chunk in unwrapped(given):
                size += len(chunk)
        except Exception as error:
            return [size, str(error)]
        return size

    async def takes(self, given):
        stream = unwrapped(given)
        chunk = await stream.read(5)
        await stream.aclose()
        return len(chunk) > 0

    async def ignores(self, given):
        return "object"

    async def later(self, given):
        async def read():
            print(f"later {await self.size(given)}")

        self.ctx.waitUntil(read())

    async def pass_(self, given):
        return given

    vars()["pass"] = pass_

    async def forward(self, to, given):
        return await getattr(self.env, to).size(given)

    async def upload(self, to, pieces, how="stream"):
        return await getattr(self.env, to).size(await self.give(pieces, how))

    async def download(self, of, pieces, how="stream"):
        return await self.size(await getattr(self.env, of).give(pieces, how))

    async def loads(self, files):
        (main,) = files
        loaded = self.env.LOADER.load({"main_module": main, "modules": dict(files)}).get_entrypoint()
        return [await loaded.size(await self.give(9)), await self.size(await loaded.give(9))]

    async def echo(self, stub):
        STATE.update(made=0, ended=None)
        return await stub(Response(source(3)).body)
"""
SOURCES = {"JavaScript": {"w.js": IN_JAVASCRIPT}, "Python": {"w.py": IN_PYTHON}}
LANGUAGES = tuple(SOURCES)
ONE = Limits(isolates=1, cpu_ms=5000)
PIECE = 65536
MUCH = 130
"""Pieces: more than any value may have bytes that are in hand."""


async def pair(runtime: Runtime, asking: str, other: str) -> tuple[LoadedWorker, LoadedWorker]:
    """A worker, and one that it is bound to as OTHER."""
    answering = await runtime.load(SOURCES[other], limits=ONE)
    return await runtime.load(
        SOURCES[asking], bindings={"OTHER": answering, "OWN": answering}, limits=ONE
    ), answering


@pytest.mark.parametrize("asking", LANGUAGES)
@pytest.mark.parametrize("other", LANGUAGES)
def test_more_than_fits_streams_in_every_pair(
    with_runtime: Callable[..., None], asking: str, other: str
) -> None:
    async def main(runtime: Runtime) -> None:
        worker, _ = await pair(runtime, asking, other)
        for way in ("upload", "download"):
            assert await worker.call(way, "OTHER", MUCH) == MUCH * PIECE
            for how in ("Response", "Request"):
                assert await worker.call(way, "OTHER", 3, how) == 3 * PIECE
        await worker.service.quiet()

    with_runtime(main)


async def settled(worker: LoadedWorker, want: Any) -> None:
    async with asyncio.timeout(20):
        while (found := await worker.call("seen")) != want:
            await asyncio.sleep(0.005)
    assert found == want


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_does_not_read_is_not_sent_to(with_runtime: Callable[..., None], language: str) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCES[language], limits=ONE)
        body = await worker.call("give", 10**6)
        assert isinstance(body, Body)
        chunks = aiter(body)
        assert len(await anext(chunks)) > 0
        await asyncio.sleep(0.05)
        made, ended = await worker.call("seen")
        assert (made <= 2 * WINDOW // PIECE + 2, ended) == (True, None)
        await body.aclose()
        await chunks.aclose()
        await settled(worker, [made, "cancelled"])
        await worker.service.quiet()

    with_runtime(main)


@pytest.mark.parametrize("asking", LANGUAGES)
@pytest.mark.parametrize("other", LANGUAGES)
def test_ends_reach_the_other_side(with_runtime: Callable[..., None], asking: str, other: str) -> None:
    async def main(runtime: Runtime) -> None:
        reader, writer = await pair(runtime, asking, other)
        # What it fails with is its own affair; that it failed is the reader's.
        size, why = await reader.call("size", await writer.call("give", 2, "stream", "fails"))
        assert (size, "failed while it wrote this body" in why) == (2 * PIECE, True)
        for method in ("takes", "ignores"):
            assert await reader.call(method, await writer.call("give", 10**6)) is not None
            made, _ = await writer.call("seen")
            await settled(writer, [made, "cancelled" if made else None])
        # A stream goes on after the call that it came with.
        await reader.call("later", await writer.call("give", 20))
        await reader.service.quiet()
        assert [entry.message for entry in reader.logs] == [f"later {20 * PIECE}"]

    with_runtime(main)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_stream_is_passed_on_unread(with_runtime: Callable[..., None], language: str) -> None:
    async def main(runtime: Runtime) -> None:
        first = await runtime.load(SOURCES["Python"])
        last = await runtime.load(SOURCES["JavaScript"])
        middle = await runtime.load(SOURCES[language], bindings={"LAST": last})
        assert await middle.call("forward", "LAST", await first.call("give", MUCH)) == MUCH * PIECE
        body = await middle.call("pass", await first.call("give", MUCH))
        await middle.service.quiet()  # its invocation has ended, and takes nothing with it
        await middle.aclose()
        assert len(await body.read()) == MUCH * PIECE

    with_runtime(main)


@pytest.mark.parametrize("asking", LANGUAGES)
@pytest.mark.parametrize("other", LANGUAGES)
def test_workers_that_others_load(with_runtime: Callable[..., None], asking: str, other: str) -> None:
    async def main(runtime: Runtime) -> None:
        loader = {"LOADER": Binding("LOADER", "worker_loader", {})}
        worker = await runtime.load(SOURCES[asking], bindings=loader, limits=ONE)
        assert await worker.call("loads", SOURCES[other]) == [9 * PIECE, 9 * PIECE]
        await worker.service.quiet()

    with_runtime(main)


def test_an_isolate_that_ends_breaks_its_streams(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        for language in LANGUAGES:
            worker = await runtime.load(SOURCES[language], limits=ONE)
            reader = await runtime.load(SOURCES["JavaScript"])
            body = await worker.call("give", 10**6)
            reading = asyncio.ensure_future(reader.call("size", body))
            await asyncio.sleep(0.02)
            await worker.aclose()
            _, why = await reading
            assert "ended before this body was complete" in why

    with_runtime(main)


def test_a_program_gives_and_takes_streams(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        closed = []

        async def chunks() -> AsyncIterator[bytes]:
            try:
                for _ in range(MUCH):
                    yield bytes(PIECE)
            finally:
                closed.append(True)

        for language in LANGUAGES:
            worker = await runtime.load(SOURCES[language], limits=ONE)
            assert await worker.call("size", Body(chunks=chunks())) == MUCH * PIECE
            assert await worker.call("size", Body(b"short")) == 5
            assert await worker.call("takes", Body(chunks=chunks()))
            assert await worker.call("ignores", Body(chunks=chunks())) == "object"
            with pytest.raises(PyworkerdError):
                await worker.call("nothing", Body(chunks=chunks()))

            async def stub(body: Body) -> int:
                return len(await body.read())

            assert await worker.call("echo", stub) == 3 * PIECE
            await worker.service.quiet()
        async with asyncio.timeout(20):
            while len(closed) < 2 * len(LANGUAGES):
                await asyncio.sleep(0.005)

    with_runtime(main)
