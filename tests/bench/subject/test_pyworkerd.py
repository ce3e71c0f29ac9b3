"""The contestant for real: a server, isolates, one sample of every figure; and a short run of the whole command."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest
from pyworkerd_bench import cold_start
from pyworkerd_bench.cold_start import FIGURES
from pyworkerd_bench.contestant import SUBJECT
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.subject import Pyworkerd
from pyworkerd_bench.subject.pyworkerd import FORBIDDEN, installed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyworkerd_bench.contestant import Probe

HEAVY = frozenset({"memory", "memory_answered", "fresh_rate"})
"""Seconds each: 500 isolates in a fresh process, the load generator. Both have tests of their own."""


class Brief(Pyworkerd):
    """Two samples of each figure, none of the heavy ones."""

    def probes(self) -> Sequence[Probe]:
        light = (probe for probe in super().probes() if probe.figure not in HEAVY)
        return [replace(probe, samples=2, warmups=0) for probe in light]


@pytest.fixture
def contestant() -> Iterator[Pyworkerd]:
    one = Pyworkerd()
    try:
        yield one
    finally:
        one.stop()


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE}


@pytest.mark.usefixtures("sandbox")
def test_it_offers_every_figure_and_leaves_nothing_behind(contestant: Pyworkerd) -> None:
    before = children()
    assert contestant.available() is None
    contestant.start()
    assert {probe.figure for probe in contestant.probes()} == {figure.key for figure in FIGURES}
    assert "wasmtime" in contestant.about()
    contestant.stop()
    contestant.stop()
    assert children() == before


@pytest.mark.usefixtures("sandbox")
def test_a_short_run_measures_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert cold_start.main(["--no-peers", "--json"], [Brief()]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["skipped"] == {}
    rows = {row["figure"]: row for row in document["rows"] if row["contestant"] == SUBJECT}
    measured = {key for key, row in rows.items() if row["n"] == 2}
    assert measured == {figure.key for figure in FIGURES} - HEAVY
    assert all(rows[key]["p50"] > 0 for key in measured if not key.startswith("runaway"))
    assert rows["http_fresh"]["unit"] == "s"
    assert rows["deploy"]["target"] == {"at_least": 0.25, "aim": 0.1, "against": None}


def test_before_its_start_it_has_no_probes(contestant: Pyworkerd) -> None:
    with pytest.raises(BenchError, match="was not started"):
        contestant.probes()
    with pytest.raises(BenchError, match="not been written"):
        contestant.spawn()


def test_the_server_keeps_its_bytecode_even_where_that_is_forbidden() -> None:
    assert installed({"A": "1"}) == {"A": "1"}
    kept = installed({"A": "1", FORBIDDEN: "1"})
    assert kept.keys() == {"A", "PYTHONPYCACHEPREFIX"}
    assert kept["PYTHONPYCACHEPREFIX"].endswith("build/bench/bytecode")
