"""One short round against a real server; how it is judged is tested with the suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.fairness import FIGURES
from pyworkerd_bench.subject.fairness import ALONE, CROWDS, FairnessSubject

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def subject() -> Iterator[FairnessSubject]:
    one = FairnessSubject(seconds=0.2, warmup=0.05)
    try:
        yield one
    finally:
        one.stop()


@pytest.mark.usefixtures("sandbox")
def test_all_figures_are_read_from_one_round(subject: FairnessSubject) -> None:
    assert subject.available() is None
    subject.start()
    assert "one process" in subject.about()
    probes = {probe.figure: probe for probe in subject.probes()}
    assert set(probes) == {figure.key for figure in FIGURES}
    samples = {key: probe.sample() for key, probe in probes.items()}
    assert {crowd: samples[f"victim_{crowd}"] for crowd in CROWDS} == subject.round(0)
    for crowd in CROWDS[1:]:
        slowdown = samples[f"slowdown_{crowd}"]
        assert isinstance(slowdown, float)
        assert slowdown > 0
    assert len(subject.round(0)[ALONE]) > 10
    subject.stop()
    subject.stop()


def test_a_server_that_was_not_started_says_so(subject: FairnessSubject) -> None:
    with pytest.raises(BenchError, match="not running"):
        subject.round(0)
