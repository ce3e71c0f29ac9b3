from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.peers.workerd_static import WorkerdStatic, write_crowd

if TYPE_CHECKING:
    from pathlib import Path


def test_a_small_crowd_for_real() -> None:
    peer = WorkerdStatic(asked=2, size=4)
    if (reason := peer.available()) is not None:
        pytest.skip(reason)
    try:
        peer.start()
        assert "static" in peer.about()
        found = peer.round(4, 0)
        assert [len(found[key]) for key in ("start", "memory", "first", "second")] == [1, 1, 2, 2]
    finally:
        peer.stop()


def test_it_has_to_be_started_first() -> None:
    with pytest.raises(BenchError, match="not been written"):
        WorkerdStatic().spawn(4, None)


def test_the_configuration_has_every_tenant(tmp_path: Path) -> None:
    text = write_crowd(tmp_path, 30).read_text()
    assert text.count("worker = .tenant") == 30
    assert text.count('service = "t29"') == 1
