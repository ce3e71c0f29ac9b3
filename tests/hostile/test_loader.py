"""What a tenant could do to others by means of workers that it loads: each was tried and is held."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import PyworkerdError, WorkerException
from pyworkerd.runtime import Runtime
from pyworkerd_config import Binding
from pyworkerd_config.model import Limits
from pyworkerd_isolates.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LOADER = {"LOADER": Binding("LOADER", "worker_loader", {})}
FLOOD = """
import asyncio
from _pyworkerd import calls, outbox
from workers import Response, WorkerEntrypoint

CODE = '''
from workers import Response, WorkerEntrypoint
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        from _pyworkerd import calls
        return Response(str(await calls.finish_fetch(calls.begin_fetch(%s, "GET", "http://x/", %s, None, "manual"))))
    async def number(self):
        return %s
'''

class Default(WorkerEntrypoint):
    async def flood(self, first, count):
        async def one(number):
            source = CODE % (0, [], number)
            stub = self.env.LOADER.load({"main_module": "w.py", "modules": {"w.py": source}})
            return await stub.get_entrypoint().number()
        found = await asyncio.gather(*map(one, range(first, first + count)), return_exceptions=True)
        return sorted({getattr(each, "code", "done") for each in found})

    async def reach(self, index, headers):
        source = CODE % (index, headers, 0)
        stub = self.env.LOADER.load({"main_module": "w.py", "modules": {"w.py": source}})
        return await (await stub.get_entrypoint().fetch("http://in/")).text()

    async def slow(self, count):
        async def one(number):
            source = f"while True: pass  # {number}"
            return await self.env.LOADER.load({"main_module": "w.py", "modules": {"w.py": source}})
        found = await asyncio.gather(*map(one, range(count)), return_exceptions=True)
        return sorted({each.code for each in found})

    async def forge(self, text):
        headers = [["x-pyworkerd-loaded", text]] if text is not None else []
        answer = await calls.finish_fetch(
            calls.begin_fetch(self.env.LOADER._index, "GET", "http://x/", headers, None, "manual"))
        return answer[0]
"""
VICTIM = """
from workers import Response, WorkerEntrypoint
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("well")
"""


def run(test: Callable[[Runtime], Awaitable[None]]) -> None:
    async def main() -> None:
        async with Runtime() as runtime:
            await test(runtime)

    asyncio.run(main())


def test_a_flood_of_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """A neighbour is answered throughout, nothing is written to the cache, and little is kept."""

    async def main(runtime: Runtime) -> None:
        tenant = await runtime.load({"w.py": FLOOD}, bindings=LOADER, limits=Limits(cpu_ms=5000))
        victim = await runtime.load({"v.py": VICTIM})
        assert runtime.fleet.images is not None
        written: list[str] = []
        monkeypatch.setattr(Cache, "put", lambda _, name, *__: written.append(name))
        mapped = len(runtime.fleet.images)
        flood = asyncio.ensure_future(tenant.call("flood", 0, 400))
        answers = 0
        while not flood.done():
            assert await (await victim.fetch("/")).text() == "well"
            answers += 1
        assert await flood == ["done", "overloaded"]
        assert answers > 10
        assert await tenant.call("flood", 1000, 30) == ["done"]
        assert written == []
        assert len(runtime.fleet.images) == mapped
        assert len(runtime.fleet.workers) < 70

    run(main)


def test_top_levels_that_never_end() -> None:
    async def main(runtime: Runtime) -> None:
        limits = Limits(cpu_ms=5000, startup_ms=50)
        tenant = await runtime.load({"w.py": FLOOD}, bindings=LOADER, limits=limits)
        victim = await runtime.load({"v.py": VICTIM})
        slow = asyncio.ensure_future(tenant.call("slow", 10))
        while not slow.done():
            assert await (await victim.fetch("/")).text() == "well"
        assert await slow == ["load_failed"]

    run(main)


def test_a_loaded_worker_names_what_its_parent_has() -> None:
    """Its table is its own: no index leads to the parent's loader or network, nor to another loaded worker."""

    async def main(runtime: Runtime) -> None:
        tenant = await runtime.load({"w.py": FLOOD}, bindings=LOADER, network=True)
        for index in (0, 1, 2, 7):
            with pytest.raises(WorkerException, match=r"never given|no outbound"):
                await tenant.call("reach", index, [["x-pyworkerd-loaded", "[1,null,null]"]])

    run(main)


def test_addresses_that_are_none() -> None:
    async def main(runtime: Runtime) -> None:
        tenant = await runtime.load({"w.py": FLOOD}, bindings=LOADER)
        for text in (
            None,
            "",
            "[]",
            "[1]",
            "[1,null,null]",
            '["1",null,null]',
            "[" * 5000,
            "[1e999,null,null]",
        ):
            with pytest.raises(PyworkerdError) as caught:
                await tenant.call("forge", text)
            assert "failed to perform" not in str(caught.value)

    # The collector may begin where the brackets have used up the stack, and then cannot call what hears of it. That is
    # told as a warning, which is an error here.
    gc.disable()
    try:
        run(main)
    finally:
        gc.enable()
