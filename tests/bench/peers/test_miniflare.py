"""miniflare for real where it is installed."""

from __future__ import annotations

import pytest
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.peers import miniflare
from pyworkerd_bench.peers.miniflare import Miniflare


def test_it_answers_and_leaves_nothing_behind() -> None:
    peer = Miniflare()
    if (reason := peer.available()) is not None:
        pytest.skip(reason)
    try:
        peer.start()
        assert "miniflare" in peer.about()
        assert all(probe.sample() != 0 for probe in peer.probes())
    finally:
        peer.stop()


def test_without_node_it_takes_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(miniflare, "find", lambda _: None)
    assert "node was not found" in (Miniflare().available() or "")
    peer = Miniflare()
    with pytest.raises(BenchError, match="node was not found"):
        peer.spawn()
