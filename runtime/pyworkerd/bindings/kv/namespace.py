"""A KV store as workers and programs see it: checked arguments, Python values, one clock."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from . import rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.messages import Body

    from .store import Found, KVStore


class Page(NamedTuple):
    """What a list has found."""

    keys: list[tuple[str, int | None, str | None]]
    """Name, second since 1970 at which it expires, metadata as a JSON text."""
    cursor: str | None
    """Where to go on; None if that was all."""


class Namespace:
    """Everything that is refused is refused here, in the words of the platform."""

    __slots__ = ("_now", "_store")

    def __init__(self, store: KVStore, now: Callable[[], float]) -> None:
        self._store, self._now = store, now

    async def get(self, key: Any, cache_ttl: Any = None) -> Found | None:
        """An entry."""
        data = rules.key_bytes(key, "GET")
        rules.check_cache_ttl(cache_ttl)
        return await self._store.get(data, self._now())

    async def get_many(self, keys: Any, cache_ttl: Any = None) -> list[tuple[str, Found | None]]:
        """Entries of one moment, 25 MiB at most."""
        found = rules.many_keys(keys)
        rules.check_cache_ttl(cache_ttl, "GET_BULK")
        entries = await self._store.get_many(found, self._now())
        if sum(entry.size for entry in entries if entry is not None) > rules.MAX_VALUE:
            raise rules.failed("GET_BULK", 413, "Total size of request exceeds the limit of 25MB")
        return [(key.decode(), entry) for key, entry in zip(found, entries, strict=True)]

    async def put(
        self, key: Any, value: Body, expiration: Any = None, ttl: Any = None, metadata: str | None = None
    ) -> None:
        """Write an entry. The value is closed on every path."""
        try:
            data = rules.key_bytes(key, "PUT")
            now = self._now()
            expires = rules.expires(expiration, ttl, now)
            rules.check_metadata(metadata)
        except BaseException:
            await value.aclose()
            raise
        await self._store.put(data, value, now, expires, metadata)

    async def delete(self, key: Any) -> None:
        """Remove an entry."""
        await self._store.delete(rules.key_bytes(key, "DELETE"), self._now())

    async def list(self, prefix: Any = None, limit: Any = None, cursor: Any = None) -> Page:
        """A page of keys."""
        begins, most, last = rules.prefix_bytes(prefix), rules.list_limit(limit), rules.after(cursor)
        found, complete = await self._store.list(begins, last, most, self._now())
        keys = [(each.key.decode(), each.expires, each.metadata) for each in found]
        return Page(keys, None if complete else rules.cursor_of(found[-1].key))

    async def aclose(self) -> None:
        """Let go of the store."""
        await self._store.aclose()


def metadata_text(metadata: Any) -> str | None:
    """Metadata as a JSON text. Raises TypeError or ValueError for what JSON cannot say."""
    return None if metadata is None else json.dumps(metadata, separators=(",", ":"), allow_nan=False)
