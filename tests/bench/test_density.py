from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pyworkerd_bench import density
from pyworkerd_bench.contestant import SUBJECT
from pyworkerd_bench.density import FIGURES
from pyworkerd_bench.peers.workerd_static import WorkerdStatic
from pyworkerd_bench.subject.density import DensitySubject

from tests.bench.test_suite import Entrant

if TYPE_CHECKING:
    import pytest


def test_every_probe_is_a_figure_and_targets_have_aims_beyond_at_least() -> None:
    keys = {figure.key for figure in FIGURES}
    assert {probe.figure for probe in DensitySubject().probes()} == keys
    assert {probe.figure for probe in WorkerdStatic().probes()} < keys
    assert [target.aim < target.at_least for figure in FIGURES for target in figure.targets] == [True, True]


def test_the_command_judges_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    entrant = Entrant(SUBJECT, figure="start_10000", value=4.0)
    arguments = ["--no-peers", "--json", "--check", "--only", "start_10000"]
    assert density.main(arguments, [entrant]) == 0
    [row] = json.loads(capsys.readouterr().out)["rows"]
    assert row["verdict"] == "at least"
