"""The buckets of one process: each is open once, however many workers use it, and as long as anybody does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from .embedded import DEFAULT_MB, EmbeddedBucket

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyworkerd.storage.layout import Location
    from pyworkerd.storage.stores import Stores

    from .bucket import Bucket


class Buckets(ABC):
    """A provider of buckets. Shared by all workers of the process."""

    @abstractmethod
    def use(self, location: Location, now: Callable[[], float], size_mb: int | None = None) -> Bucket:
        """A bucket, for `let_go` afterwards. No I/O. `now` is the wall clock, in seconds. It goes by the clock that was
        given last, and may grow as was said last: who has let go is not held by it.
        """

    @abstractmethod
    async def let_go(self, location: Location) -> None:
        """One user less; the last one closes it."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close all of them."""


class EmbeddedBuckets(Buckets):
    """Those below `state_dir`."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._open: dict[Path, EmbeddedBucket] = {}
        self._users: dict[Path, int] = {}

    def __len__(self) -> int:
        return len(self._open)

    def use(self, location: Location, now: Callable[[], float], size_mb: int | None = None) -> Bucket:
        """See `Buckets`."""
        path = location.path
        found = self._open.get(path)
        if found is None:
            found = self._open[path] = EmbeddedBucket(location, self._stores, now)
        found.clock = now
        found.meter.quota = (location.size_mb or size_mb or DEFAULT_MB) << 20
        self._users[path] = self._users.get(path, 0) + 1
        return found

    async def let_go(self, location: Location) -> None:
        """See `Buckets`."""
        self._users[location.path] -= 1
        if not self._users[location.path]:
            del self._users[location.path]
            await self._open.pop(location.path).aclose()

    async def aclose(self) -> None:
        """See `Buckets`."""
        self._users.clear()
        while self._open:
            await self._open.popitem()[1].aclose()
