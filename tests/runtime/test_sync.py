"""The library without `await`."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd import sync
from pyworkerd.errors import ConfigurationError, WorkerException
from pyworkerd.messages import Request
from pyworkerd_config.model import Config, Limits, Service
from pyworkerd_config.model import Worker as WorkerModel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOURCE = {
    "worker.py": """
from workers import Response, WorkerEntrypoint

async def endless():
    while True:
        yield b"x" * 1000

class Default(WorkerEntrypoint):
    async def fetch(self, request, env, ctx):
        if request.url.endswith("/endless"):
            return Response(endless())
        if request.url.endswith("/boom"):
            raise ValueError("boom")
        print("asked")
        return Response.json([request.method, await request.text(), request.headers.get("x-a")], headers={"x-b": "c"})

    async def add(self, a, b=2):
        return a + b

    async def ask(self, value):
        return await self.env.HOST(value)

class Admin(WorkerEntrypoint):
    async def role(self):
        return self.ctx.props["role"]
"""
}


@pytest.fixture(scope="module")
def runtime() -> Iterator[sync.Runtime]:
    with sync.Runtime() as opened:
        yield opened


def test_the_same_calls_without_await(runtime: sync.Runtime) -> None:
    with runtime.load(SOURCE, name="first") as worker:
        response = worker.fetch("/", method="post", body="hello", headers={"X-A": "b"})
        assert (response.status, response.header("X-B")) == (200, "c")
        assert ("x-b", "c") in response.headers
        assert response.json() == ["POST", "hello", "b"]
        assert worker.fetch("/").text().startswith('["GET"')
        assert worker.fetch("/").read(100).startswith(b'["GET"')
        assert worker.call("add", 1) == 3
        assert worker.entrypoint("Admin", {"role": "host"}).call("role") == "host"
        assert "asked" in [entry.message for entry in worker.logs]
        assert (worker.name, worker.deploy_ms > 0) == ("first", True)
        assert repr(worker) == "<Worker first: 1 isolates, 0 requests wait>"
        assert runtime.statistics().isolates == 1
        assert sum(count for (count,) in runtime.metrics()["cold_starts"].values()) == 1
    assert runtime.statistics().isolates == 0


def test_errors_are_raised_here(runtime: sync.Runtime) -> None:
    with runtime.load(SOURCE) as worker, pytest.raises(WorkerException, match="boom"):
        worker.fetch("/boom")
    with pytest.raises(ConfigurationError):
        runtime.load({"worker.py": "1 +"})


@pytest.mark.parametrize("asynchronous", [True, False])
def test_functions_are_bindings(asynchronous: bool, runtime: sync.Runtime) -> None:
    async def double_async(value: int) -> int:
        return 2 * value

    def double(value: int) -> int:
        return 2 * value

    function: Any = double_async if asynchronous else double
    with runtime.load(SOURCE, bindings={"HOST": function}) as worker:
        assert worker.call("ask", 21) == 42


def test_a_worker_is_a_binding(runtime: sync.Runtime) -> None:
    caller = {
        "worker.py": """
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def sum(self):
        return await self.env.OTHER.add(20, 22)
"""
    }
    with runtime.load(SOURCE) as other, runtime.load(caller, bindings={"OTHER": other}) as worker:
        assert worker.call("sum") == 42


def test_bodies_are_iterated_on_both_sides(runtime: sync.Runtime) -> None:
    threads = set()

    def chunks() -> Iterator[bytes]:
        for index in range(3):
            threads.add(threading.current_thread())
            yield str(index).encode()

    with runtime.load(SOURCE, limits=Limits(cpu_ms=1000)) as worker:
        assert worker.fetch("/", method="POST", body=chunks()).json()[1] == "012"
        assert threading.main_thread() not in threads
        with worker.fetch("/endless") as response:
            for size, chunk in enumerate(response):
                assert set(chunk) == {ord("x")}
                if size == 3:
                    break
            assert len(next(iter(response))) > 0


def test_it_works_where_a_loop_runs_already(runtime: sync.Runtime) -> None:
    async def cell() -> Any:
        with runtime.load(SOURCE) as worker:
            return worker.call("add", 40)

    assert asyncio.run(cell()) == 42


def test_several_threads_use_it_at_once(runtime: sync.Runtime) -> None:
    results: list[int] = []
    with runtime.load(SOURCE) as worker:
        threads = [
            threading.Thread(target=lambda n=n: results.append(worker.call("add", n))) for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(results) == list(range(2, 10))


def test_a_binding_that_would_wait_for_its_own_thread_is_told(runtime: sync.Runtime) -> None:
    async def recursive(value: int) -> int:
        return int(worker.call("add", value))

    with (
        runtime.load(SOURCE, bindings={"HOST": recursive}) as worker,
        pytest.raises(WorkerException, match="async"),
    ):
        worker.call("ask", 1)


def test_a_configuration_is_served_by_its_routes(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(SOURCE["worker.py"])
    model = WorkerModel(tmp_path / "worker.py", tmp_path, global_outbound=None)
    with sync.Runtime(Config(services=(Service("shop", model, routes=("/*",)),))) as runtime:
        assert runtime.fetch(Request("GET", "http://host/")).json()[0] == "GET"
        assert runtime.fetch(Request("GET", "http://host/"), "shop").status == 200
        assert runtime.worker("shop").call("add", 1) == 3


def test_closing_is_final_and_leaves_no_thread() -> None:
    before = threading.active_count()
    runtime = sync.Runtime()
    worker = runtime.load(SOURCE)
    worker.call("add", 1)
    runtime.close()
    runtime.close()
    with pytest.raises(RuntimeError, match="closed"):
        worker.call("add", 1)
    assert threading.active_count() == before


def test_a_runtime_that_does_not_open_leaves_no_thread(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text("1 +")
    model = WorkerModel(tmp_path / "worker.py", tmp_path, global_outbound=None)
    before = threading.active_count()
    with pytest.raises(ConfigurationError, match=r"worker\.py:1"):
        sync.Runtime(Config(services=(Service("shop", model),)))
    assert threading.active_count() == before


def test_streams_go_and_come_without_await(sandbox: object) -> None:
    source = """
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def echo(self, stream):
        return {"deep": [Response(self.twice(stream)).body]}

    async def twice(self, stream):
        async for piece in stream:
            yield piece
            yield piece

    async def size(self, stream):
        return len(await stream.read())

    def lend(self):
        return self.echo
"""
    with sync.Runtime() as runtime:
        worker = runtime.load({"w.py": source})
        echoed = worker.call("echo", sync.body([b"a" * 100_000, b"b"]))["deep"][0]
        assert b"".join(echoed) == b"".join((b"a" * 200_000, b"b" * 2))
        with worker.call("lend") as stub, stub(sync.body([b"ab"]))["deep"][0] as stream:
            assert stream.read() == b"abab"
        assert worker.call("size", worker.call("echo", sync.body([b"x"] * 3))["deep"][0].body) == 6
        with worker.call("echo", sync.body(iter(lambda: b"x" * 65_536, b"")))["deep"][0] as endless:
            assert next(iter(endless))


def test_a_reader_that_goes_while_the_next_piece_is_made() -> None:
    """The generator cannot be closed before it yields; then it is, and nobody has waited for it."""
    began, goes_on, closed = threading.Event(), threading.Event(), threading.Event()

    def pieces() -> Iterator[bytes]:
        try:
            yield b"one"
            began.set()
            goes_on.wait()
            yield b"two"
        finally:
            closed.set()

    async def main() -> None:
        body = sync.body(pieces())
        chunks = aiter(body)
        assert await anext(chunks) == b"one"

        async def read() -> bytes:
            return await anext(chunks)

        reading = asyncio.create_task(read())
        await asyncio.to_thread(began.wait)
        reading.cancel()
        await asyncio.wait([reading])
        await body.aclose()
        assert not closed.is_set()
        goes_on.set()
        assert await asyncio.to_thread(closed.wait, 10)
        assert [chunk async for chunk in sync.body(iter([b"a", b"b"]))] == [b"a", b"b"]

    asyncio.run(main())
