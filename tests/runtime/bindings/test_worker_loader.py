"""Workers that a worker starts from source: as the platform has it, bounded, and nobody else's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.bindings import worker_loader
from pyworkerd.bindings.worker_loader import capability
from pyworkerd.errors import ConfigurationError, WorkerException
from pyworkerd_config import Binding, Limits

from tests.runtime.bindings.hosts import Outside

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.loaded import LoadedWorker
    from pyworkerd.runtime import Runtime

LOADER = Binding("LOADER", "worker_loader", {})
PARENT = """
import asyncio
from workers import Request, Response, WorkerEntrypoint

GREETER = '''
import asyncio, random
from workers import Response, WebSocketPair, WorkerEntrypoint, fetch
import words
print("loading")
count = 0
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        mine = request.headers.get("x-pyworkerd-loaded")
        return Response(f"{request.method} {request.url} {mine} {await request.text()}", status=201)
    async def greet(self, name, mark="!"):
        global count
        count += 1
        print("greets", name)
        return f"{words.HELLO}, {name}{mark} {count}"
    async def env_of(self):
        return [sorted(self.env), self.env["A"], self.env["B"]]
    async def outside(self):
        return await (await fetch("http://example.com/")).text()
    async def ask(self, *arguments):
        return await self.env.TOOLS.tool(*arguments)
    async def ask_all(self, times):
        for number in range(times):
            await self.env.OUT.fetch("http://out/")
    async def fail(self):
        raise KeyError("lost")
    async def spin(self):
        while True:
            pass
    async def eat(self):
        kept = []
        while True:
            kept.append(bytearray(1 << 20))
    async def draw(self):
        return random.getrandbits(64)
    async def pause(self):
        await asyncio.sleep(0.2)
        return count
class Echo(WorkerEntrypoint):
    async def fetch(self, request):
        client, server = WebSocketPair().object_values()
        server.accept()
        server.addEventListener("message", lambda event: server.send(event.data))
        return Response(None, status=101, web_socket=client)
class Named(WorkerEntrypoint):
    async def props(self):
        return self.ctx.props
'''

def code(**more):
    return {
        "compatibility_date": "2026-11-01",
        "main_module": "worker.py",
        "modules": {"worker.py": GREETER, "words.py": {"py": "HELLO = 'hello'"}, "a/b.txt": {"text": "x"}},
        "env": {"A": {"x": [1, None]}, "B": b"bytes"},
        **more,
    }

class Tools(WorkerEntrypoint):
    async def tool(self, name):
        return f"{self.ctx.props['of']} {name}"

class Default(WorkerEntrypoint):
    def stub(self, name="greeter", **more):
        self.asked = getattr(self, "asked", 0)
        async def describe():
            self.asked += 1
            return code(**more)
        return self.env.LOADER.get(name, describe)

    async def fetch(self, request):
        return await self.stub("echo").get_entrypoint("Echo").fetch(request)

    async def crowd(self, number):
        entrypoint = self.stub("crowd").get_entrypoint()
        return await asyncio.gather(*(entrypoint.pause() for _ in range(number)))

    async def greet(self, name, loaded="greeter"):
        stub = self.stub(loaded)
        return [await stub.get_entrypoint().greet(name), self.asked]

    async def twice(self):
        one, other = self.stub(None), self.stub(None)
        return [await one.getEntrypoint().greet("a"), await other.getEntrypoint().greet("b")]

    async def side_by_side(self):
        stubs = [self.stub("same") for _ in range(8)]
        return await asyncio.gather(*(stub.get_entrypoint().greet("x") for stub in stubs))

    async def send(self):
        entry = self.stub().get_entrypoint()
        first = await entry.fetch("http://in/one", method="POST", body="body", headers={"x-pyworkerd-loaded": "mine"})
        async def pieces():
            yield b"str"
            yield b"eam"
        second = await entry.fetch(Request("http://in/two", method="PUT", body=pieces()))
        return [first.status, await first.text(), await second.text()]

    async def method(self, name, method, more, *arguments):
        return await getattr(self.stub(name, **more).get_entrypoint(), method)(*arguments)

    async def with_tools(self, name, *arguments):
        env = {"TOOLS": self.env.SELF, "A": 1, "B": 2}
        return await self.stub(name, env=env).get_entrypoint().ask(*arguments)

    async def with_out(self, times, more):
        return await self.stub(None, env={"OUT": self.env.OUT}, **more).get_entrypoint().ask_all(times)

    async def with_network(self):
        return await self.stub(None, global_outbound=self.env.OUT).get_entrypoint().outside()

    async def named(self, name, props):
        return await self.stub().get_entrypoint(name, props=props).props()

    async def load(self, source, main="worker.py"):
        try:
            await self.env.LOADER.load({"mainModule": main, "modules": {"worker.py": source}})
        except Exception as error:
            return [type(error).__name__, str(error), getattr(error, "code", None)]

    async def describe(self, described):
        try:
            await self.env.LOADER.load(described)
        except Exception as error:
            return [type(error).__name__, str(error)]

    async def numbered(self, number):
        try:
            return await self.env.LOADER._call("call", f"[{number},null,null]", "draw", b"")
        except Exception as error:
            return [type(error).__name__, getattr(error, "code", None)]

    async def many(self, number):
        stubs = [self.stub(f"w{i}") for i in range(number)]
        for stub in stubs:
            await stub
        return [(await stub.get_entrypoint().greet("x"))[-1] for stub in (stubs[0], stubs[-1])]

    async def handed(self, index):
        spec = {"main": "w.py", "modules": [["w.py", b""]], "env": [["X", index]], "outbound": None, "limits": {}}
        try:
            return await self.env.LOADER._call("load", "", spec)
        except Exception as error:
            return [type(error).__name__, str(error)]
"""


async def parent(runtime: Runtime, **options: Any) -> LoadedWorker:
    bindings = {"LOADER": LOADER, **options.pop("bindings", {})}
    return await runtime.load({"parent.py": PARENT}, bindings=bindings, **options)


def test_a_named_worker_is_loaded_once(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await parent(runtime)
        assert await worker.call("greet", "you") == ["hello, you! 1", 1]
        assert await worker.call("greet", "you") == ["hello, you! 2", 0]
        assert await worker.call("greet", "you", "other") == ["hello, you! 1", 1]
        assert await worker.call("twice") == ["hello, a! 1", "hello, b! 1"]
        assert sorted(await worker.call("side_by_side")) == [f"hello, x! {n}" for n in range(1, 9)]
        assert await worker.call("method", None, "env_of", {}) == [["A", "B"], {"x": [1, None]}, b"bytes"]
        assert await worker.call("named", "Named", {"role": 1}) == {"role": 1}

    with_runtime(main)


def test_requests_and_bodies(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await parent(runtime)
        assert await worker.call("send") == [
            201,
            "POST http://in/one mine body",
            "PUT http://in/two None stream",
        ]

    with_runtime(main)


def test_no_two_of_them_draw_one_number(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await parent(runtime)
        drawn = [await worker.call("method", None, "draw", {}) for _ in range(4)]
        assert len(set(drawn)) == 4

    with_runtime(main)


def test_it_may_use_what_it_was_given(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        tools = await parent(runtime)
        bindings = {"SELF": tools.entrypoint("Tools", {"of": "tool of"}), "OUT": Outside()}
        worker = await parent(runtime, bindings=bindings, limits=Limits(subrequests=5))
        assert await worker.call("with_tools", None, "tea") == "tool of tea"
        with pytest.raises(WorkerException, match="no outbound network"):
            await worker.call("method", None, "outside", {})
        assert await worker.call("with_network") == "echo"
        await worker.call("with_out", 5, {})
        with pytest.raises(WorkerException, match="subrequests"):
            await worker.call("with_out", 6, {"limits": {"sub_requests": 100}})
        with pytest.raises(WorkerException, match="subrequests"):
            await worker.call("with_out", 3, {"limits": {"subRequests": 2}})

    with_runtime(main)


def test_errors_of_the_loaded_code_come_to_the_caller(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await parent(runtime)
        with pytest.raises(WorkerException, match="lost") as caught:
            await worker.call("method", None, "fail", {})
        assert caught.value.type_name == "KeyError"
        for method, word in (("spin", "CPU time"), ("eat", "memory_mb"), ("nothing", "no method")):
            with pytest.raises(WorkerException, match=word):
                await worker.call("method", None, method, {"limits": {"cpu_ms": 40, "memory_mb": 48}})
        with pytest.raises(WorkerException, match="exports no entrypoint 'Other'"):
            await worker.call("named", "Other", None)
        assert await worker.call("load", "x = = 1") == [
            "CallError", "worker.py:1: SyntaxError: invalid syntax", "load_failed"
        ]  # fmt: skip
        assert await worker.call("load", "\n1 / 0") == [
            "CallError", "worker.py:2: ZeroDivisionError: division by zero", "load_failed"
        ]  # fmt: skip
        found = await worker.call("load", "import random\nrandom.random()")
        assert "random numbers" in found[1]
        assert await worker.call("load", "", "other.py") == [
            "TypeError", "main_module 'other.py' is not among the modules", None
        ]  # fmt: skip

    with_runtime(main)


@pytest.mark.parametrize(
    ("described", "word"),
    [
        ([], "dictionary"),
        ({}, "main_module and modules"),
        (
            {"main_module": "a.py", "modules": {"a.py": "", "b.txt": "x"}},
            "'b.txt' is neither Python nor JavaScript",
        ),
        ({"main_module": "a.py", "modules": {"a.py": {"wasm": b""}}}, "py, text, data, json"),
        ({"main_module": "a.py", "modules": {"a.py": {"data": "text"}}}, "must be bytes"),
        ({"main_module": "a.py", "modules": {"../a.py": "", "a.py": ""}}, "plain relative path"),
        ({"main_module": "a.py", "modules": {"a.py": ""}, "tails": []}, "no 'tails'"),
        ({"main_module": "a.py", "modules": {"a.py": ""}, "env": {"a b": 1}}, "cannot be a name"),
        ({"main_module": "a.py", "modules": {"a.py": ""}, "limits": {"wall": 1}}, "limits has 'wall'"),
        ({"main_module": "a.py", "modules": {"a.py": ""}, "limits": {"cpu_ms": 0}}, "positive integer"),
        ({"main_module": "a.py", "modules": {"a.py": ""}, "global_outbound": "x"}, "service stub"),
    ],
)
def test_descriptions_that_mean_nothing(with_runtime: Callable[..., None], described: Any, word: str) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await parent(runtime)
        kind, message = await worker.call("describe", described)
        assert kind == "TypeError"
        assert word in message

    with_runtime(main)


def test_an_isolate_that_ended_is_followed_by_another(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await parent(runtime, limits=Limits(memory_mb=64, cpu_ms=2000))
        assert await worker.call("greet", "you") == ["hello, you! 1", 1]
        with pytest.raises(WorkerException, match="memory_mb"):
            await worker.call("method", "greeter", "eat", {})
        assert await worker.call("greet", "you") == ["hello, you! 1", 0]  # loaded still, by its number

    with_runtime(main)


def test_more_isolates_than_one(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await parent(runtime, limits=Limits(concurrency=1, isolates=3, cpu_ms=2000))
        assert len(await worker.call("crowd", 6)) == 6
        (loaded,) = [one for one in runtime.fleet.workers if one is not worker.service]
        assert loaded.statistics()["isolates"] > 1  # a caller leaves places to others

    with_runtime(main)


def test_a_web_socket_of_a_loaded_worker(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await parent(runtime)
        async with await worker.web_socket("/") as socket:
            await socket.send("hello")
            assert await socket.receive() == "hello"

    with_runtime(main)


def test_its_log_is_its_parents(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await parent(runtime, name="agent")
        await worker.call("greet", "you")
        assert [(e.worker, e.source, e.message) for e in worker.logs] == [
            ("agent", "greeter/stdout", "loading"),
            ("agent", "greeter/stdout", "greets you"),
        ]

    with_runtime(main)


def test_nobody_reaches_anothers(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        one, other = await parent(runtime), await parent(runtime)
        assert await one.call("greet", "you") == ["hello, you! 1", 1]
        for number in (0, 1, 2, -1):
            assert await other.call("numbered", number) == ["CallError", "not_loaded"]
        assert await other.call("greet", "you") == ["hello, you! 1", 1]

    with_runtime(main)


def test_only_stubs_are_handed_on(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await parent(runtime, bindings={"HELLO": Binding("HELLO", "hello", "hi")}, network=True)
        for index in (-1, 0, 1, 2, 3, 1 << 40):  # the network of its own, the loader, hello, nothing
            kind, message = await worker.call("handed", index)
            assert (kind, message[:29]) == ("TypeError", "only a worker's own service s")

    with_runtime(main)


def test_they_are_bounded_in_number(
    with_runtime: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that was used longest ago goes, and comes again from its source when it is asked."""
    monkeypatch.setattr(capability, "MAX_LOADED", 3)

    async def main(runtime: Runtime) -> None:
        worker = await parent(runtime)
        assert await worker.call("many", 5) == ["1", "1"]
        assert len(runtime.fleet.workers) <= 1 + 3

    with_runtime(main)


def test_they_are_bounded_in_what_waits(
    with_runtime: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capability, "MAX_WAITING", 2)

    async def main(runtime: Runtime) -> None:
        worker = await parent(runtime)
        with pytest.raises(WorkerException, match="2 workers wait to be loaded"):
            await worker.call("side_by_side")

    with_runtime(main)


def test_together_they_take_no_more_memory_than_their_parent_may(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await parent(runtime, limits=Limits(memory_mb=48, isolates=1))
        for number in range(60):
            await worker.call("greet", "you", f"w{number}")
        loaded = sum(one.memory() for one in runtime.fleet.workers if one is not worker.service)
        assert 0 < loaded <= 48 << 20

    with_runtime(main)


def test_closing_the_parent_in_the_middle(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await parent(runtime, limits=Limits(cpu_ms=5000))
        running = asyncio.ensure_future(worker.call("method", "x", "spin", {}))
        while len(runtime.fleet.workers) < 2:
            await asyncio.sleep(0.001)
        loading = asyncio.ensure_future(worker.call("load", "while True: pass"))
        for _ in range(10):
            await asyncio.sleep(0.001)
        await worker.aclose()
        results = await asyncio.gather(running, loading, return_exceptions=True)
        assert all(isinstance(result, Exception) for result in results)

    with_runtime(main)


def test_the_value_is_an_empty_table() -> None:
    with pytest.raises(ConfigurationError, match="worker_loader = "):
        worker_loader.WorkerLoaderBinding.configure(Binding("LOADER", "worker_loader", {"id": "x"}))
