"""Workers whose isolates are subinterpreters, among others: the same events, effects and services, and no sandbox."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.errors import (
    ConfigurationError,
    ExceededCpu,
    ExceededWallTime,
    PyworkerdError,
    WorkerException,
)
from pyworkerd.messages import Body, Request
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd_config import parse_toml
from pyworkerd_config.checks.isolation import SINCE, isolation
from pyworkerd_config.kinds import BINDING_KINDS
from pyworkerd_config.model import Binding, Config, Limits, Place, Service
from pyworkerd_config.model import Worker as WorkerModel
from pyworkerd_isolates.subinterpreter.interpreters import missing
from pyworkerd_isolates.subinterpreter.running import left

from tests.packaging.markdown import code_blocks
from tests.packaging.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PAGE = (ROOT / "docs" / "trusted.md").read_text(encoding="utf-8")
ALLOWED = RuntimeOptions(allow_trusted=True)
LIMITS = Limits(cpu_ms=1000, startup_ms=30_000, isolates=2)
needs_them = pytest.mark.skipif(missing() is not None, reason=str(missing()))

NATIVE = """
import asyncio, ctypes, os, threading
from pathlib import Path
from workers import Response, WorkerEntrypoint

with (Path(__file__).parent / ".ran").open("a") as ran:
    ran.write("!")
print("top level")
count = 0

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        global count
        count += 1
        path = request.url.rsplit("/", 1)[1]
        if path == "echo":
            return Response(request.body)
        if path == "boom":
            raise ValueError("boom")
        while path == "spin":
            pass
        if path == "hang":
            os.read(self.env.HANG, 1)
        if path == "stubborn":
            ctypes.PyDLL(None).read(self.env.HANG, ctypes.create_string_buffer(1), 1)
        if path.startswith("meet"):
            # Holds this interpreter's lock until the other has written, which needs a lock of its own.
            mine, others = self.env.MEET if path == "meet1" else self.env.MEET[::-1]
            os.write(others[1], b"!")
            library = ctypes.PyDLL(None)
            library.read(mine[0], ctypes.create_string_buffer(1), 1)
            return Response("met")
        if path == "thread":
            return Response(await asyncio.to_thread(lambda: threading.current_thread().name))
        if path == "timer":
            await asyncio.sleep(0.01)
        if path == "long":
            for _ in range(900):
                print("x" * 20)
        if path == "leave":
            import inside
            inside._Line.read = lambda self: None  # it ends after this step
        if path == "kv":
            await self.env.KV.put("key", "kept")
            return Response(await self.env.KV.get("key"))
        if path == "add":
            return Response(str(await self.env.OTHER.add(1, 2)))
        print(f"{self.env.GREETING} said")
        return Response(f"{self.env.GREETING} {count}")

    async def double(self, number):
        return number * 2
"""
OTHER = """
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def add(self, one, two):
        return await self.env.NATIVE.double(one) + two
"""


def configured(folder: Path, source: str = NATIVE, limits: Limits = LIMITS, **bindings: Any) -> Config:
    for name, text in (("native", source), ("other", OTHER)):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "main.py").write_text(text, encoding="utf-8")
    own = (
        Binding("GREETING", "text", "hello"),
        Binding("KV", "kv", "cache"),
        Binding("OTHER", "service", "other"),
        *(Binding(name, "json", value) for name, value in bindings.items()),
    )
    native, other = folder / "native", folder / "other"
    trusted = WorkerModel(native / "main.py", native, limits=limits, bindings=own, isolation="subinterpreter")
    back = (Binding("NATIVE", "service", "native"),)
    sandboxed = WorkerModel(other / "main.py", other, limits=replace(LIMITS), bindings=back)
    return Config(
        services=(Service("native", trusted), Service("other", sandboxed)), state_dir=folder / "state"
    )


async def text(runtime: Runtime, path: str, body: Body | None = None) -> str:
    request = Request("POST" if body else "GET", f"http://native/{path}", (), body or Body())
    return await (await runtime.fetch(request, "native")).text()


@needs_them
def test_bindings_calls_bodies_timers_threads_and_logs(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    async def main(runtime: Runtime) -> None:
        assert await text(runtime, "") == "hello 1"
        assert await text(runtime, "timer") == "hello 2"
        assert await text(runtime, "kv") == "kept"
        assert await text(runtime, "add") == "4"
        assert await text(runtime, "thread") == "worker_0"
        data = os.urandom(3 << 20)

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(data), 1 << 16):
                yield data[start : start + (1 << 16)]

        request = Request("POST", "http://native/echo", (), Body(chunks=chunks()))
        assert await (await runtime.fetch(request, "native")).body.read() == data
        with pytest.raises(WorkerException, match="boom"):
            await text(runtime, "boom")
        logged = [(entry.source, entry.message.splitlines()[-1]) for entry in runtime.worker("native").logs]
        assert logged == [
            ("stdout", "top level"),
            ("stdout", "hello said"),
            ("stdout", "hello said"),
            ("exception", "ValueError: boom"),
        ]

    with_runtime(main, configured(tmp_path), ALLOWED)


@needs_them
def test_a_step_that_does_not_end_is_answered_and_the_next_has_another_isolate(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    async def main(runtime: Runtime) -> None:
        with pytest.raises(ExceededCpu):
            await text(runtime, "spin")
        assert await text(runtime, "") == "hello 1"
        logs = [entry.message for entry in runtime.worker("native").logs]
        assert any("an isolate ended: the worker used more than 100 ms" in each for each in logs)

    with_runtime(main, configured(tmp_path, limits=replace(LIMITS, cpu_ms=100)), ALLOWED)


@needs_them
def test_an_idle_isolate_that_ends_by_itself_is_in_nobodys_way(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    async def main(runtime: Runtime) -> None:
        assert await text(runtime, "leave") == "hello 1"
        while runtime.statistics().isolates:
            await asyncio.sleep(0)
        assert await text(runtime, "") == "hello 1"

    with_runtime(main, configured(tmp_path), ALLOWED)


@needs_them
def test_a_long_answer_is_read_beside_and_the_isolate_goes_on(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    async def main(runtime: Runtime) -> None:
        assert await text(runtime, "long") == "hello 1"
        assert await text(runtime, "timer") == "hello 2"
        assert await text(runtime, "thread") == "worker_0"

    with_runtime(main, configured(tmp_path), ALLOWED)


@needs_them
def test_a_step_that_waits_for_ever_is_left_behind(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    readable, writable = os.pipe()

    async def main(runtime: Runtime) -> None:
        with pytest.raises(ExceededWallTime):
            await text(runtime, "stubborn")
        while not left():
            await asyncio.sleep(0.01)
        assert await text(runtime, "") == "hello 1"
        os.write(writable, b"!")
        while left():
            await asyncio.sleep(0.01)

    with_runtime(main, configured(tmp_path, limits=replace(LIMITS, wall_ms=500), HANG=readable), ALLOWED)
    os.close(readable)
    os.close(writable)


@needs_them
def test_two_isolates_run_at_once_each_with_a_lock_of_its_own(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    pipes = [list(os.pipe()), list(os.pipe())]

    async def main(runtime: Runtime) -> None:
        met = await asyncio.gather(text(runtime, "meet1"), text(runtime, "meet2"))
        assert met == ["met", "met"]

    with_runtime(main, configured(tmp_path, limits=replace(LIMITS, concurrency=1), MEET=pipes), ALLOWED)
    for end in (*pipes[0], *pipes[1]):
        os.close(end)


@needs_them
def test_a_caller_that_goes_and_a_runtime_that_closes_wait_for_nothing(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    readable, writable = os.pipe()

    async def main(runtime: Runtime) -> None:
        hanging = asyncio.create_task(text(runtime, "hang"))
        while not runtime.statistics().isolates:
            await asyncio.sleep(0)
        hanging.cancel()
        await asyncio.wait([hanging])
        os.write(writable, b"!")

    with_runtime(main, configured(tmp_path, HANG=readable), ALLOWED)
    os.close(readable)
    os.close(writable)


@needs_them
def test_a_reload_runs_the_top_level_of_what_has_changed_and_of_nothing_else(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    async def main(runtime: Runtime) -> None:
        assert await text(runtime, "") == "hello 1"
        await runtime.reload(configured(tmp_path))
        assert await text(runtime, "") in ("hello 1", "hello 2")
        await runtime.reload(configured(tmp_path, NATIVE.replace("hello", "x").replace("{count}", "new")))
        assert await text(runtime, "") == "hello new"
        with pytest.raises(ConfigurationError, match=r"native/main\.py:1: ZeroDivisionError"):
            await runtime.reload(configured(tmp_path, "1/0"))
        assert await text(runtime, "") == "hello new"

    with_runtime(main, configured(tmp_path), ALLOWED)


@needs_them
def test_every_request_may_have_an_interpreter_of_its_own(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    config = configured(tmp_path)
    native, other = config.services
    fresh = replace(native, kind=replace(native.kind, reuse="request"))  # type: ignore[type-var]

    async def main(runtime: Runtime) -> None:
        assert [await text(runtime, "") for _ in range(3)] == ["hello 1"] * 3

    with_runtime(main, replace(config, services=(fresh, other)), ALLOWED)


def test_the_configuration_that_the_page_shows_is_right() -> None:
    (block,) = code_blocks(PAGE, "toml")
    config = parse_toml(block, Place(Path("config.toml")))
    assert list(isolation(config, BINDING_KINDS, SINCE)) == []
    assert [s.kind.isolation for s in config.services if isinstance(s.kind, WorkerModel)] == [
        "subinterpreter"
    ]


@needs_them
def test_the_worker_that_the_page_shows_runs(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    (block,) = code_blocks(PAGE, "python")

    async def main(runtime: Runtime) -> None:
        assert [await text(runtime, "") for _ in range(2)] == ["hello, visitor 1", "hello, visitor 2"]

    with_runtime(main, configured(tmp_path, block), ALLOWED)


@needs_them
def test_a_native_package_that_supports_them_and_one_that_does_not(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    source = NATIVE.replace("import asyncio", "import PACKAGE\nimport asyncio", 1)

    async def main(runtime: Runtime) -> None:
        assert await text(runtime, "") == "hello 1"
        with pytest.raises(
            ConfigurationError, match=r"main\.py:2: ImportError.*a version of that package that supports"
        ):
            await runtime.reload(configured(tmp_path, source.replace("PACKAGE", "httptools")))

    with_runtime(main, configured(tmp_path, source.replace("PACKAGE", "multidict._multidict")), ALLOWED)


def test_nothing_of_it_runs_unless_it_is_allowed(tmp_path: Path) -> None:
    async def main() -> None:
        for deploy in ("eager", "lazy"):
            config = replace(configured(tmp_path), deploy=deploy)  # type: ignore[arg-type]
            with pytest.raises(ConfigurationError, match=r"no security boundary|needs Python 3\.13"):
                async with Runtime(config):
                    pass

    asyncio.run(main())
    assert not (tmp_path / "native" / ".ran").exists()


@pytest.mark.skipif(missing() is None, reason="this Python has subinterpreters")
def test_an_older_python_refuses_it_with_what_to_write_instead(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(
            ConfigurationError, match=r'needs Python 3\.13 or newer.*write isolation = "wasm"'
        ):
            async with Runtime(configured(tmp_path), ALLOWED):
                pass

    asyncio.run(main())


LOADER = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def load(self, key, value):
        spec = {"main_module": "w.py", "modules": {"w.py": self.env.CODE}, key: value}
        return await self.env.LOADER.load(spec).get_entrypoint().where()
"""
LOADED = """
import sys
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def where(self):
        return sys.platform
"""


@pytest.mark.parametrize("key", ["isolation", "allow_trusted", "env"])
def test_the_worker_loader_starts_none(with_runtime: Callable[..., None], key: str) -> None:
    async def main(runtime: Runtime) -> None:
        loader = {"LOADER": Binding("LOADER", "worker_loader", {}), "CODE": LOADED}
        worker = await runtime.load({"worker.py": LOADER}, bindings=loader)
        value = {"isolation": "subinterpreter"} if key == "env" else "subinterpreter"
        try:
            assert await worker.call("load", key, value) == "wasi"
        except PyworkerdError as error:
            assert key in str(error)  # noqa: PT017 - refused, or in the sandbox: both are right

    with_runtime(main, None, ALLOWED)
