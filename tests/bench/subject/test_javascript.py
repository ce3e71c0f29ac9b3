"""The contestant for real: a short run of the whole command, and of its figures two samples each."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest
from pyworkerd_bench import javascript
from pyworkerd_bench.contestant import SUBJECT
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.javascript import FIGURES
from pyworkerd_bench.subject.javascript import JavaScriptHello, JavaScriptSubject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyworkerd_bench.contestant import Probe

HEAVY = frozenset({"memory", "memory_answered"})
"""Seconds: 500 isolates in a fresh process. It has a test of its own."""


class Brief(JavaScriptSubject):
    """Two samples of each figure, none of the heavy ones, and moments of load."""

    def __init__(self) -> None:
        super().__init__()
        self._loaded = JavaScriptHello(seconds=0.2, warmup=0.05)

    def probes(self) -> Sequence[Probe]:
        light = (probe for probe in super().probes() if probe.figure not in HEAVY)
        return [replace(probe, samples=2, warmups=0) for probe in light]


@pytest.fixture
def subject() -> Iterator[Brief]:
    one = Brief()
    try:
        yield one
    finally:
        one.stop()


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE}


@pytest.mark.usefixtures("sandbox")
def test_a_short_run_measures_every_figure_and_leaves_nothing_behind(
    subject: Brief, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYWORKERD_BENCH_WRK", "/nowhere")  # it counts in whole seconds
    before = children()
    assert javascript.main(["--no-peers", "--json"], [subject]) == 0
    assert children() == before
    document = json.loads(capsys.readouterr().out)
    assert document["skipped"] == {}
    assert "QuickJS and CPython" in document["contestants"][SUBJECT]
    rows = {row["figure"]: row for row in document["rows"] if row["contestant"] == SUBJECT}
    measured = {key: row for key, row in rows.items() if row["n"] == 2}
    assert measured.keys() == {figure.key for figure in FIGURES} - HEAVY
    assert all(row["p50"] > 0 for row in measured.values())


def test_before_its_start_it_has_no_probes(subject: Brief) -> None:
    with pytest.raises(BenchError, match="was not started"):
        subject.probes()
