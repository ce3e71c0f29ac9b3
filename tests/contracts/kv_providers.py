"""Providers of KV stores, for the contract and for what is measured or broken on top of them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pyworkerd.bindings.kv.memory import MemoryKV
from pyworkerd.bindings.kv.sqlite import DESIGN, SQLiteKV
from pyworkerd.storage import layout
from pyworkerd.storage.stores import Stores

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pyworkerd.bindings.kv.store import KVStore


@asynccontextmanager
async def sqlite(folder: Path, size_mb: int | None = None) -> AsyncIterator[SQLiteKV]:
    """The embedded provider; what it has is still there when it is opened again."""
    stores = Stores()
    location = layout.own(folder / "state", "kv", "shop", "cache")
    store = SQLiteKV(stores.use(location, DESIGN, size_mb), stores)
    try:
        yield store
    finally:
        await store.aclose()
        await stores.aclose()


@asynccontextmanager
async def memory(folder: Path) -> AsyncIterator[KVStore]:
    """The one for tests."""
    del folder
    store = MemoryKV()
    yield store
    await store.aclose()
