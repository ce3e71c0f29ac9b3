"""Every binding as a real worker sees it: defined, undefined, and not granted."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.bindings.registry import FROM_PYTHON, KINDS
from pyworkerd.errors import WorkerError, WorkerException
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd_config import Binding, load

from tests.runtime.bindings.hosts import Echo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pyworkerd.loaded import LoadedWorker

SOURCE = """
from workers import DurableObject, WorkerEntrypoint, Response, fetch

class Room(DurableObject):
    async def greet(self, name):
        return f"good day, {name}!"

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("answer of " + request.url)

    async def read(self, name):
        return self.env[name]

    async def attribute(self, name):
        return getattr(self.env, name)

    async def names(self):
        return sorted(self.env)

    async def object(self, name, method, *positional):
        return await getattr(self.env[name].get_by_name("a"), method)(*positional)

    async def method(self, name, method, *positional):
        return await getattr(self.env[name], method)(*positional)

    async def loaded(self, name, source):
        stub = self.env[name].load({"main_module": "w.py", "modules": {"w.py": source}})
        return await stub.get_entrypoint().double(21)

    async def point(self, name):
        return self.env[name].write_data_point(doubles=[1.0])

    async def ask(self, name, *positional, **named):
        return await self.env[name](*positional, **named)

    async def catch(self, name, *positional):
        try:
            return await self.env[name](*positional)
        except Exception as error:
            return [type(error).__name__, str(error)]

    async def send(self, name, url):
        return await (await self.env[name].fetch(url)).text()

    async def outside(self, url):
        return await (await fetch(url)).text()

    async def forge(self, index, method):
        from _pyworkerd import calls
        import _wire
        return _wire.load_value(await calls.call(index, method, _wire.dump_value([["x"], {}])))

    async def broken_arguments(self, index):
        from _pyworkerd import calls
        return await calls.call(index, "greet", b"not a frame")

    async def around(self, depth):
        return 1 if depth == 0 else 1 + await self.env.SELF.around(depth - 1)

    async def side_by_side(self, width):
        import asyncio
        return sum(await asyncio.gather(*(self.env.OTHER.around(0) for _ in range(width))))
"""


@asynccontextmanager
async def worker(bindings: dict[str, Any] | None = None, **options: Any) -> AsyncIterator[LoadedWorker]:
    runtime_options = RuntimeOptions(environment={"TOKEN": "from the environment"})
    async with Runtime(options=runtime_options) as runtime:
        given = {name: runtime.queue("jobs") if it is QUEUE else it for name, it in (bindings or {}).items()}
        yield await runtime.load({"worker.py": SOURCE}, bindings=given, **options)


def run(bindings: dict[str, Any], method: str, *positional: Any, **named: Any) -> Any:
    async def main() -> Any:
        async with worker(bindings) as loaded:
            return await loaded.call(method, *positional, **named)

    return asyncio.run(main())


def configured(kind: str, value: Any) -> Binding:
    return Binding("NAME", kind, value)


def double(number: int) -> int:
    return 2 * number


QUEUE = object()
"""A queue of the runtime that is made for the test."""
NOTHING_WAITS = {"backlogCount": 0, "backlogBytes": 0, "oldestMessageTimestamp": None}
DEFINED: dict[str, tuple[Any, str, tuple[Any, ...], Any]] = {
    "text": (configured("text", "hi"), "read", ("NAME",), "hi"),
    "json": (configured("json", {"a": [1, None]}), "read", ("NAME",), {"a": [1, None]}),
    "data": (configured("data", b"\0\xff"), "attribute", ("NAME",), b"\0\xff"),
    "environment": (configured("environment", "TOKEN"), "attribute", ("NAME",), "from the environment"),
    "secret": (configured("secret", "TOKEN"), "read", ("NAME",), "from the environment"),
    "service": (Echo(), "send", ("NAME", "http://echo/"), "echo"),
    "rate_limit": (
        configured("rate_limit", {"limit": 1, "period": 1000}),
        "method",
        ("NAME", "limit", {"key": "k"}),
        {"success": True},
    ),
    "r2": (configured("r2", "files"), "method", ("NAME", "head", "nothing"), None),
    "kv": (configured("kv", "cache"), "method", ("NAME", "get", "nothing"), None),
    "durable_object": (
        configured("durable_object", "Room"),
        "object",
        ("NAME", "greet", "you"),
        "good day, you!",
    ),
    "queue": (QUEUE, "method", ("NAME", "metrics"), NOTHING_WAITS),
    "d1": (configured("d1", "shop"), "method", ("NAME", "batch", []), []),
    "worker_loader": (
        configured("worker_loader", {}),
        "loaded",
        (
            "NAME",
            "from workers import WorkerEntrypoint as W\nclass Default(W):\n    async def double(self, n): return 2 * n",
        ),
        42,
    ),
    "analytics_engine": (configured("analytics_engine", "requests"), "point", ("NAME",), None),
    "hello": (configured("hello", "good day"), "method", ("NAME", "greet", "you"), "good day, you!"),
    "callable": (double, "ask", ("NAME", 21), 42),
}


def test_every_kind_is_tried() -> None:
    # A wrapped binding is what JavaScript of the configuration's makes: see test_wrapped.
    assert {*DEFINED, "wrapped"} == {*KINDS, *FROM_PYTHON}


@pytest.mark.parametrize("kind", DEFINED)
def test_defined(kind: str) -> None:
    binding, method, positional, expected = DEFINED[kind]
    assert run({"NAME": binding}, method, *positional) == expected


@pytest.mark.parametrize("method", ["read", "attribute"])
def test_undefined(method: str) -> None:
    with pytest.raises(WorkerException, match="this worker has no binding named 'OTHER'") as caught:
        run({"NAME": "value"}, method, "OTHER")
    assert caught.value.type_name == {"read": "KeyError", "attribute": "AttributeError"}[method]


@pytest.mark.parametrize("kind", DEFINED)
def test_not_granted(kind: str) -> None:
    """Another worker of the same process has the binding; this one neither sees it nor reaches it by a number."""
    binding = DEFINED[kind][0]

    async def main() -> None:
        async with Runtime(options=RuntimeOptions(environment={"TOKEN": "secret"})) as runtime:
            given = runtime.queue("jobs") if binding is QUEUE else binding
            await runtime.load({"worker.py": SOURCE}, bindings={"NAME": given})
            other = await runtime.load({"worker.py": SOURCE})
            assert await other.call("names") == []
            for index in (0, 1, 2):
                with pytest.raises(WorkerError):
                    await other.call("forge", index, "greet")

    asyncio.run(main())


def test_the_names_are_those_that_were_given() -> None:
    assert run({"B": 1, "A": "x", "C": double}, "names") == ["A", "B", "C"]


def test_exceptions_of_a_function_are_exceptions_of_the_worker() -> None:
    def fail(name: str) -> None:
        raise {"known": ValueError, "own": type("OwnError", (Exception,), {})}[name]("no")

    assert run({"NAME": fail}, "catch", "NAME", "known") == ["ValueError", "no"]
    assert run({"NAME": fail}, "catch", "NAME", "own") == ["CallError", "OwnError: no"]
    assert run({"NAME": double}, "catch", "NAME", 1, 2)[0] == "TypeError"


def test_arguments_that_are_no_arguments() -> None:
    with pytest.raises(WorkerException, match="arguments") as caught:
        run({"NAME": configured("hello", "hi")}, "broken_arguments", 1)
    assert caught.value.type_name == "TypeError"


def test_a_worker_asks_another_by_request_and_by_method() -> None:
    async def main() -> None:
        async with Runtime() as runtime:
            other = await runtime.load({"worker.py": SOURCE}, bindings={"WHO": "the other"})
            one = await runtime.load({"worker.py": SOURCE}, bindings={"OTHER": other})
            assert await one.call("send", "OTHER", "http://other/path") == "answer of http://other/path"
            assert await one.call("method", "OTHER", "read", "WHO") == "the other"
            with pytest.raises(WorkerException, match=r"no binding named .*X"):
                await one.call("method", "OTHER", "read", "X")
            assert await one.call("side_by_side", 40) == 40

    asyncio.run(main())


CONFIG = """
[[services]]
name = "loop"
[services.worker]
main = "loop.py"
global_outbound = false
[services.worker.bindings]
SELF = { service = "loop" }
"""


def test_a_loop_of_services_ends(tmp_path: Path) -> None:
    (tmp_path / "loop.py").write_text(SOURCE)
    (tmp_path / "config.toml").write_text(CONFIG)

    async def main() -> None:
        async with Runtime(load(tmp_path / "config.toml")) as runtime:
            loop = runtime.worker("loop")
            assert await loop.call("around", 32) == 33
            with pytest.raises(WorkerError, match="32 services"):
                await loop.call("around", 33)

    asyncio.run(main())


def test_the_way_out_leads_where_it_was_told_to() -> None:
    async def main() -> None:
        async with worker(network=Echo()) as loaded:
            assert await loaded.call("outside", "https://example.com/") == "echo"
        async with worker() as loaded:
            with pytest.raises(WorkerError, match="no outbound network"):
                await loaded.call("outside", "https://example.com/")

    asyncio.run(main())
