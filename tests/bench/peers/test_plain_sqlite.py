"""Python's own module, asked for real."""

from __future__ import annotations

import pytest
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.peers.plain_sqlite import PlainSQLite


def test_it_answers_and_leaves_nothing_behind() -> None:
    peer = PlainSQLite()
    assert peer.available() is None
    (probe,) = peer.probes()
    with pytest.raises(BenchError, match="not made"):
        probe.sample()
    try:
        peer.start()
        assert "SQLite" in peer.about()
        folder = peer._folder.path
        value = probe.sample()
        assert isinstance(value, float)
        assert 0 < value < 1
    finally:
        peer.stop()
        peer.stop()
    assert not folder.exists()
