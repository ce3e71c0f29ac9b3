from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pyworkerd_bench import bindings
from pyworkerd_bench.bindings import FIGURES, PEERS
from pyworkerd_bench.contestant import MINIFLARE, SUBJECT
from pyworkerd_bench.subject.bindings import BindingsSubject

from tests.bench.test_suite import Entrant

if TYPE_CHECKING:
    import pytest


def test_every_figure_is_offered_and_every_target_names_a_peer_that_is_asked() -> None:
    assert {probe.figure for probe in BindingsSubject().probes()} == {figure.key for figure in FIGURES}
    for figure in FIGURES:
        for target in figure.targets:
            assert (target.aim > target.at_least) is (target.against is not None or figure.better == "higher")
            if target.against is not None:
                peer = PEERS[target.against]()
                assert peer.name == target.against
                assert figure.key in {probe.figure for probe in peer.probes()}


def test_the_command_judges_the_ratio_to_the_peer(capsys: pytest.CaptureFixture[str]) -> None:
    entrants = [Entrant(SUBJECT, figure="kv", value=1.0), Entrant(MINIFLARE, figure="kv", value=6.0)]
    assert bindings.main(["--no-peers", "--json", "--check", "--only", "kv"], entrants) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["contestant"], row["ratio"], row["verdict"]) for row in rows] == [
        (SUBJECT, None, ""),
        (MINIFLARE, 6, "at least"),
    ]
