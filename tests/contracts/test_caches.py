"""What every provider of caches promises. A new provider is a new row of PROVIDERS."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.caches.memory import MemoryCache
from pyworkerd.caches.rules import keep
from pyworkerd.caches.sqlite import DESIGN, SQLiteCache
from pyworkerd.caches.store import MAX_OBJECT, VARIANTS
from pyworkerd.http.conditional import Span
from pyworkerd.messages import Body
from pyworkerd.storage import layout
from pyworkerd.storage.stores import Stores

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from pyworkerd.caches.store import CacheStore, Hit
    from pyworkerd.messages import Headers

NOW = 1_800_000_000.0
MB = 1 << 20
Open = Any


@asynccontextmanager
async def memory(_: Path, most: int) -> AsyncIterator[CacheStore]:
    store = MemoryCache(most)
    yield store
    await store.aclose()


@asynccontextmanager
async def sqlite(folder: Path, most: int) -> AsyncIterator[CacheStore]:
    stores = Stores()
    database = stores.use(layout.own(folder / "state", "cache", "w", "caches"), DESIGN, most * 2 // MB + 4)
    store = SQLiteCache(database, stores, most)
    try:
        yield store
    finally:
        await store.aclose()
        await stores.aclose()


PROVIDERS = {"memory": memory, "sqlite": sqlite}
Test = "Callable[[CacheStore], Awaitable[None]]"


@pytest.fixture(params=PROVIDERS)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., None]:
    def start(test: Callable[[CacheStore], Awaitable[None]], most: int = 8 * MB) -> None:
        async def main() -> None:
            async with PROVIDERS[request.param](tmp_path, most) as store:
                await test(store)

        asyncio.run(main())

    return start


async def put(
    store: CacheStore, url: str, data: bytes | Body, *, asked: Headers = (), now: float = NOW, **fields: str
) -> bool:
    headers = tuple((name.replace("_", "-"), value) for name, value in fields.items())
    kept = keep(asked, 200, (*headers, ("cache-control", "max-age=60")), now)
    assert kept is not None
    return await store.put("", url, kept, data if isinstance(data, Body) else Body(data), now)


async def read(hit: Hit | None, offset: int = 0, length: int | None = None) -> bytes | None:
    if hit is None:
        return None
    return await hit.read(Span(offset, hit.kept.size - offset if length is None else length)).read()


async def chunked(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def test_what_was_put_is_found_until_it_expires(run: Callable[..., None]) -> None:
    async def test(store: CacheStore) -> None:
        assert await store.find("", "http://a/", (), NOW) is None
        assert await put(store, "http://a/", b"one", x_a="b")
        hit = await store.find("", "http://a/", (), NOW + 59)
        assert hit is not None
        assert await read(hit) == b"one"
        assert (hit.kept.status, hit.kept.size, dict(hit.kept.headers)["x-a"]) == (200, 3, "b")
        assert await store.find("", "http://a/", (), NOW + 61) is None
        assert await store.find("", "http://a/b", (), NOW) is None
        assert await store.find("=other", "http://a/", (), NOW) is None

    run(test)


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 262_144, 262_145, 1_000_000])
def test_bodies_of_any_size_and_parts_of_them(run: Callable[..., None], size: int) -> None:
    async def test(store: CacheStore) -> None:
        data = bytes(range(256)) * (size // 256 + 1)
        data = data[:size]
        body = Body(chunks=chunked(data[:1000], data[1000:300_000], data[300_000:]))
        assert await put(store, "http://a/", body)
        hit = await store.find("", "http://a/", (), NOW)
        assert hit is not None
        assert hit.kept.size == size
        assert await read(hit) == data
        for offset, length in ((0, 1), (size // 2, size // 4), (max(size - 5, 0), min(size, 5))):
            if offset + length <= size:
                assert await read(hit, offset, length) == data[offset : offset + length]

    run(test)


def test_another_answer_takes_the_place_of_the_first(run: Callable[..., None]) -> None:
    async def test(store: CacheStore) -> None:
        await put(store, "http://a/", b"x" * 300_000)
        first = await store.find("", "http://a/", (), NOW)
        await put(store, "http://a/", b"two")
        assert await read(await store.find("", "http://a/", (), NOW)) == b"two"
        assert await read(first) == b"x" * 300_000  # who had found it may go on

    run(test)


def test_answers_that_vary(run: Callable[..., None]) -> None:
    async def test(store: CacheStore) -> None:
        german, english = (("accept-language", "de"),), (("accept-language", "en"),)
        await put(store, "http://a/", b"ja", asked=german, vary="accept-language")
        await put(store, "http://a/", b"yes", asked=english, vary="accept-language")
        assert await read(await store.find("", "http://a/", german, NOW)) == b"ja"
        assert await read(await store.find("", "http://a/", english, NOW)) == b"yes"
        assert await store.find("", "http://a/", (), NOW) is None
        assert await store.delete("", "http://a/", NOW)
        assert await store.find("", "http://a/", german, NOW) is None
        assert not await store.delete("", "http://a/", NOW)

    run(test)


def test_variants_are_bounded(run: Callable[..., None]) -> None:
    async def test(store: CacheStore) -> None:
        for number in range(VARIANTS + 5):
            await put(store, "http://a/", b"x", asked=(("a", str(number)),), vary="a")
        found = [await store.find("", "http://a/", (("a", str(n)),), NOW) for n in range(VARIANTS + 5)]
        assert [hit is not None for hit in found] == [False] * 5 + [True] * VARIANTS

    run(test)


def test_what_was_used_longest_ago_goes_first(run: Callable[..., None]) -> None:
    async def test(store: CacheStore) -> None:
        size = 500_000
        for number in range(4):
            await put(store, f"http://a/{number}", b"x" * size, now=NOW + number)
        assert await store.find("", "http://a/0", (), NOW + 61 - 2) is not None  # used
        for number in range(4, 7):
            await put(store, f"http://a/{number}", b"x" * size, now=NOW + number)
        kept = [n for n in range(7) if await store.find("", f"http://a/{n}", (), NOW + 7) is not None]
        assert len(kept) == 4
        assert kept[-3:] == [4, 5, 6]

    run(test, 2 * MB + 100_000)


def test_what_is_too_large_is_not_kept(run: Callable[..., None]) -> None:
    async def test(store: CacheStore) -> None:
        await put(store, "http://a/", b"small")
        assert not await put(store, "http://b/", b"x" * 3 * MB)
        assert not await put(store, "http://b/", Body(chunks=chunked(*[b"x" * MB] * 3)))
        assert not await put(store, "http://b/", Body(chunks=chunked(), length=MAX_OBJECT + 1))
        assert await store.find("", "http://b/", (), NOW) is None
        assert await read(await store.find("", "http://a/", (), NOW)) == b"small"

    run(test, 2 * MB)


def test_a_body_that_breaks_off_leaves_what_was(run: Callable[..., None]) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 600_000
        raise OSError("lost")

    async def test(store: CacheStore) -> None:
        await put(store, "http://a/", b"before")
        with pytest.raises(OSError, match="lost"):
            await put(store, "http://a/", Body(chunks=broken()))
        assert await read(await store.find("", "http://a/", (), NOW)) == b"before"

    run(test)


def test_much_that_comes_and_goes_stays_within_the_bound(run: Callable[..., None]) -> None:
    async def test(store: CacheStore) -> None:
        for number in range(60):
            assert await put(store, f"http://a/{number % 20}", b"x" * 300_000, now=NOW + number * 30)
        assert await store.find("", "http://a/19", (), NOW + 59 * 30) is not None

    run(test, 2 * MB)


def test_entries_outlive_the_process_on_disk(tmp_path: Path) -> None:
    async def main() -> None:
        async with sqlite(tmp_path, MB) as store:
            await put(store, "http://a/", b"kept")
        async with sqlite(tmp_path, MB) as store:
            assert await read(await store.find("", "http://a/", (), NOW)) == b"kept"

    asyncio.run(main())
