from __future__ import annotations

import json

import pytest
from pyworkerd_bench import components
from pyworkerd_bench.components import FIGURES, PEERS
from pyworkerd_bench.contestant import SUBJECT, WASMTIME

from tests.bench.test_suite import Entrant


def test_every_figure_says_how_it_is_measured_and_every_target_names_a_peer_that_is_asked() -> None:
    assert len({figure.key for figure in FIGURES}) == len(FIGURES)
    for figure in FIGURES:
        assert figure.how
        for target in figure.targets:
            assert target.aim > target.at_least
            assert target.against is not None
            peer = PEERS[target.against]()
            assert peer.name == target.against
            assert figure.key in {probe.figure for probe in peer.probes()}


@pytest.mark.parametrize(
    ("ours", "ratio", "verdict"), [(1100.0, 1.1, "aim"), (500.0, 0.5, "at least"), (300.0, 0.3, "missed")]
)
def test_the_command_judges_the_ratio_to_the_peers(
    capsys: pytest.CaptureFixture[str], ours: float, ratio: float, verdict: str
) -> None:
    entrants = [
        Entrant(SUBJECT, figure="fresh_rate", value=ours),
        Entrant(WASMTIME, figure="fresh_rate", value=1000.0),
    ]
    arguments = ["--no-peers", "--json", "--check", "--only", "fresh_rate"]
    status = components.main(arguments, entrants)
    rows = {row["contestant"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert rows[WASMTIME]["ratio"] == pytest.approx(ratio)
    assert rows[WASMTIME]["verdict"] == verdict
    assert status == (verdict == "missed")
