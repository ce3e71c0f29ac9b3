from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pyworkerd_bench import cold_start
from pyworkerd_bench.cold_start import FIGURES
from pyworkerd_bench.contestant import SUBJECT

from tests.bench.test_suite import Entrant

if TYPE_CHECKING:
    import pytest


def test_the_figures_have_unique_keys_and_aims_beyond_at_least() -> None:
    assert len({figure.key for figure in FIGURES}) == len(FIGURES)
    for figure in FIGURES:
        for target in figure.targets:
            higher = target.against is not None or figure.better == "higher"
            assert (target.aim > target.at_least) is higher


def test_the_command_measures_whom_it_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    entrant = Entrant(SUBJECT, figure="fresh_rate", value=3000.0)
    assert cold_start.main(["--no-peers", "--json", "--only", "fresh_rate"], [entrant]) == 0
    [row] = json.loads(capsys.readouterr().out)["rows"]
    assert (row["figure"], row["verdict"]) == ("fresh_rate", "aim")
