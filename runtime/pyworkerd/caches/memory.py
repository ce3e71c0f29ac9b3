"""Caches in memory, for workers that a program loads and for tests: gone with the process."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from pyworkerd.messages import Body

from .store import MAX_OBJECT, VARIANTS, Hit, cost_of

if TYPE_CHECKING:
    from pyworkerd.http.conditional import Span
    from pyworkerd.messages import Headers

    from .rules import Kept, Vary

Place = tuple[str, str]


class _Entry(NamedTuple):
    kept: Kept
    data: bytes
    cost: int


class MemoryCache:
    """See `store.CacheStore`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._places: OrderedDict[Place, dict[Vary, _Entry]] = OrderedDict()
        self._taken = 0

    async def find(self, cache: str, url: str, asked: Headers, now: float) -> Hit | None:
        """See `CacheStore`."""
        place = (cache, url)
        for vary, (kept, data, _) in reversed(self._places.get(place, {}).items()):
            if kept.expires > now and kept.is_for(asked):
                self._places.move_to_end(place)
                return Hit(kept, lambda span, data=data: _part(data, span))  # type: ignore[misc]
            del vary
        return None

    async def put(self, cache: str, url: str, kept: Kept, body: Body, now: float) -> bool:
        """See `CacheStore`."""
        del now
        cost, data = cost_of(url, kept), bytearray()
        most = min(self._most - cost, MAX_OBJECT)
        try:
            if body.length is not None and body.length > most:
                return False
            async for chunk in body:
                data += chunk
                if len(data) > most:
                    return False
        finally:
            await body.aclose()
        place = (cache, url)
        variants = self._places.setdefault(place, {})
        self._places.move_to_end(place)
        self._drop(variants, kept.vary)
        while len(variants) >= VARIANTS:
            self._drop(variants, next(iter(variants)))
        variants[kept.vary] = _Entry(kept.sized(len(data)), bytes(data), cost + len(data))
        self._taken += cost + len(data)
        while self._taken > self._most:
            oldest, entries = next(iter(self._places.items()))
            self._drop(entries, next(iter(entries)))
            if not entries:
                del self._places[oldest]
        return True

    def _drop(self, variants: dict[Vary, _Entry], vary: Vary) -> None:
        entry = variants.pop(vary, None)
        self._taken -= entry.cost if entry is not None else 0

    async def delete(self, cache: str, url: str, now: float) -> bool:
        """See `CacheStore`."""
        variants = self._places.pop((cache, url), {})
        self._taken -= sum(entry.cost for entry in variants.values())
        return any(entry.kept.expires > now for entry in variants.values())

    async def aclose(self) -> None:
        """Forget everything."""
        self._places.clear()
        self._taken = 0


def _part(data: bytes, span: Span) -> Body:
    return Body(data[span.offset : span.offset + span.length])
