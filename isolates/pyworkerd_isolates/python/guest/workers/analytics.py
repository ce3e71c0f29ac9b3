"""Analytics Engine on `env`: data points that nobody waits for."""

import asyncio

from _pyworkerd.invocation import current

from .capability import Capability


class AnalyticsEngineDataset(Capability):
    """A dataset: `write_data_point`."""

    __slots__ = ()

    def write_data_point(self, event=None, /, *, indexes=None, blobs=None, doubles=None):
        """Write a point: at most one index, 20 blobs (texts) and 20 doubles (numbers), as a dictionary or by name.

        Returns at once. What is wrong with a point is told in the log.
        """
        point = {**(event or {}), **_given(indexes=indexes, blobs=blobs, doubles=doubles)}
        lists = [
            None if point.get(name) is None else list(point[name]) for name in ("indexes", "blobs", "doubles")
        ]
        writing = asyncio.ensure_future(self._call("writeDataPoint", *lists))
        current().keep(writing, "a data point was not written")

    writeDataPoint = write_data_point


def _given(**values):
    return {name: value for name, value in values.items() if value is not None}
