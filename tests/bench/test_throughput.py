from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pyworkerd_bench import throughput
from pyworkerd_bench.contestant import SUBJECT
from pyworkerd_bench.shapes import SHAPES
from pyworkerd_bench.throughput import FIGURES, PEERS

from tests.bench.test_suite import Entrant

if TYPE_CHECKING:
    import pytest


def test_every_shape_is_a_figure_and_every_target_names_a_peer_that_is_asked() -> None:
    assert {figure.key for figure in FIGURES} >= set(SHAPES)
    for figure in FIGURES:
        for target in figure.targets:
            assert target.aim > target.at_least
            if target.against is not None:
                peer = PEERS[target.against]()
                assert peer.name == target.against
                assert figure.key in {probe.figure for probe in peer.probes()}


def test_the_command_judges_the_ratio_to_the_peers(capsys: pytest.CaptureFixture[str]) -> None:
    entrants = [
        Entrant(SUBJECT, figure="tenants", value=3000.0),
        Entrant("workerd", figure="tenants", value=1000.0),
    ]
    assert throughput.main(["--no-peers", "--json", "--check", "--only", "tenants"], entrants) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["contestant"], row["ratio"], row["verdict"]) for row in rows] == [
        (SUBJECT, None, ""),
        ("workerd", 3, "aim"),
    ]
