"""`NAME = { kv = "cache" }`: a KV store on `env`, as in Workers.

In the guest (`workers/kv.py`): `await env.NAME.get("key")`, `put`, `delete`, `list`, `get_with_metadata`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pyworkerd.bindings.base import Access, Binding, text_of
from pyworkerd.storage.stores import Stores

from .capability import KVCapability
from .namespace import Namespace
from .sqlite import DESIGN, SQLiteKV

if TYPE_CHECKING:
    from pyworkerd_config.model import Binding as Configured
    from pyworkerd_config.model import Place

    from pyworkerd.bindings.base import Grant, Host
    from pyworkerd.storage.layout import Location


class KVBinding(Binding):
    """A store by its name: the worker's own, or one that `[[stores]]` lets it share."""

    __slots__ = ("_location", "_size_mb", "_store")

    kind = "kv"
    shape = "kv"

    def __init__(
        self,
        name: str,
        store: str,
        size_mb: int | None = None,
        place: Place | None = None,
        location: Location | None = None,
    ) -> None:
        super().__init__(name, place)
        self._store, self._size_mb = store, size_mb
        self._location = location
        """Where it is, if a program has opened it already; otherwise the host says so."""

    @classmethod
    def configure(cls, configured: Configured) -> Self:
        """The value is the name of a store."""
        name = text_of(configured, "the name of the store is not a text", 'write { kv = "cache" }')
        return cls(configured.name, name, configured.options.get("size_mb"), configured.place)

    async def prepare(self, host: Host) -> Grant:
        """Finds the store; its file is opened by the first call."""
        stores = host.shared.get(Stores, Stores)
        location = self._location or host.store("kv", self._store)
        database = stores.use(location, DESIGN, self._size_mb)
        return Access("kv", KVCapability(Namespace(SQLiteKV(database, stores), host.now)))
