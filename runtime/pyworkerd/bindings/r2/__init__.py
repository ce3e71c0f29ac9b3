"""`NAME = { r2 = "files" }`: a bucket of objects on `env`, as in Workers.

In the guest (`workers/r2.py`): `await env.NAME.put("key", body)`, `get`, `head`, `delete`, `list`, multipart uploads.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self

from pyworkerd.bindings.base import Access, Binding, text_of
from pyworkerd.storage.stores import Stores

from .buckets import Buckets, EmbeddedBuckets
from .capability import R2

if TYPE_CHECKING:
    from pyworkerd_config.model import Binding as Configured
    from pyworkerd_config.model import Place

    from pyworkerd.bindings.base import Grant, Host
    from pyworkerd.bindings.shared import Shared
    from pyworkerd.storage.layout import Location


class R2Binding(Binding):
    """A bucket by its name: the worker's own, or one that `[[stores]]` lets it share."""

    __slots__ = ("_bucket", "_location", "_size_mb")

    kind = "r2"
    shape = "r2"

    def __init__(
        self,
        name: str,
        bucket: str,
        size_mb: int | None = None,
        place: Place | None = None,
        location: Location | None = None,
    ) -> None:
        super().__init__(name, place)
        self._bucket, self._size_mb = bucket, size_mb
        self._location = location
        """Where it is, if a program has opened it already; otherwise the host says so."""

    @classmethod
    def configure(cls, configured: Configured) -> Self:
        """The value is the name of a bucket."""
        name = text_of(configured, "the name of the bucket is not a text", 'write { r2 = "files" }')
        return cls(configured.name, name, configured.options.get("size_mb"), configured.place)

    async def prepare(self, host: Host) -> Grant:
        """Finds the bucket; its files are opened by the first call."""
        buckets = buckets_of(host.shared)
        location = self._location or host.store("r2", self._bucket)
        bucket = buckets.use(location, host.now, self._size_mb)
        return Access("r2", R2(bucket, partial(buckets.let_go, location)))


def buckets_of(shared: Shared) -> Buckets:
    """The buckets of a process."""
    stores = shared.get(Stores, Stores)
    return shared.get(Buckets, lambda: EmbeddedBuckets(stores))  # type: ignore[type-abstract]
