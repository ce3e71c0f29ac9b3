"""KV in memory: the provider for tests, lost with its process."""

from __future__ import annotations

from bisect import bisect_right, insort
from typing import TYPE_CHECKING, NamedTuple

from pyworkerd.messages import Body

from .rules import MAX_VALUE, value_too_large
from .store import Found, Listed

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Entry(NamedTuple):
    value: bytes
    expires: int | None
    metadata: str | None


class MemoryKV:
    """See `store.KVStore`. Rule 1 holds as long as the process does."""

    def __init__(self) -> None:
        self._entries: dict[bytes, _Entry] = {}
        self._keys: list[bytes] = []

    def _live(self, key: bytes, now: float) -> _Entry | None:
        entry = self._entries.get(key)
        return None if entry is None or (entry.expires is not None and entry.expires <= now) else entry

    async def get(self, key: bytes, now: float) -> Found | None:
        """See `KVStore`."""
        entry = self._live(key, now)
        return None if entry is None else Found(Body(entry.value), entry.expires, entry.metadata)

    async def get_many(self, keys: Sequence[bytes], now: float) -> list[Found | None]:
        """See `KVStore`."""
        return [await self.get(key, now) for key in keys]

    async def put(
        self, key: bytes, value: Body, now: float, expires: int | None = None, metadata: str | None = None
    ) -> None:
        """See `KVStore`."""
        del now
        parts, size = [], 0
        try:
            async for chunk in value:
                parts.append(chunk)
                size += len(chunk)
                if size > MAX_VALUE:
                    raise value_too_large(size)
        finally:
            await value.aclose()
        if key not in self._entries:
            insort(self._keys, key)
        self._entries[key] = _Entry(b"".join(parts), expires, metadata)

    async def delete(self, key: bytes, now: float) -> None:
        """See `KVStore`."""
        del now
        if self._entries.pop(key, None) is not None:
            self._keys.remove(key)

    async def list(self, prefix: bytes, after: bytes, limit: int, now: float) -> tuple[list[Listed], bool]:
        """See `KVStore`."""
        found: list[Listed] = []
        # A key that is the prefix itself comes too, unless a page before has had it.
        start = bisect_right(self._keys, after) if after >= prefix else 0
        for key in self._keys[start:]:
            entry = self._live(key, now)
            if entry is None or not key.startswith(prefix):
                continue
            if len(found) == limit:
                return found, False
            found.append(Listed(key, entry.expires, entry.metadata))
        return found, True

    async def aclose(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._keys.clear()
