"""From what was counted to what a person wants to see."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.observe.counters import WorkerCounters
from pyworkerd.observe.families import BOUNDS_MS
from pyworkerd.observe.snapshot import Snapshot, add
from pyworkerd.observe.summary import (
    APART_S,
    LATELY_S,
    Figures,
    Lately,
    Window,
    figures_of,
    percentile,
    total,
)

EMPTY = [0] * (len(BOUNDS_MS) + 1)


def buckets(**counts: int) -> list[int]:
    found = list(EMPTY)
    for index, count in counts.items():
        found[int(index[1:])] = count
    return found


def counted() -> Snapshot:
    record = WorkerCounters()
    for status, milliseconds in ((200, 0.5), (204, 3), (500, 40)):
        record.answered(status, int(milliseconds * 1e6))
    record.failed(503, "overloaded", 1_000)
    record.failed(0, "cancelled", 1_000)
    record.failed(404, "no_route", 1_000)
    record.calls = 5
    record.call_failed("exception")
    record.call_failed("cancelled")
    record.cold_starts = 2
    record.steps, record.cpu_ns = 1, 1_500_000_000
    record.waits, record.waited_ns = 1, 250_000_000
    record.limit("overloaded")
    record.log_entries = 7
    snapshot: Snapshot = {}
    record.write(snapshot, "shop")
    add(snapshot, "isolates", ("shop", "idle"), 2)
    add(snapshot, "isolates", ("shop", "busy"), 1)
    add(snapshot, "isolate_memory_bytes", ("shop",), 4096)
    add(snapshot, "queue_depth", ("other",), 3)
    add(snapshot, "connections", ("http",), 9)
    add(snapshot, "requests_limited", ("shop",), 5)
    return snapshot


def test_by_worker() -> None:
    figures = figures_of(counted())
    assert figures.keys() == {"shop", "other"}
    shop = figures["shop"]
    assert (shop.requests, shop.errors, shop.canceled, shop.calls, shop.call_errors) == (6, 2, 1, 7, 1)
    assert (shop.cold_starts, shop.cpu_ns, shop.logged) == (2, 1_500_000_000, 7)
    assert (shop.waits, shop.waited_ns, shop.limits) == (1, 250_000_000, {"queue": 1, "rate_limits": 5})
    assert (shop.isolates, shop.memory) == ({"idle": 2, "busy": 1}, 4096)
    assert sum(shop.buckets) == 6
    assert figures["other"].queue == 3


def test_all_together() -> None:
    figures = figures_of(counted())
    figures["more"] = figures_of(counted())["shop"]
    everything = total(figures)
    assert (everything.requests, everything.queue, everything.memory) == (12, 3, 8192)
    assert everything.isolates == {"idle": 4, "busy": 2}
    assert sum(everything.buckets) == 12


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ({}, 0.5, None),
        ({"b0": 2}, 0.5, 0.5),
        ({"b0": 1, "b1": 1}, 0.5, 1.0),
        ({"b3": 4}, 0.25, 6.25),
        ({"b0": 99, "b5": 1}, 0.99, 1.0),
        ({"b0": 98, "b5": 2}, 0.99, 37.5),
        ({"b13": 1}, 0.5, 10_000.0),
        ({"b0": 1, "b13": 1}, 0.99, 10_000.0),
    ],
)
def test_percentiles(counts: dict[str, int], share: float, expected: float | None) -> None:
    assert percentile(buckets(**counts), share) == expected


@given(st.lists(st.integers(0, 1000), min_size=len(EMPTY), max_size=len(EMPTY)))
def test_percentiles_rise_with_their_share(counts: list[int]) -> None:
    found = [percentile(counts, share) for share in (0.01, 0.5, 0.95, 0.99, 1.0)]
    if sum(counts):
        assert found == sorted(found, key=lambda each: each or 0)
        assert all(each is not None and 0 <= each <= BOUNDS_MS[-1] for each in found)
    else:
        assert set(found) == {None}


def figures(requests: int) -> dict[str, Figures]:
    shop = Figures()
    shop.requests = requests
    shop.buckets = buckets(b2=requests)
    return {"shop": shop}


def test_what_happened_lately() -> None:
    window = Window()
    assert window.before(0.0) == (0.0, {})
    for second in range(100):
        window.add(float(second), figures(second * 10))
    seconds, before = window.before(99.0)
    assert LATELY_S <= seconds < LATELY_S + 2 * APART_S
    lately = Lately(figures(990)["shop"], before["shop"])
    assert lately.requests == sum(lately.buckets) == 10 * seconds
    assert lately.errors == 0


def test_nobody_looked_for_a_while() -> None:
    window = Window()
    window.add(0.0, figures(10))
    assert window.before(1.0)[0] == 1.0
    assert window.before(1000.0) == (0.0, {})


def test_a_worker_that_is_new_and_a_sum_that_fell() -> None:
    now = figures(5)["shop"]
    assert Lately(now, None).requests == 5
    assert Lately(now, figures(7)["shop"].counters()).requests == 0
