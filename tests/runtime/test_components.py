"""Components among other workers: what the page shows, service bindings both ways, and what a component is not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from pyworkerd.errors import ExceededMemory, NoSuchMethod, WorkerException
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd_config import load
from pyworkerd_isolates.component import compiler

from tests.isolates.component.programs import (
    HELLO,
    LINE,
    RESPOND,
    RESPONDING,
    cgi,
    compiled_here,
    component,
    handle,
)
from tests.packaging.markdown import code_blocks, page

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

FRONT = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/call"):
            return Response(str(await self.env.BACK.method()))
        return await self.env.BACK.fetch(request)
"""
OTHER = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("", status=203 if request.url == "https://o.uk!/" else 500)
"""
ASKING = component(
    handle(
        """(local.set $i (call $request (call $fields)))
        (drop (call $authority (local.get $i) (i32.const 1) (i32.const 1024) (i32.const 5)))
        (call $send (local.get $i) (i32.const 0) (i32.const 0) (i32.const 64))
        (local.set $i (i32.load (i32.const 72)))
        (call $block (call $subscribe (local.get $i)))
        (call $get (local.get $i) (i32.const 64))
        (i32.store8 (i32.const 1024) (i32.sub (call $status (i32.load (i32.const 88))) (i32.const 140)))
        (call $put (call $respond (local.get $out)) (i32.const 1024) (i32.const 1) (i32.const 32)) (call $close)""",
        RESPOND,
    ).replace("(param $request i32)", "(param $asked i32)"),
    {
        **RESPONDING,
        "request": f"{LINE}outgoing-request",
        "authority": f"{LINE}outgoing-request.set-authority",
        "send": "wasi:http/outgoing-handler handle",
        "subscribe": f"{LINE}future-incoming-response.subscribe",
        "get": f"{LINE}future-incoming-response.get",
        "status": f"{LINE}incoming-response.status",
        "block": "wasi:io/poll pollable.block",
    },
    '(data (i32.const 1024) "o.uk!")',
)
CONFIG = """
[[services]]
name = "front"
[services.worker]
main = "front/front.py"
compatibility_date = "2026-11-01"
[services.worker.bindings]
BACK = { service = "back" }

[[services]]
name = "back"
[services.worker]
main = "back.wasm"
compatibility_date = "2026-11-01"
global_outbound = "other"

[[services]]
name = "other"
[services.worker]
main = "other/other.py"
compatibility_date = "2026-11-01"
"""


@pytest.fixture
def running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: object
) -> Callable[[bytes, Callable[[Runtime], Coroutine[object, object, None]]], None]:
    """Runs something with a component behind one Python worker and in front of another."""
    monkeypatch.setattr(compiler, "compiled", compiled_here)
    for name, text in (("front", FRONT), ("other", OTHER)):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.py").write_text(text)
    (tmp_path / "config.toml").write_text(CONFIG)

    def run(binary: bytes, main: Callable[[Runtime], Coroutine[object, object, None]]) -> None:
        (tmp_path / "back.wasm").write_bytes(binary)

        async def whole() -> None:
            async with Runtime(load(tmp_path / "config.toml")) as runtime:
                await main(runtime)

        asyncio.run(whole())

    return run


def test_a_python_worker_asks_a_component(running: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        front = runtime.worker("front")
        answers = await asyncio.gather(*[front.fetch("/") for _ in range(20)])
        assert [await answer.read() for answer in answers] == [b"hello"] * 20
        with pytest.raises(NoSuchMethod, match="can be sent requests"):
            await runtime.worker("back").call("method")
        with pytest.raises(WorkerException, match="can be sent requests"):
            await front.fetch("/call")

    running(HELLO, main)


def test_whoever_waits_for_a_compiler_hears_of_it(monkeypatch: pytest.MonkeyPatch, sandbox: object) -> None:
    monkeypatch.setattr(compiler, "compiled", compiled_here)
    binary = cgi("(call $say (i32.const 1024) (i32.const 8))", f"A: {uuid4()}\\n\\nhi")

    async def told() -> list[str]:
        steps: list[str] = []
        async with Runtime(None, RuntimeOptions(progress=steps.append)) as runtime:
            await runtime.load({"new.wasm": binary})
        return steps

    assert asyncio.run(told()) == ["compiling new.wasm, 0.0 MB: a large component takes a while"]
    assert asyncio.run(told()) == [], "it is cached"


def test_a_component_asks_a_python_worker(running: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        assert await (await runtime.worker("front").fetch("/")).read() == bytes([203 - 140])

    running(ASKING, main)


@pytest.mark.parametrize(
    ("first", "error"),
    [
        ("", WorkerException),
        ("(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))", ExceededMemory),
    ],
)
def test_what_a_program_says_before_it_traps_is_in_the_log(
    running: Callable[..., None], first: str, error: type[Exception]
) -> None:
    said = """(i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 19))
        (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8))) (unreachable)"""
    traps = cgi(first + said, "panicked\\nat hello.c")

    async def main(runtime: Runtime) -> None:
        worker = runtime.worker("back")
        with pytest.raises(error):
            await worker.fetch("/")
        panicked, where, ended = worker.logs
        assert (panicked.level, panicked.message, panicked.source) == ("error", "panicked", "stderr")
        assert (where.message, "an isolate ended" in ended.message) == ("at hello.c", True)
        assert panicked.invocation == where.invocation != 0

    running(traps, main)


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "compiled", compiled_here)
    (tmp_path / "config.toml").write_text(code_blocks(page("docs/components.md"), "toml")[0])
    (tmp_path / "shop.wasm").write_bytes(cgi("(call $say (i32.const 1024) (i32.const 8))", "A: b\\n\\nhi"))

    async def main() -> None:
        async with Runtime(load(tmp_path / "config.toml")) as runtime:
            assert await (await runtime.worker("shop").fetch("/")).read() == b"hi"

    asyncio.run(main())
