"""What a tenant could do to others, or to the host, by means of its buckets: each was tried and is held."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.bindings.r2.buckets import Buckets, EmbeddedBuckets
from pyworkerd.bindings.r2.embedded import MAX_READERS, MAX_WRITERS
from pyworkerd.errors import PyworkerdError
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd_config import Binding
from pyworkerd_config.model import Limits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from pyworkerd.loaded import LoadedWorker

TENANT = """
import asyncio
from _pyworkerd import calls
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def put(self, key, size):
        await self.env.R2.put(key, b"x" * size)

    async def size(self, key):
        found = await self.env.R2.get(key)
        return None if found is None else len(await found.bytes())

    async def hoard(self, count):
        found = await asyncio.gather(*(self.env.R2.get("k") for _ in range(count)), return_exceptions=True)
        return sorted(getattr(each, "code", "open") for each in found)

    async def stall(self, count):
        async def chunks():
            yield b"x" * 10
            await asyncio.Event().wait()
        async def put(number):
            try:
                await asyncio.wait_for(self.env.R2.put(f"stalled{number}", chunks()), 1)
            except TimeoutError:
                return "stalled"
            except Exception as error:
                return error.code
        return sorted(set(await asyncio.gather(*map(put, range(count)))))

    async def grow(self):
        async def chunks():
            while True:
                yield b"x" * 65_536
        try:
            await self.env.R2.put("endless", chunks())
        except Exception as error:
            return error.code

    async def uploads(self, count):
        codes = set()
        for _ in range(count):
            try:
                await (await self.env.R2.createMultipartUpload("m")).uploadPart(1, b"x")
            except Exception as error:
                codes.add(error.code)
        return sorted(codes)

    async def keys(self, keys):
        for key in keys:
            await self.env.R2.put(key, key)
        return [[found.key for found in (await self.env.R2.list()).objects], [await self.size(key) for key in keys]]

    async def forge(self, method, url, headers, body=None):
        body = None if body is None else ["s", 1_000_000 + body, 5]
        begun = calls.begin_fetch(self.env.R2._index, method, url, headers, body, "manual")
        return (await calls.finish_fetch(begun))[0]
"""


def own(name: str = "files", **options: int) -> dict[str, Binding]:
    return {"R2": Binding("R2", "r2", name, options)}


def attack(
    folder: Path,
    work: Callable[[LoadedWorker, LoadedWorker, EmbeddedBuckets], Awaitable[Any]],
    name: str = "files",
    **options: int,
) -> Any:
    async def main() -> Any:
        async with Runtime(options=RuntimeOptions(state_dir=folder / "state")) as runtime:
            limits = Limits(cpu_ms=20_000, calls=20_000)
            bad = await runtime.load({"w.py": TENANT}, bindings=own(name, **options), limits=limits)
            good = await runtime.load({"w.py": TENANT}, bindings=own(name), limits=limits)
            await good.call("put", "k", 100_000)
            buckets = runtime.shared.get(Buckets, lambda: None)  # type: ignore[type-abstract, arg-type, return-value]
            assert isinstance(buckets, EmbeddedBuckets)
            await work(bad, good, buckets)
            assert await good.call("size", "k") == 100_000

    return asyncio.run(main())


def left(folder: Path) -> list[Path]:
    """Files of the attacker's bucket."""
    return [path for path in folder.rglob("own.worker-1/*.files/*/*") if path.is_file()]


def test_bodies_that_are_opened_and_not_read(tmp_path: Path) -> None:
    async def work(bad: LoadedWorker, good: LoadedWorker, buckets: EmbeddedBuckets) -> None:
        await bad.call("put", "k", 300_000)
        codes = await bad.call("hoard", 300)
        assert (codes.count("open"), codes.count("storage_busy")) == (MAX_READERS, 300 - MAX_READERS)
        assert await good.call("size", "k") == 100_000
        assert await bad.call("size", "k") == 300_000  # they were let go of with their invocation
        for bucket in buckets._open.values():
            assert len(bucket._readers) == 0

    attack(tmp_path, work)


def test_bodies_that_stall(tmp_path: Path) -> None:
    async def work(bad: LoadedWorker, good: LoadedWorker, buckets: EmbeddedBuckets) -> None:
        stalling = asyncio.create_task(bad.call("stall", 400))
        while not any(bucket._writers for bucket in buckets._open.values()):
            await asyncio.sleep(0.001)
        assert max(bucket._writers for bucket in buckets._open.values()) <= MAX_WRITERS
        assert await good.call("size", "k") == 100_000
        assert "stalled" in await stalling
        await bad.call("put", "k", 10)
        assert [bucket._writers for bucket in buckets._open.values()] == [0, 0]

    attack(tmp_path, work)
    assert len(left(tmp_path)) == 1


def test_a_body_that_never_ends_fills_the_own_bucket_only(tmp_path: Path) -> None:
    async def work(bad: LoadedWorker, good: LoadedWorker, buckets: EmbeddedBuckets) -> None:
        assert await bad.call("grow") == "storage_full"
        await bad.call("put", "small", 10)

    attack(tmp_path, work, size_mb=8)
    assert len(left(tmp_path)) == 1


def test_uploads_that_are_never_completed(tmp_path: Path) -> None:
    async def work(bad: LoadedWorker, good: LoadedWorker, buckets: EmbeddedBuckets) -> None:
        assert await bad.call("uploads", 1100) == [10058]

    attack(tmp_path, work)
    assert len(left(tmp_path)) == 1000


def test_keys_mean_nothing_to_the_file_system(tmp_path: Path) -> None:
    keys = ["../../x", "a\0b", "/etc/passwd", "a", "A", "%2e%2e", "a/b", "\N{SNOWMAN}", "." * 1024]

    async def work(bad: LoadedWorker, good: LoadedWorker, buckets: EmbeddedBuckets) -> None:
        listed, sizes = await bad.call("keys", keys)
        assert listed == sorted(keys, key=str.encode)
        assert sizes == [len(key.encode()) for key in keys]

    attack(tmp_path, work, name="../../f\0")
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    for path in left(tmp_path):
        assert len(path.name) == 32
        assert set(path.name) <= set("0123456789abcdef")


FORGED = [
    ("GET", "http://r2/", []),
    ("GET", "http://r2/k", [["x-r2", "["]]),
    ("GET", "http://other/../own.worker-2/k", [["x-r2", '{"key": 3}']]),
    ("PUT", "http://r2/", [["x-r2", '{"key": "k", "customMetadata": {"a": {"b": []}}}']]),
    ("PATCH", "http://r2/", [["x-r2", '{"key": "k"}']]),
    ("GET", "http://r2/", [["x-r2", '{"key": "k", "range": {"offset": 1e999}}']]),
    ("GET", "http://r2/", [["x-r2", "[" * 100_000]]),
]


@pytest.mark.parametrize(("method", "url", "headers"), FORGED)
def test_forged_requests_are_refused(tmp_path: Path, method: str, url: str, headers: list[list[str]]) -> None:
    async def work(bad: LoadedWorker, good: LoadedWorker, buckets: EmbeddedBuckets) -> None:
        for body in (None, 1):
            with pytest.raises(PyworkerdError) as caught:
                await bad.call("forge", method, url, headers, body)
            assert caught.value.code != "internal"
        assert await bad.call("size", "k") is None

    attack(tmp_path, work)
