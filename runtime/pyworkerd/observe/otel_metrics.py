"""The metrics of `families`, as the SDK of OpenTelemetry sends them: made of the same snapshot as Prometheus' text.

There are no instruments in between. What is counted is counted once, in whole numbers, and this is another way to write
it down.
"""

from __future__ import annotations

import logging
import os
import threading
from time import time_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)

from .families import BOUNDS_MS, FAMILIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from .families import Family
    from .snapshot import Labels, Snapshot, Value

logger = logging.getLogger("pyworkerd.otel")

PREFIX: Final = "pyworkerd."
UNITS: Final = {"seconds": "s", "bytes": "By"}
"""UCUM's names for the units that names of Prometheus' metrics end in; those of OpenTelemetry's do not."""
INTERVAL_MS: Final = 60_000.0
TIMEOUT_MS: Final = 30_000.0
"""The SDK's own defaults."""
MOST_MS: Final = 86_400_000.0
_CUMULATIVE: Final = AggregationTemporality.CUMULATIVE


class Sender:
    """Sends a snapshot each `OTEL_METRIC_EXPORT_INTERVAL` milliseconds, on a thread, and once more at the end."""

    def __init__(
        self,
        exporter: MetricExporter,
        snapshot: Callable[[], Snapshot],
        about: Resource,
        scope: InstrumentationScope,
    ) -> None:
        self._exporter, self._snapshot, self._about, self._by = exporter, snapshot, about, scope
        self._began_ns = time_ns()
        self._pause_s = _milliseconds("OTEL_METRIC_EXPORT_INTERVAL", INTERVAL_MS) / 1000
        self._timeout_ms = _milliseconds("OTEL_METRIC_EXPORT_TIMEOUT", TIMEOUT_MS)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pyworkerd-metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send what there is, and end. Blocks until that is done, or could not be."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        last = False
        while not last:
            last = self._closed.wait(self._pause_s)
            try:
                self._send()
            except Exception:
                logger.exception("metrics could not be sent")
        self._exporter.shutdown()

    def _send(self) -> None:
        try:
            snapshot = self._snapshot()
        except (TimeoutError, RuntimeError):
            logger.warning("metrics are not sent this time: the event loop is too busy, or has ended")
            return
        metrics = metrics_of(snapshot, self._began_ns, time_ns())
        about = ResourceMetrics(self._about, [ScopeMetrics(self._by, metrics, "")], "")
        self._exporter.export(MetricsData([about]), self._timeout_ms)


def _milliseconds(variable: str, default: float) -> float:
    try:
        given = float(os.environ.get(variable) or default)
    except ValueError:
        given = -1.0
    if not 0 < given < MOST_MS:
        logger.warning("%s is no number of milliseconds: %d is used", variable, default)
        return default
    return given


def metrics_of(snapshot: Snapshot, began_ns: int, now_ns: int) -> list[Metric]:
    """All metrics that have values."""
    return [
        Metric(*_name(key), _data(family, rows, began_ns, now_ns))
        for key, family in FAMILIES.items()
        if (rows := snapshot.get(key))
    ]


def _name(key: str) -> tuple[str, str, str]:
    """Name, help and unit."""
    stem, _, last = key.rpartition("_")
    unit = UNITS.get(last)
    about = FAMILIES[key].help
    return (PREFIX + key, about, "1") if unit is None else (PREFIX + stem, about, unit)


def _data(family: Family, rows: dict[Labels, Value], began_ns: int, now_ns: int) -> Any:
    points: list[Any] = []
    for labels, value in sorted(rows.items()):
        attributes = dict(zip(family.labels, labels, strict=True))
        if family.kind in ("histogram", "summary"):
            points.append(_histogram(family, attributes, value, began_ns, now_ns))
        else:
            number = value[0] / family.scale if family.scale > 1 else value[0]
            points.append(NumberDataPoint(attributes, began_ns, now_ns, number))
    match family.kind:
        case "counter":
            return Sum(points, _CUMULATIVE, is_monotonic=True)
        case "gauge":
            return Gauge(points)
        case _:
            return Histogram(points, _CUMULATIVE)


def _histogram(
    family: Family, attributes: dict[str, str], value: Value, began_ns: int, now_ns: int
) -> HistogramDataPoint:
    """A summary, which is a count and a sum, is a histogram without bounds. Least and most are not known."""
    *counts, total = value
    bounds = [bound / 1000 for bound in BOUNDS_MS] if family.kind == "histogram" else []
    nothing: Any = None
    return HistogramDataPoint(
        attributes, began_ns, now_ns, sum(counts), total / family.scale, counts, bounds, nothing, nothing
    )
