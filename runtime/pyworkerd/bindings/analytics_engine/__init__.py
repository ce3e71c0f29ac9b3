"""`NAME = { analytics_engine = "requests" }`: data points that are written without waiting, and queried with SQL.

In the guest (`workers/analytics.py`): `env.NAME.write_data_point(indexes=[...], blobs=[...], doubles=[...])`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pyworkerd.bindings.base import Access, Binding, text_of
from pyworkerd.storage.stores import Stores

from .capability import AnalyticsCapability
from .dataset import DESIGN, Dataset

if TYPE_CHECKING:
    from pyworkerd_config.model import Binding as Configured
    from pyworkerd_config.model import Place

    from pyworkerd.bindings.base import Grant, Host


class AnalyticsEngineBinding(Binding):
    """A dataset by its name: the worker's own, or one that `[[stores]]` lets it share."""

    __slots__ = ("_dataset", "_size_mb")

    kind = "analytics_engine"
    shape = "analytics_engine"

    def __init__(
        self, name: str, dataset: str, size_mb: int | None = None, place: Place | None = None
    ) -> None:
        super().__init__(name, place)
        self._dataset, self._size_mb = dataset, size_mb

    @classmethod
    def configure(cls, configured: Configured) -> Self:
        """The value is the name of a dataset."""
        remedy = 'write { analytics_engine = "requests" }'
        name = text_of(configured, "the name of the dataset is not a text", remedy)
        return cls(configured.name, name, configured.options.get("size_mb"), configured.place)

    async def prepare(self, host: Host) -> Grant:
        """Finds the dataset; its file is opened by the first point."""
        stores = host.shared.get(Stores, Stores)
        database = stores.use(host.store("analytics_engine", self._dataset), DESIGN, self._size_mb)
        return Access("analytics_engine", AnalyticsCapability(Dataset(database, stores), host.now))
