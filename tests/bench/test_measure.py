from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_bench.contestant import Probe
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.measure import Samples, interleave, percentile, turns

values = st.lists(st.floats(0, 1e6), min_size=1, max_size=200)


@given(values, st.floats(0.1, 100))
def test_a_percentile_is_a_measured_value_that_q_percent_do_not_exceed(
    measured: list[float], q: float
) -> None:
    found = percentile(measured, q)
    assert found in measured
    assert sum(value <= found for value in measured) >= math.ceil(len(measured) * q / 100)
    assert sum(value < found for value in measured) < max(1, math.ceil(len(measured) * q / 100))


def test_known_percentiles() -> None:
    hundred = list(range(1, 101))
    assert [percentile(hundred, q) for q in (1, 50, 99, 100)] == [1, 50, 99, 100]
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_a_p99_needs_a_hundred_samples() -> None:
    assert Samples(tuple(range(99))).p99 is None
    assert Samples(tuple(range(100))).p99 == 98


@given(st.lists(st.integers(0, 50), min_size=1, max_size=5), st.integers(1, 30))
def test_every_lane_gets_exactly_its_share(counts: list[int], rounds: int) -> None:
    assert Counter(turns(counts, rounds)) == Counter({i: n for i, n in enumerate(counts) if n})


def test_lanes_take_turns_and_the_order_rotates() -> None:
    assert list(turns([3, 3], 3)) == [0, 1, 1, 0, 0, 1]
    assert list(turns([4, 2], 2)) == [0, 0, 1, 1, 0, 0]


def probe(
    asked: list[str], name: str, samples: int, warmups: int = 0, fails_after: int | None = None
) -> Probe:
    def sample() -> float:
        asked.append(name)
        if fails_after is not None and asked.count(name) > fails_after:
            raise BenchError("it broke")
        return float(asked.count(name))

    return Probe("figure", sample, samples, warmups)


def test_warmups_come_first_and_are_thrown_away() -> None:
    asked: list[str] = []
    outcome = interleave({"a": probe(asked, "a", 2, warmups=3), "b": probe(asked, "b", 2)}, rounds=2)
    assert asked == ["a", "a", "a", "a", "b", "b", "a"]
    assert outcome.samples == {"a": Samples((4.0, 5.0)), "b": Samples((1.0, 2.0))}
    assert outcome.failures == {}


@pytest.mark.parametrize("fails_after", [0, 2])
def test_one_that_fails_drops_out_and_the_others_go_on(fails_after: int) -> None:
    asked: list[str] = []
    lines: list[str] = []
    probes = {"a": probe(asked, "a", 4, fails_after=fails_after), "b": probe(asked, "b", 4)}
    outcome = interleave(probes, progress=lines.append)
    assert list(outcome.samples) == ["b"]
    assert outcome.samples["b"].n == 4
    assert outcome.failures == {"a": "it broke"}
    assert asked.count("a") == fails_after + 1
    assert lines == ["a dropped out: it broke"]
