"""Providers of buckets, for the contract and for what is measured or broken on top of them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pyworkerd.bindings.r2.embedded import EmbeddedBucket
from pyworkerd.bindings.r2.memory import MemoryBucket
from pyworkerd.storage import layout
from pyworkerd.storage.stores import Stores

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pyworkerd.bindings.r2.bucket import Bucket


class Clock:
    """Seconds since 1970, moved by hand."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def embedded(folder: Path, clock: Clock | None = None) -> AsyncIterator[EmbeddedBucket]:
    """The embedded provider; what it has is still there when it is opened again."""
    stores = Stores()
    bucket = EmbeddedBucket(layout.own(folder / "state", "r2", "shop", "files"), stores, clock or Clock())
    try:
        yield bucket
    finally:
        await bucket.aclose()
        await stores.aclose()


@asynccontextmanager
async def memory(folder: Path, clock: Clock | None = None) -> AsyncIterator[Bucket]:
    """The one for tests."""
    del folder
    bucket = MemoryBucket(clock or Clock())
    yield bucket
    await bucket.aclose()


def files(folder: Path) -> list[Path]:
    """The files that hold bytes of objects."""
    return [path for path in (folder / "state" / "r2").rglob("*.files/*/*") if path.is_file()]
