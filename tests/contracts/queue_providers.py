"""Providers of queues, for the contract and for what is measured or broken on top of them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pyworkerd.queues.sqlite import DESIGN, SQLiteQueue
from pyworkerd.storage import layout
from pyworkerd.storage.stores import Stores

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@asynccontextmanager
async def sqlite(folder: Path, size_mb: int | None = None) -> AsyncIterator[SQLiteQueue]:
    """The embedded provider; what it has is still there when it is opened again."""
    stores = Stores()
    queue = SQLiteQueue(stores.use(layout.shared(folder / "state", "queue", "jobs"), DESIGN, size_mb), stores)
    try:
        yield queue
    finally:
        await queue.aclose()
        await stores.aclose()
