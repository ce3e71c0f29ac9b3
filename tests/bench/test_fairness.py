from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pyworkerd_bench import fairness
from pyworkerd_bench.contestant import SUBJECT
from pyworkerd_bench.fairness import FIGURES

from tests.bench.test_suite import Entrant

if TYPE_CHECKING:
    import pytest


def test_the_figures_have_unique_keys_and_aims_beyond_at_least() -> None:
    assert len({figure.key for figure in FIGURES}) == len(FIGURES)
    [target] = [target for figure in FIGURES for target in figure.targets]
    assert (target.at_least, target.aim) == (5, 2)


def test_the_command_judges_the_slowdown(capsys: pytest.CaptureFixture[str]) -> None:
    entrant = Entrant(SUBJECT, figure="slowdown_8", value=3.0)
    assert fairness.main(["--json", "--check", "--only", "slowdown_8"], [entrant]) == 0
    [row] = json.loads(capsys.readouterr().out)["rows"]
    assert row["verdict"] == "at least"
    entrant.value = 6.0
    assert fairness.main(["--json", "--check", "--only", "slowdown_8"], [entrant]) == 1
