"""Every family as OpenTelemetry has it, with the same figures as Prometheus' text."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from pyworkerd.observe.families import BOUNDS_MS, FAMILIES
from pyworkerd.observe.otel_metrics import Sender, metrics_of

if TYPE_CHECKING:
    from pyworkerd.observe.snapshot import Snapshot

KINDS = {"counter": "Sum", "gauge": "Gauge", "histogram": "Histogram", "summary": "Histogram"}


def snapshot() -> Snapshot:
    """Something of each family."""
    return {
        name: {tuple(family.labels): tuple(range(1, family.length + 1))} for name, family in FAMILIES.items()
    }


class Kept(MetricExporter):
    """An exporter that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Any] = []
        self.closed = False

    def export(self, metrics_data: Any, timeout_millis: float = 10_000, **_: Any) -> MetricExportResult:
        self.batches.append(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        self.closed = True


def test_every_family_is_a_metric_of_its_kind() -> None:
    metrics = {metric.name: metric for metric in metrics_of(snapshot(), 1, 2)}
    assert len(metrics) == len(FAMILIES)
    for name, family in FAMILIES.items():
        stem = name.removesuffix("_seconds").removesuffix("_bytes")
        metric = metrics[f"pyworkerd.{stem}"]
        assert metric.unit == {"seconds": "s", "bytes": "By"}.get(name.rpartition("_")[2], "1")
        assert type(metric.data).__name__ == KINDS[family.kind]
        (point,) = metric.data.data_points
        assert dict(point.attributes or {}) == {label: label for label in family.labels}


def test_figures_are_those_of_the_snapshot() -> None:
    metrics = {metric.name: metric.data.data_points[0] for metric in metrics_of(snapshot(), 1, 2)}
    took: Any = metrics["pyworkerd.request_duration"]
    assert list(took.explicit_bounds) == [bound / 1000 for bound in BOUNDS_MS]
    counts = list(range(1, len(BOUNDS_MS) + 2))
    assert (took.bucket_counts, took.count, took.sum) == (counts, sum(counts), (len(BOUNDS_MS) + 2) / 1e9)
    waited: Any = metrics["pyworkerd.queue_wait"]
    assert (waited.bucket_counts, waited.count, waited.sum) == ([1], 1, 2 / 1e9)
    requests: Any = metrics["pyworkerd.requests"]
    assert requests.value == 1
    assert metrics_of({}, 1, 2) == []


def test_the_official_encoder_takes_them() -> None:
    kept = Kept()
    sender = Sender(kept, snapshot, Resource({}), InstrumentationScope("x"))
    sender.close()
    (batch,) = kept.batches
    assert len(encode_metrics(batch).resource_metrics[0].scope_metrics[0].metrics) == len(FAMILIES)
    assert kept.closed


@pytest.mark.parametrize("value", ["no number", "-1", "0", "nan", "inf"])
def test_an_interval_that_is_none_is_said_to_be(
    value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", value)
    with caplog.at_level(logging.WARNING, "pyworkerd.otel"):
        Sender(Kept(), snapshot, Resource({}), InstrumentationScope("x")).close()
    assert "OTEL_METRIC_EXPORT_INTERVAL" in caplog.text


def test_a_loop_that_has_ended_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    def ended() -> Snapshot:
        raise RuntimeError("the event loop is closed")

    kept = Kept()
    with caplog.at_level(logging.WARNING, "pyworkerd.otel"):
        Sender(kept, ended, Resource({}), InstrumentationScope("x")).close()
    assert kept.batches == []
    assert "not sent this time" in caplog.text
