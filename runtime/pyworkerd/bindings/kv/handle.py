"""A KV store in the hands of the program that embeds the runtime; also a binding to give to workers.

cache = runtime.kv("cache")
await cache.put("greeting", "hello", expiration_ttl=60)
worker = await runtime.load("worker.py", bindings={"CACHE": cache})
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from pyworkerd.messages import Body

from . import KVBinding
from .namespace import Namespace, metadata_text
from .sqlite import DESIGN, SQLiteKV

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pyworkerd.storage.layout import Location
    from pyworkerd.storage.stores import Stores


class Key(NamedTuple):
    """A key of a list."""

    name: str
    expiration: int | None
    """Second since 1970."""
    metadata: Any


class Keys(NamedTuple):
    """A page of a list."""

    keys: list[Key]
    list_complete: bool
    cursor: str | None


class Entry(NamedTuple):
    """A value and what was put with it."""

    value: bytes
    metadata: Any
    expiration: int | None


class KV:
    """Open until the runtime is closed, or `aclose`. Refusals are `BadCall`, or `WorkerException` for a wrong type."""

    def __init__(self, location: Location, stores: Stores, size_mb: int | None = None) -> None:
        self._location, self._size_mb = location, size_mb
        self._namespace = Namespace(SQLiteKV(stores.use(location, DESIGN, size_mb), stores), time.time)

    def __repr__(self) -> str:
        return f"<{self._location.label}>"

    def as_binding(self, name: str) -> KVBinding:
        """The same store for a worker."""
        return KVBinding(name, self._location.label, self._size_mb, None, self._location)

    async def get(self, key: str) -> bytes | None:
        """The value, whole; None if there is none."""
        found = await self._namespace.get(key)
        return None if found is None else await found.body.read()

    async def text(self, key: str) -> str | None:
        """The value as text (UTF-8; what is not is replaced)."""
        found = await self.get(key)
        return None if found is None else found.decode("utf-8", "replace")

    async def stream(self, key: str) -> Body | None:
        """The value in pieces: iterate it, or close it."""
        found = await self._namespace.get(key)
        return None if found is None else found.body

    async def entry(self, key: str) -> Entry | None:
        """The value with its metadata."""
        found = await self._namespace.get(key)
        if found is None:
            return None
        return Entry(await found.body.read(), _parsed(found.metadata), found.expires)

    async def put(
        self,
        key: str,
        value: str | bytes | AsyncIterator[bytes],
        *,
        expiration: int | None = None,
        expiration_ttl: int | None = None,
        metadata: Any = None,
    ) -> None:
        """Write an entry; it is on disk when this returns. `expiration` is a second since 1970."""
        text = metadata_text(metadata)
        data = value.encode() if isinstance(value, str) else value
        body = Body(data) if isinstance(data, bytes) else Body(chunks=data)
        await self._namespace.put(key, body, expiration, expiration_ttl, text)

    async def delete(self, key: str) -> None:
        """Remove an entry, if there is one."""
        await self._namespace.delete(key)

    async def list(self, prefix: str = "", *, limit: int = 1000, cursor: str | None = None) -> Keys:
        """A page of keys, in the order of their bytes."""
        page = await self._namespace.list(prefix, limit, cursor)
        keys = [Key(name, expires, _parsed(metadata)) for name, expires, metadata in page.keys]
        return Keys(keys, page.cursor is None, page.cursor)

    async def aclose(self) -> None:
        """Let go of the store; workers that have it keep it."""
        await self._namespace.aclose()


def _parsed(metadata: str | None) -> Any:
    return None if metadata is None else json.loads(metadata)
