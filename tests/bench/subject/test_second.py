"""One process and two, for real and for a moment; what is said about them, from rates as they may be."""

from __future__ import annotations

import ast
import os
from typing import TYPE_CHECKING

import pytest
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.machine import usable_cpus
from pyworkerd_bench.rates import Rate
from pyworkerd_bench.subject import second
from pyworkerd_bench.subject.second import SHAPE, WORK, SecondProcess

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SecondProcess:
    monkeypatch.setenv("PYWORKERD_BENCH_WRK", "/nowhere")  # it counts in whole seconds
    return SecondProcess(tmp_path, seconds=0.2, warmup=0.05)


@pytest.mark.usefixtures("sandbox")
@pytest.mark.skipif(len(usable_cpus()) < 2, reason="a second process needs a second processor")
def test_both_are_measured(pair: SecondProcess) -> None:
    before = os.sched_getaffinity(0)
    assert pair.remark() is None
    assert pair.gain() > 0
    assert "times the processor time" in str(pair.remark())
    assert os.sched_getaffinity(0) == before


def test_the_gain_is_of_requests_and_the_remark_of_processor_time(
    pair: SecondProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = {
        1: Rate(1000, generator=0.1, server=1.0, by_wrk=True),
        2: Rate(1500, generator=0.1, server=1.8, by_wrk=True),
    }
    monkeypatch.setattr(pair, "_rate", rates.__getitem__)
    assert pair.gain() == 1.5
    assert pair.remark() == (
        "with two processes a request takes 1.20 times the processor time that it takes with one"
    )
    rates[2] = Rate(1500, generator=0.1, server=1.0, by_wrk=True)
    assert pair.gain() == 1.5
    assert "; something else took their processors" in str(pair.remark())


def test_one_processor_has_no_second(pair: SecondProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second, "usable_cpus", lambda: (0,))
    with pytest.raises(BenchError, match="needs two processors"):
        pair.gain()


def test_the_answer_is_what_the_source_computes() -> None:
    ast.parse(WORK)
    assert SHAPE.expected == str(sum(number * number for number in range(second.TURNS))).encode()
