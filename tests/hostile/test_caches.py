"""What a tenant could do to others, or to the disk, by means of its caches: each was tried and is held."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import PyworkerdError
from pyworkerd.runtime import Runtime
from pyworkerd_config import load

from tests.runtime.cli.command import project

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
[[services]]
name = "tenant"
[services.worker]
main = "tenant.py"
limits = { cache_mb = 2, wall_ms = 3000, cpu_ms = 20000 }

[[services]]
name = "victim"
[services.worker]
main = "victim.py"
"""
SOURCE = """
import asyncio
from workers import Request, Response, WorkerEntrypoint, caches

KEEP = {"cache-control": "max-age=60"}

class Default(WorkerEntrypoint):
    async def keep(self, url, text):
        await caches.default.put(url, Response(text, headers=KEEP))

    async def find(self, url):
        found = await caches.default.match(url)
        return None if found is None else await found.text()

    async def fill(self, count, size):
        for number in range(count):
            await caches.default.put(f"http://a/{number}", Response("x" * size, headers=KEEP))

    async def vary(self, count):
        headers = {**KEEP, "vary": "a"}
        for number in range(count):
            asked = Request("http://a/", headers={"a": str(number)})
            await caches.default.put(asked, Response("x", headers=headers))

    async def names(self, names):
        for name in names:
            cache = await caches.open(name)
            await cache.put("http://a/", Response(name, headers=KEEP))
        return [await (await (await caches.open(name)).match("http://a/")).text() for name in names]

    async def forever(self):
        async def chunks():
            yield b"x" * 600_000
            await asyncio.Event().wait()
        await caches.default.put("http://endless/", Response(chunks(), headers=KEEP))

    async def grow(self):
        async def chunks():
            while True:
                yield b"x" * 65_536
        await caches.default.put("http://grow/", Response(chunks(), headers=KEEP))
        return await caches.default.match("http://grow/") is None
"""


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_tenant_that_fills_its_cache(tmp_path: Path) -> None:
    config = load(project(tmp_path, CONFIG, tenant=SOURCE, victim=SOURCE))

    async def main() -> None:
        async with Runtime(config) as runtime:
            tenant, victim = runtime.worker("tenant"), runtime.worker("victim")
            await victim.call("keep", "http://a/0", "mine")
            await tenant.call("fill", 60, 400_000)
            await tenant.call("vary", 200)
            assert await tenant.call("grow")
            with pytest.raises(PyworkerdError):
                await tenant.call("forever")
            assert await tenant.call("find", "http://endless/") is None
            await tenant.call("fill", 10, 400_000)
            assert await victim.call("find", "http://a/0") == "mine"
        assert size_of(tmp_path / ".pyworkerd") < 16 << 20

    asyncio.run(main())


def test_names_that_try_to_get_out(tmp_path: Path) -> None:
    config = load(project(tmp_path, CONFIG, tenant=SOURCE, victim=SOURCE))
    names = [
        "",
        "default",
        "../../victim",
        "a\0b",
        "'; DROP TABLE entries; --",
        "\N{SNOWMAN}",
        "=",
        "x" * 512,
    ]

    async def main() -> None:
        async with Runtime(config) as runtime:
            assert await runtime.worker("tenant").call("names", names) == names
            assert await runtime.worker("tenant").call("find", "http://a/") is None
            assert await runtime.worker("victim").call("find", "http://a/") is None
        found = [path.name for path in (tmp_path / ".pyworkerd" / "cache").iterdir()]
        assert found == ["own.tenant"] or sorted(found) == ["own.tenant", "own.victim"]

    asyncio.run(main())
