from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_bench import loaded
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.loaded import RUNS, LoadedContestant
from pyworkerd_bench.shapes import Shape

from tests.bench.servers import SHAPED, server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyworkerd_bench.processes import Server


class Little(LoadedContestant):
    """Python's own server, for two shapes that it answers and one that it does not."""

    shapes = ("right", "posted", "wrong")

    def spawn(self, cpu: int | None) -> Server:
        return server(SHAPED, cpu)


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> Iterator[Little]:
    monkeypatch.setenv("PYWORKERD_BENCH_WRK", "/nowhere")
    monkeypatch.setattr(
        loaded,
        "SHAPES",
        {
            "right": Shape(("/a",), b"a"),
            "posted": Shape(("/x",), b"body", b"body", "text/plain"),
            "wrong": Shape(("/a",), b"b"),
        },
    )
    one = Little(seconds=0.1, warmup=0.05)
    try:
        yield one
    finally:
        one.stop()


def test_each_shape_is_a_probe_and_wrong_answers_are_none(little: Little) -> None:
    little.start()
    probes = {probe.figure: probe for probe in little.probes()}
    assert {key: probe.samples for key, probe in probes.items()} == dict.fromkeys(Little.shapes, RUNS)
    for key in ("right", "posted"):
        assert probes[key].remark() is None
        rate = probes[key].sample()
        assert isinstance(rate, float)
        assert rate > 0
    with pytest.raises(BenchError, match="was answered 200"):
        probes["wrong"].sample()
    little.stop()
    little.stop()


def test_what_makes_a_rate_doubtful_is_remarked(little: Little, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyworkerd_bench.rates.SATURATED", 1000.0)
    little.start()
    probe = next(probe for probe in little.probes() if probe.figure == "right")
    probe.sample()
    assert "the server" in (probe.remark() or "")


def test_a_server_that_was_not_started_says_so(little: Little) -> None:
    with pytest.raises(BenchError, match="not running"):
        little.rate("right")
