from __future__ import annotations

import json

import pytest
from pyworkerd_bench import javascript
from pyworkerd_bench.contestant import NODE, SUBJECT, WORKERD_SERVE
from pyworkerd_bench.javascript import FIGURES, PEERS

from tests.bench.test_suite import Entrant


def test_every_figure_says_how_it_is_measured_and_every_target_names_a_peer_that_is_asked() -> None:
    assert len({figure.key for figure in FIGURES}) == len(FIGURES)
    for figure in FIGURES:
        assert figure.how
        for target in figure.targets:
            assert (target.aim > target.at_least) is (target.against is not None or figure.better == "higher")
            if target.against is not None:
                peer = PEERS[target.against]()
                assert peer.name == target.against
                if peer.available() is None:
                    assert figure.key in {probe.figure for probe in peer.probes()}


@pytest.mark.parametrize(
    ("figure", "peer", "ours", "theirs", "ratio", "verdict"),
    [
        ("first_step", NODE, 0.0001, 0.025, 250, "at least"),
        ("first_step", NODE, 0.0001, 0.05, 500, "aim"),
        ("hello", WORKERD_SERVE, 700.0, 1000.0, 0.7, "at least"),
        ("hello", WORKERD_SERVE, 500.0, 1000.0, 0.5, "missed"),
    ],
)
def test_the_command_judges_the_ratio_to_the_peers(
    capsys: pytest.CaptureFixture[str],
    figure: str,
    peer: str,
    ours: float,
    theirs: float,
    ratio: float,
    verdict: str,
) -> None:
    entrants = [Entrant(SUBJECT, figure=figure, value=ours), Entrant(peer, figure=figure, value=theirs)]
    status = javascript.main(["--no-peers", "--json", "--check", "--only", figure], entrants)
    rows = {row["contestant"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert rows[peer]["ratio"] == pytest.approx(ratio)
    assert rows[peer]["verdict"] == verdict
    assert status == (verdict == "missed")
