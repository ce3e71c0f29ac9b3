"""Snapshots as Prometheus reads them, written by its official client. Nothing of that client is imported before.

    data, content_type = expose(runtime.metrics(), request_header_accept)

A program that has a registry of its own can register `Collector(runtime.metrics)` there.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from prometheus_client.core import (
    CollectorRegistry,
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import choose_encoder

from .families import BOUNDS_MS, FAMILIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .families import Family
    from .snapshot import Snapshot, Value

PREFIX: Final = "pyworkerd_"
_KINDS: Final[dict[str, Any]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
    "summary": SummaryMetricFamily,
}


class Collector:
    """Asks for a snapshot at each scrape, and has no state of its own."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def describe(self) -> Iterator[Metric]:
        """All metrics, without samples."""
        for name, family in FAMILIES.items():
            yield _KINDS[family.kind](PREFIX + name, family.help, labels=family.labels)

    def collect(self) -> Iterator[Metric]:
        """All metrics that have samples."""
        snapshot = self._snapshot()
        for name, family in FAMILIES.items():
            rows = snapshot.get(name)
            if rows:
                metric = _KINDS[family.kind](PREFIX + name, family.help, labels=family.labels)
                for labels, value in sorted(rows.items()):
                    metric.add_metric(labels, **_sample(family, value))
                yield metric


def expose(snapshot: Snapshot, accept: str = "") -> tuple[bytes, str]:
    """The text of a scrape and its content type, in the format that the `Accept` header asks for."""
    registry = CollectorRegistry()
    registry.register(Collector(lambda: snapshot))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _sample(family: Family, value: Value) -> dict[str, Any]:
    match family.kind:
        case "histogram":
            *counts, total = value
            bounds = [*(str(bound / 1000) for bound in BOUNDS_MS), "+Inf"]
            return {
                "buckets": list(zip(bounds, accumulate(counts), strict=True)),
                "sum_value": total / family.scale,
            }
        case "summary":
            return {"count_value": value[0], "sum_value": value[1] / family.scale}
        case _:
            return {"value": value[0] / family.scale if family.scale > 1 else value[0]}
