"""WritableStreams over RPC: in every pair of languages, through third workers, with back-pressure, to every end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd import Limits
from pyworkerd.errors import BadEffect
from pyworkerd_isolates.protocol import WINDOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.loaded import LoadedWorker
    from pyworkerd.runtime import Runtime

# Each has streams of its own (`own` asks another worker to write to one, `lend` gives one away) and writes to others'.
IN_JAVASCRIPT = """
import { RpcStub, WorkerEntrypoint } from "cloudflare:workers";

const encoder = new TextEncoder();
let log = [];
const stream = (how) => new WritableStream({
  async write(piece) {
    if (how === "fails") throw new TypeError("it is full");
    log.push(piece.length);
    if (how === "waits") await new Promise(() => {});
  },
  close() { log.push("closed"); },
  abort(reason) { log.push("aborted"); },
});
const written = async (stream, pieces) => {
  const writer = stream.getWriter();
  for (const piece of pieces) await writer.write(encoder.encode(piece));
  return writer;
};

export default class extends WorkerEntrypoint {
  async own(method, how, ...rest) {
    log = [];
    try {
      return [await this.env.OTHER[method](stream(how), ...rest)];
    } catch (error) {
      return [error.message];
    }
  }
  async many(count, last = null) {
    log = [];
    try {
      return await this.env.OTHER.ignores([...Array.from({ length: count }, () => stream()), last ?? Symbol()]);
    } catch (error) {
      return error.message;
    }
  }
  lend() { log = []; return stream(); }
  async borrow() { return this.closes(await this.env.OTHER.lend()); }
  seen() { return log; }
  async alone() {
    log = [];
    await new RpcStub((stream) => this.closes(stream))(stream());
    return log;
  }
  async closes(stream) { await (await written(stream, ["one", "three"])).close(); return "written"; }
  async at_once(stream) {
    const writer = stream.getWriter();
    const pieces = Array.from({ length: 10 }, () => writer.write(new Uint8Array(100000)));
    await Promise.all([...pieces, writer.close()]);
    return "at once";
  }
  async breaks(stream) {
    const writer = stream.getWriter();
    const writing = writer.write(new Uint8Array(1000000)).then(() => "written", () => "broken off");
    await Promise.resolve();
    await writer.abort();
    return writing;
  }
  async gives_up(stream) {
    const writer = stream.getWriter();
    const writing = writer.write(new Uint8Array(5000000)).then(() => "written", () => "broken off");
    writer.close().catch(() => {});
    await scheduler.wait(1);
    await writer.abort();
    return writing;
  }
  async aborts(stream) { await (await written(stream, ["one"])).abort(new Error("enough")); return "aborted"; }
  async leaves(stream) { await written(stream, ["one"]); return "left"; }
  ignores(stream) { return "ignored"; }
  async stays(stream) { await written(stream, ["one"]); await new Promise(() => {}); }
  async texts(stream) { await stream.getWriter().write("text"); }
  later(stream) { this.ctx.waitUntil(scheduler.wait(1).then(() => this.closes(stream))); return "later"; }
  passes(stream) { return this.env.LAST.closes(stream); }
  async middle(count) {
    for (let i = 0; i < count; i++) await this.env.LAST.closes(await this.env.OTHER.lend());
    for (let i = 0; i < count; i++) await this.env.LAST.closes([await this.env.OTHER.lend(), Symbol()]).catch(() => {});
    return this.env.OTHER.lend();
  }
  async begins(stream) {
    const writer = await written(stream, ["one"]);
    writer.releaseLock();
    return this.env.LAST.closes(stream);
  }
  async most(stream) {
    const writer = stream.getWriter();
    const piece = new Uint8Array(65536);
    for (let size = 0; ; size += piece.length) {
      const waited = scheduler.wait(50).then(() => "waited");
      if (await Promise.race([writer.ready.then(() => writer.write(piece)), waited]) === "waited") {
        writer.abort().catch(() => {});
        return size;
      }
    }
  }
}
"""
IN_PYTHON = """
import asyncio

from workers import RpcStub, WorkerEntrypoint, WritableStream

LOG = []


def stream(how=None):
    async def write(piece):
        if how == "fails":
            raise TypeError("it is full")
        LOG.append(len(piece))
        if how == "waits":
            await asyncio.Event().wait()

    async def close():
        LOG.append("closed")

    return WritableStream(write, close, lambda reason: LOG.append("aborted"))


async def written(stream, pieces):
    for piece in pieces:
        await stream.write(piece)


class Default(WorkerEntrypoint):
    async def own(self, method, how, *rest):
        LOG.clear()
        try:
            return [await getattr(self.env.OTHER, method)(stream(how), *rest)]
        except Exception as error:
            return [str(error)]

    async def many(self, count, last=None):
        LOG.clear()
        try:
            return await self.env.OTHER.ignores([*(stream() for _ in range(count)), last or ()])
        except Exception as error:
            return str(error)

    async def lend(self):
        LOG.clear()
        return stream()

    async def borrow(self):
        return await self.closes(await self.env.OTHER.lend())

    async def seen(self):
        return LOG

    async def alone(self):
        LOG.clear()
        await RpcStub(self.closes)(stream())
        return LOG

    async def at_once(self, stream):
        await asyncio.gather(*(stream.write(bytes(100_000)) for _ in range(10)), stream.close())
        return "at once"

    async def breaks(self, stream):
        writing = asyncio.ensure_future(stream.write(bytes(1_000_000)))
        await asyncio.sleep(0)
        await stream.abort()
        try:
            await writing
        except OSError:
            return "broken off"

    async def gives_up(self, stream):
        writing = asyncio.ensure_future(stream.write(bytes(5_000_000)))
        await asyncio.sleep(0)
        try:
            await asyncio.wait_for(stream.close(), 0.001)
        except TimeoutError:
            await stream.abort()
        try:
            await writing
        except OSError:
            return "broken off"

    async def closes(self, stream):
        async with stream:
            await written(stream, [b"one", b"three"])
        return "written"

    async def aborts(self, stream):
        await stream.write(b"one")
        await stream.abort(RuntimeError("enough"))
        return "aborted"

    async def leaves(self, stream):
        await stream.write(b"one")
        return "left"

    async def stays(self, stream):
        await stream.write(b"one")
        await asyncio.Event().wait()

    async def ignores(self, stream):
        return "ignored"

    async def texts(self, stream):
        await stream.write("text")

    async def later(self, stream):
        async def write():
            await asyncio.sleep(0.001)
            await self.closes(stream)

        self.ctx.waitUntil(write())
        return "later"

    async def passes(self, stream):
        return await self.env.LAST.closes(stream)

    async def middle(self, count):
        for _ in range(count):
            await self.env.LAST.closes(await self.env.OTHER.lend())
        for _ in range(count):
            try:
                await self.env.LAST.closes([await self.env.OTHER.lend(), ()])
            except TypeError:
                pass
        return await self.env.OTHER.lend()

    async def begins(self, stream):
        await stream.write(b"one")
        return await self.env.LAST.closes(stream)

    async def most(self, stream):
        size = 0
        while True:
            try:
                await asyncio.wait_for(stream.write(bytes(65536)), 0.05)
            except TimeoutError:
                return size
            size += 65536
"""
SOURCES = {"JavaScript": {"w.js": IN_JAVASCRIPT}, "Python": {"w.py": IN_PYTHON}}
LANGUAGES = tuple(SOURCES)
ONE = Limits(isolates=1, cpu_ms=5000)
WRITTEN = [8, "closed"]
CASES: dict[str, tuple[str | None, str, list[Any]]] = {
    "closes": (None, "written", WRITTEN),
    "later": (None, "later", WRITTEN),
    "passes": (None, "written", WRITTEN),
    "begins": (None, "written", [11, "closed"]),
    "at_once": (None, "at once", [1_000_000, "closed"]),
    "breaks": (None, "broken off", ["aborted"]),
    "gives_up": (None, "broken off", ["aborted"]),
    "aborts": (None, "aborted", [3, "aborted"]),
    "leaves": (None, "left", ["aborted"]),
    "ignores": (None, "ignored", ["aborted"]),
}
"""By what the other worker does: how the stream is, what the call returns, and what the stream gets."""


def joined(log: list[Any]) -> list[Any]:
    """How many bytes came, whatever their pieces were, and how they ended."""
    size = sum(each for each in log if isinstance(each, int))
    return [size, *(each for each in log if isinstance(each, str))]


async def settled(worker: LoadedWorker, want: list[Any]) -> None:
    async with asyncio.timeout(20):
        while not (found := joined(await worker.call("seen")))[1:]:
            await asyncio.sleep(0.005)
    # What was not closed may have lost what was on its way.
    assert found[1:] == want[-1:]
    assert want[:1] == want[-1:] or found == want


@pytest.mark.parametrize("owner", LANGUAGES)
@pytest.mark.parametrize("writer", LANGUAGES)
def test_every_pair_of_languages(with_runtime: Callable[..., None], owner: str, writer: str) -> None:
    async def main(runtime: Runtime) -> None:
        last = await runtime.load(SOURCES["JavaScript"])
        other = await runtime.load(SOURCES[writer], bindings={"LAST": last}, limits=ONE)
        worker = await runtime.load(SOURCES[owner], bindings={"OTHER": other}, limits=ONE)
        for method, (how, returned, want) in CASES.items():
            assert await worker.call("own", method, how) == [returned], method
            await settled(worker, want)
        for method, how, said in (("closes", "fails", "it is full"), ("texts", None, "WritableStream|bytes")):
            (error,) = await worker.call("own", method, how)
            assert any(each in error for each in said.split("|")), (method, error)
        # It is the other one's stream now, and outlives the call that gave it.
        assert await worker.call("borrow") == "written"
        await settled(other, WRITTEN)
        assert joined(await worker.call("alone")) == WRITTEN
        # Whoever is not read from is not sent to.
        (size,) = await worker.call("own", "most", "waits")
        assert WINDOW <= size <= 3 * WINDOW
        for each in (worker, other, last):
            await each.service.quiet()

    with_runtime(main)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_not_sent_after_all_is_aborted(with_runtime: Callable[..., None], language: str) -> None:
    async def main(runtime: Runtime) -> None:
        other = await runtime.load(SOURCES["JavaScript"])
        worker = await runtime.load(SOURCES[language], bindings={"OTHER": other}, limits=ONE)
        for count, last, said in (
            (250, "x", "ignored"),
            (251, "x", "may be 250"),
            (3, None, "cannot be sent"),
        ):
            assert said in await worker.call("many", count, last)
            async with asyncio.timeout(20):
                while len(await worker.call("seen")) < count:
                    await asyncio.sleep(0.005)
            assert await worker.call("seen") == ["aborted"] * count
        await worker.service.quiet()

    with_runtime(main)


@pytest.mark.parametrize("owner", LANGUAGES)
@pytest.mark.parametrize("writer", LANGUAGES)
def test_a_writer_that_ends_leaves_nothing_open(
    with_runtime: Callable[..., None], owner: str, writer: str
) -> None:
    async def main(runtime: Runtime) -> None:
        other = await runtime.load(SOURCES[writer], limits=ONE)
        worker = await runtime.load(SOURCES[owner], bindings={"OTHER": other}, limits=ONE)
        call = asyncio.ensure_future(worker.call("own", "stays", None))
        async with asyncio.timeout(20):
            while not await worker.call("seen"):
                await asyncio.sleep(0.005)
        await other.aclose()
        await call
        await settled(worker, [3, "aborted"])
        await worker.service.quiet()

    with_runtime(main)


@pytest.mark.parametrize("owner", LANGUAGES)
@pytest.mark.parametrize("middle", LANGUAGES)
def test_whoever_passes_one_on_holds_nothing_of_it(
    with_runtime: Callable[..., None], owner: str, middle: str
) -> None:
    async def main(runtime: Runtime) -> None:
        # Each that is still held takes one of two places.
        few = Limits(isolates=1, cpu_ms=5000, concurrency=4, wall_ms=5000)
        first = await runtime.load(SOURCES[owner], limits=few)
        last = await runtime.load(SOURCES["JavaScript"], limits=ONE)
        between = await runtime.load(
            SOURCES[middle], bindings={"OTHER": first, "LAST": last}, limits=Limits(isolates=1, cpu_ms=5000)
        )
        with pytest.raises(BadEffect, match="'WritableStream' cannot be received here"):
            await between.call("middle", 5)
        await settled(first, ["aborted"])
        for each in (first, between, last):
            await each.service.quiet()

    with_runtime(main)


@pytest.mark.parametrize("owner", LANGUAGES)
@pytest.mark.parametrize("writer", LANGUAGES)
def test_a_caller_that_goes_is_waited_for_by_nobody(
    with_runtime: Callable[..., None], owner: str, writer: str
) -> None:
    """The owner waits for whoever writes to its stream, who waits for the owner."""

    async def main(runtime: Runtime) -> None:
        other = await runtime.load(SOURCES[writer], limits=ONE)
        worker = await runtime.load(SOURCES[owner], bindings={"OTHER": other}, limits=ONE)
        for method, how in (("stays", None), ("closes", "waits")):
            call = asyncio.ensure_future(worker.call("own", method, how))
            async with asyncio.timeout(20):
                while (await worker.call("seen"))[-1:] not in ([3], [8]):
                    await asyncio.sleep(0.005)
                call.cancel()
                await asyncio.wait([call])
                await worker.service.quiet()
                await other.service.quiet()
            if how is None:
                await settled(worker, [3, "aborted"])

    with_runtime(main)


def test_a_program_has_no_such_stream(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCES["JavaScript"], limits=ONE)
        with pytest.raises(BadEffect, match="'WritableStream' cannot be received here"):
            await worker.call("lend")
        await settled(worker, ["aborted"])
        await worker.service.quiet()

    with_runtime(main)
