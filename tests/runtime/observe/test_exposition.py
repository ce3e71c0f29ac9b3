"""What Prometheus gets to read, read by the official client's own parsers."""

from __future__ import annotations

import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from pyworkerd.observe.counters import WorkerCounters
from pyworkerd.observe.exposition import Collector, expose
from pyworkerd.observe.families import FAMILIES
from pyworkerd.observe.snapshot import Snapshot, add, label

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def full(name: str = "shop") -> Snapshot:
    """Something in every family."""
    snapshot: Snapshot = {}
    for family, row in FAMILIES.items():
        add(snapshot, family, (name,) * len(row.labels), *range(1, row.length + 1))
    return snapshot


def samples(families: Iterable[Metric]) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (each.name, frozenset(each.labels.items())): each.value
        for family in families
        for each in family.samples
    }


def test_both_formats_say_the_same() -> None:
    text, kind = expose(full())
    assert kind.startswith("text/plain; version=0.0.4")
    open_text, open_kind = expose(full(), OPENMETRICS)
    assert open_kind.startswith(OPENMETRICS)
    seen = samples(read_text(text.decode()))
    assert seen == samples(read_openmetrics(open_text.decode()))
    assert {name.removeprefix("pyworkerd_") for name, _ in seen} >= {
        f"{name}_total" if family.kind == "counter" else name
        for name, family in FAMILIES.items()
        if family.kind in ("counter", "gauge")
    }


def test_units_are_seconds_and_buckets_add_up() -> None:
    counters = WorkerCounters()
    for milliseconds in (0.5, 1, 3, 20_000):
        counters.answered(200, int(milliseconds * 1e6))
    counters.steps, counters.cpu_ns = 1, 1_500_000_000
    counters.waits, counters.waited_ns = 2, 250_000_000
    snapshot: Snapshot = {}
    counters.write(snapshot, "w")
    seen = samples(read_text(expose(snapshot)[0].decode()))
    worker = ("worker", "w")
    buckets = {
        dict(labels)["le"]: value
        for (name, labels), value in seen.items()
        if name == "pyworkerd_request_duration_seconds_bucket"
    }
    assert [buckets[bound] for bound in ("0.001", "0.002", "0.005", "10.0", "+Inf")] == [2, 2, 3, 3, 4]
    assert math.isclose(seen["pyworkerd_request_duration_seconds_sum", frozenset([worker])], 20.0045)
    assert seen["pyworkerd_request_duration_seconds_count", frozenset([worker])] == 4
    assert seen["pyworkerd_cpu_seconds_total", frozenset([worker])] == 1.5
    assert seen["pyworkerd_queue_wait_seconds_count", frozenset([worker])] == 2
    assert seen["pyworkerd_queue_wait_seconds_sum", frozenset([worker])] == 0.25


@given(st.text())
def test_no_name_can_forge_a_line(name: str) -> None:
    name = label(name)
    text, _ = expose(full(name))
    open_text, _ = expose(full(name), OPENMETRICS)
    seen = samples(read_text(text.decode()))
    assert len(seen) == len(samples(read_text(expose(full())[0].decode())))
    assert {value for _, labels in seen for key, value in labels if key == "worker"} == {name}
    assert samples(read_openmetrics(open_text.decode())) == seen


@pytest.mark.parametrize("snapshot", [{}, {"steps": {}}])
def test_nothing_counted_is_nothing_said(snapshot: Snapshot) -> None:
    assert expose(snapshot)[0] == b""


def test_the_collector_in_a_registry_of_somebody_elses() -> None:
    snapshot: Snapshot = {}
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(lambda: snapshot))
    assert generate_latest(registry) == b""
    add(snapshot, "steps", ("w",), 7)
    assert registry.get_sample_value("pyworkerd_steps_total", {"worker": "w"}) == 7
    with pytest.raises(ValueError, match="Duplicated"):
        registry.register(Collector(lambda: snapshot))


def test_the_example_of_the_page_runs() -> None:
    page = (Path(__file__).parents[3] / "docs" / "observing.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {"runtime": SimpleNamespace(metrics=full)}
    exec(example, names)
    assert names["data"] == expose(full())[0]
    assert str(names["content_type"]).startswith("text/plain")
