"""A store in the hands of the program, and in those of its workers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pyworkerd.bindings.kv.handle import Key
from pyworkerd.errors import BadCall
from pyworkerd.runtime import Runtime, RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

SOURCE = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        await self.env.CACHE.put("from the worker", "hello")
        return Response(await self.env.CACHE.get("from the program"))
"""


def test_the_program_and_its_workers_share_a_store(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        cache = runtime.kv("cache")
        assert repr(cache) == "<kv store 'cache'>"
        await cache.put("from the program", "good day", metadata={"n": 1}, expiration_ttl=60)
        workers = [await runtime.load({"w.py": SOURCE}, bindings={"CACHE": cache}) for _ in range(2)]
        assert [await (await worker.fetch("/")).text() for worker in workers] == ["good day"] * 2
        assert await cache.text("from the worker") == "hello"
        entry = await cache.entry("from the program")
        assert entry is not None
        assert (entry.value, entry.metadata) == (b"good day", {"n": 1})
        keys = await cache.list("from", limit=1)
        assert keys.keys == [Key("from the program", entry.expiration, {"n": 1})]
        assert not keys.list_complete
        rest = await cache.list("from", cursor=keys.cursor)
        assert [key.name for key in rest.keys] == ["from the worker"]
        await cache.delete("from the worker")
        assert await cache.get("from the worker") is None
        assert await cache.entry("from the worker") is None
        with pytest.raises(BadCall, match="413 Metadata"):
            await cache.put("k", b"", metadata="x" * 2000)
        with pytest.raises(ValueError, match="JSON"):
            await cache.put("k", b"", metadata=float("nan"))

    with_runtime(main)


def test_values_stream(with_runtime: Callable[..., None]) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 50_000

    async def main(runtime: Runtime) -> None:
        cache = runtime.kv("cache")
        await cache.put("k", chunks())
        body = await cache.stream("k")
        assert body is not None
        sizes = [len(chunk) async for chunk in body]
        assert sum(sizes) == 1_000_000
        assert max(sizes) <= 262_144
        assert await cache.stream("none") is None
        await cache.aclose()

    with_runtime(main)


def test_where_stores_are(tmp_path: Path) -> None:
    async def main() -> None:
        for attempt in range(2):
            async with Runtime(options=RuntimeOptions(state_dir=tmp_path / "state")) as runtime:
                if attempt:
                    assert await runtime.kv("cache").text("k") == "v"
                await runtime.kv("cache").put("k", "v")
                await runtime.kv("cache", worker="shop").put("k", "of the shop")
        found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.sqlite3"))
        assert found == ["state/kv/own.shop/cache.sqlite3", "state/kv/program/cache.sqlite3"]
        async with Runtime() as runtime:
            await runtime.kv("cache").put("k", "v")
            folder = runtime.state_dir(runtime.config)
            assert list(folder.rglob("*.sqlite3"))
        assert not folder.exists()

    asyncio.run(main())
