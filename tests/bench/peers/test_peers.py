"""Each peer for real where it is installed: started, asked once about each figure, stopped; else skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import pytest
from pyworkerd_bench.cold_start import FIGURES
from pyworkerd_bench.contestant import WASMTIME, WORKERD, Contestant
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.peers import PEERS
from pyworkerd_bench.peers.command import CommandPeer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=PEERS)
def peer(request: pytest.FixtureRequest) -> Iterator[Contestant]:
    one = PEERS[request.param]()
    reason = one.available()
    if reason is not None:
        pytest.skip(reason)
    try:
        yield one
    finally:
        one.stop()


def servers() -> set[int]:
    """The process groups' leaders among this process's children."""
    return {child.pid for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE}


SLOW = frozenset({"memory", "fresh_rate"})
"""Seconds each; their parts (a spawned server, the load generator, the USS) have tests of their own."""


def test_a_peer_answers_what_it_offers_and_leaves_nothing_behind(peer: Contestant) -> None:
    before = servers()
    peer.start()
    assert peer.about()
    probes = {probe.figure: probe for probe in peer.probes()}
    assert set(probes) <= {figure.key for figure in FIGURES}
    for probe in probes.values():
        if probe.figure not in SLOW:
            assert probe.sample() != 0
    peer.stop()
    peer.stop()
    assert servers() == before


def test_every_peer_that_a_target_names_exists_and_offers_that_figure() -> None:
    for figure in FIGURES:
        for target in figure.targets:
            if target.against is not None:
                assert target.against in PEERS
                peer = PEERS[target.against]()
                assert peer.name == target.against
                if peer.available() is None:
                    assert figure.key in {probe.figure for probe in peer.probes()}


@pytest.mark.parametrize("name", [WORKERD, WASMTIME])
def test_a_server_that_was_not_started_says_so(name: str) -> None:
    peer = PEERS[name]()
    probe = next(probe for probe in peer.probes() if probe.figure == "http_fresh")
    with pytest.raises(BenchError, match="not running"):
        probe.sample()


def test_a_program_that_is_absent_is_a_reason_to_skip() -> None:
    absent = CommandPeer("absent", lambda: None, [], "install it")
    assert absent.available() == "install it"
    with pytest.raises(BenchError, match="install it"):
        absent.about()
