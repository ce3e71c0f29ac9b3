"""What every provider of KV stores promises. A new provider is a new row of PROVIDERS."""

from __future__ import annotations

import asyncio
import tempfile
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.bindings.kv import sqlite as sqlite_provider
from pyworkerd.bindings.kv.rules import MAX_VALUE
from pyworkerd.errors import BadCall, StorageError, StorageFull
from pyworkerd.messages import Body
from pyworkerd.storage.pieces import UPLOAD_S

from tests.contracts import kv_providers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

    from pyworkerd.bindings.kv.store import Found, KVStore

PROVIDERS: dict[str, Callable[[Path], AbstractAsyncContextManager[KVStore]]] = {
    "memory": kv_providers.memory,
    "sqlite": kv_providers.sqlite,
}
provider = pytest.mark.parametrize("make", PROVIDERS.values(), ids=PROVIDERS)
Make = Any
SIZES = [0, 1, 65_536, 65_537, 262_144, 262_145, 1_000_000]


class Source:
    """A value that arrives in chunks, and knows whether it was closed."""

    def __init__(self, *chunks: bytes, error: Exception | None = None) -> None:
        self.chunks, self.error, self.closed = list(chunks), error, False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self.chunks:
            return self.chunks.pop(0)
        if self.error is not None:
            raise self.error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed = True


def run(make: Make, test: Callable[[KVStore], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with make(Path(folder)) as store:
                await test(store)

    asyncio.run(main())


async def value(found: Found | None) -> bytes | None:
    return None if found is None else await found.body.read()


async def put(store: KVStore, key: bytes, data: bytes, now: float = 1000, **options: Any) -> None:
    await store.put(key, Body(data), now, **options)


@provider
@pytest.mark.parametrize("size", SIZES)
def test_what_was_put_is_got(make: Make, size: int) -> None:
    async def test(store: KVStore) -> None:
        data = bytes(i % 251 for i in range(size))
        source = Source(*(data[i : i + 70_000] for i in range(0, size, 70_000)))
        await store.put(b"k", Body(chunks=source), 1000, 5000, '{"a":1}')
        assert source.closed
        found = await store.get(b"k", 1000)
        assert found is not None
        assert (found.size, found.expires, found.metadata) == (size, 5000, '{"a":1}')
        assert await found.body.read() == data
        await put(store, b"k", b"other")
        assert await value(await store.get(b"k", 1000)) == b"other"
        again = await store.get(b"k", 1000)
        assert again is not None
        assert (again.expires, again.metadata) == (None, None)

    run(make, test)


@provider
def test_entries_are_gone_to_the_second(make: Make) -> None:
    async def test(store: KVStore) -> None:
        for key in (b"small", b"large"):
            await put(store, key, b"x" * (3 if key == b"small" else 100_000), expires=1060)
            assert await store.get(key, 1059.999) is not None
            assert await store.get(key, 1060) is None
        assert [k.key for k in (await store.list(b"", b"", 9, 1059))[0]] == [b"large", b"small"]
        assert await store.list(b"", b"", 9, 1060) == ([], True)
        assert await store.get_many([b"small"], 1060) == [None]
        await put(store, b"small", b"again", now=1060)  # cleans up
        assert await value(await store.get(b"small", 1e12)) == b"again"

    run(make, test)


@provider
def test_delete(make: Make) -> None:
    async def test(store: KVStore) -> None:
        await store.delete(b"nothing", 1000)
        for size in (1, 300_000):
            await put(store, b"k", b"x" * size)
            await store.delete(b"k", 1000)
            assert await store.get(b"k", 1000) is None

    run(make, test)


@provider
def test_many_at_one_moment(make: Make) -> None:
    async def test(store: KVStore) -> None:
        await put(store, b"a", b"1")
        await put(store, b"b", b"2" * 300_000, metadata="5")
        found = await store.get_many([b"b", b"none", b"a"], 1000)
        assert [None if f is None else f.size for f in found] == [300_000, None, 1]
        assert found[0] is not None
        assert found[0].metadata == "5"
        assert await value(found[0]) == b"2" * 300_000

    run(make, test)


KEYS = st.binary(min_size=1, max_size=3) | st.sampled_from(
    [b"\xff", b"\xff\xff", b"a\xff", b"a", b"b", b"../../x", b"a\0"]
)


@provider
@given(keys=st.sets(KEYS, max_size=20), prefix=KEYS | st.just(b""), limit=st.integers(1, 5))
def test_pages_are_all_keys_in_the_order_of_their_bytes(
    make: Make, keys: set[bytes], prefix: bytes, limit: int
) -> None:
    async def test(store: KVStore) -> None:
        for key in keys:
            await put(store, key, b"")
        listed: list[bytes] = []
        after, complete = b"", False
        while not complete:
            page, complete = await store.list(prefix, after, limit, 1000)
            assert len(page) <= limit
            assert page or complete
            listed += [found.key for found in page]
            after = listed[-1] if listed else b""
        assert listed == sorted(key for key in keys if key.startswith(prefix))

    run(make, test)


@provider
@pytest.mark.parametrize("known", [True, False])
def test_a_value_that_is_too_large_changes_nothing(make: Make, known: bool) -> None:
    async def test(store: KVStore) -> None:
        await put(store, b"k", b"before")
        chunk = b"x" * (1 << 20)
        source = Source(*[chunk] * 25, b"y")
        with pytest.raises(
            BadCall, match=f"KV PUT failed: 413 Value length of {MAX_VALUE + 1} exceeds limit"
        ):
            await store.put(b"k", Body(chunks=source, length=MAX_VALUE + 1 if known else None), 1000)
        assert source.closed
        assert await value(await store.get(b"k", 1000)) == b"before"
        await store.put(b"k", Body(chunks=Source(*[chunk] * 25)), 1000)

    run(make, test)


@provider
def test_a_value_that_breaks_off_changes_nothing(make: Make) -> None:
    async def test(store: KVStore) -> None:
        await put(store, b"k", b"before")
        source = Source(b"x" * 700_000, error=OSError("gone"))
        with pytest.raises(OSError, match="gone"):
            await store.put(b"k", Body(chunks=source), 1000)
        assert source.closed
        assert await value(await store.get(b"k", 1000)) == b"before"

    run(make, test)


@provider
def test_a_value_stays_readable_while_another_takes_its_place(make: Make) -> None:
    async def test(store: KVStore) -> None:
        await put(store, b"k", b"a" * 600_000)
        found = await store.get(b"k", 1000)
        assert found is not None
        chunks = aiter(found.body)
        got = await anext(chunks)
        await put(store, b"k", b"b" * 600_000)
        await store.delete(b"k", 1000)
        async for chunk in chunks:
            got += chunk
        assert got == b"a" * 600_000

    run(make, test)


@provider
def test_many_writers_at_once(make: Make) -> None:
    async def test(store: KVStore) -> None:
        await asyncio.gather(*(put(store, b"%d" % (i % 50), b"%d" % i) for i in range(300)))
        page, complete = await store.list(b"", b"", 100, 1000)
        assert (len(page), complete) == (50, True)

    run(make, test)


# what only stores on disk promise ---------------------------------------------------------------------


def test_what_was_put_outlives_the_process(tmp_path: Path) -> None:
    async def main() -> None:
        for attempt in range(2):
            async with kv_providers.sqlite(tmp_path) as store:
                if attempt:
                    assert await value(await store.get(b"k", 1000)) == b"x" * 300_000
                    return
                await put(store, b"k", b"x" * 300_000)

    asyncio.run(main())


def pieces(store: Any) -> Any:
    return store._database.read(
        lambda c: (
            c.execute("SELECT count(*) FROM pieces").fetchone()[0],
            c.execute("SELECT count(*) FROM loose").fetchone()[0],
        )
    )


def test_what_nobody_names_is_swept_after_its_time(tmp_path: Path) -> None:
    async def main() -> None:
        async with kv_providers.sqlite(tmp_path) as store:
            await put(store, b"k", b"x" * 600_000)
            assert await pieces(store) == (3, 0)
            await put(store, b"k", b"y" * 600_000)
            assert await pieces(store) == (6, 1)
            await put(store, b"other", b"", now=1000 + sqlite_provider.GRACE_S)
            assert await pieces(store) == (3, 0)
            with pytest.raises(OSError, match="gone"):
                await store.put(b"k", Body(chunks=Source(b"x" * 700_000, error=OSError("gone"))), 1000)
            await put(store, b"other", b"")
            assert await pieces(store) == (3, 0)
            await put(store, b"short", b"z" * 600_000, expires=1100)
            await put(store, b"other", b"", now=1100)
            await put(store, b"other", b"", now=1100 + sqlite_provider.GRACE_S)
            assert await pieces(store) == (3, 0)

    asyncio.run(main())


def test_a_writer_that_was_killed_leaves_nothing_for_good(tmp_path: Path) -> None:
    async def main() -> None:
        async with kv_providers.sqlite(tmp_path) as store:
            number = await store._place(None, 0, b"x" * 1000, 1000)
            await store._place(number, 1, b"x" * 1000, 1000)
            assert await pieces(store) == (2, 1)
            await put(store, b"other", b"", now=1000 + UPLOAD_S)
            assert await pieces(store) == (0, 0)
            with pytest.raises(StorageError, match="too long to arrive"):
                await store._place(number, 2, b"x" * 1000, 1000)

    asyncio.run(main())


def test_a_store_that_is_full_gives_up_what_nobody_needs(tmp_path: Path) -> None:
    async def main() -> None:
        async with kv_providers.sqlite(tmp_path, size_mb=2) as store:
            for _ in range(5):  # each makes a value of 600 KB loose
                await put(store, b"k", b"x" * 600_000)
            for i in range(3):
                await put(store, b"short %d" % i, b"x" * 60_000, expires=1100)
            await put(store, b"more", b"y" * 600_000, now=1100)
            with pytest.raises(StorageFull):
                await put(store, b"too much", b"z" * 1_000_000, now=1100)
            assert await value(await store.get(b"k", 1100)) == b"x" * 600_000
            assert await value(await store.get(b"more", 1100)) == b"y" * 600_000
            await store.delete(b"more", 1100)
            await put(store, b"k2", b"z" * 600_000, now=1100)

    asyncio.run(main())


def test_a_large_value_is_never_whole_in_memory(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MAX_VALUE // 65_536):
            yield bytes(65_536)

    async def main() -> None:
        async with kv_providers.sqlite(tmp_path) as store:
            await put(store, b"warm", b"x" * 300_000)
            tracemalloc.start()
            try:
                await store.put(b"k", Body(chunks=chunks()), 1000)
                found = await store.get(b"k", 1000)
                assert found is not None
                assert sum([len(chunk) async for chunk in found.body]) == MAX_VALUE
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert peak < 4 << 20

    asyncio.run(main())
