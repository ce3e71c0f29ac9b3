from __future__ import annotations

import pytest
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.rates import Rate, measure
from pyworkerd_bench.shapes import Shape

from tests.bench.servers import SHAPED, server


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (Rate(1000, generator=0.5, server=0.99, by_wrk=True), None),
        (Rate(1000, generator=1.0, server=0.99, by_wrk=False), None),
        (
            Rate(1000, generator=0.99, server=0.6, by_wrk=True),
            r"\(wrk\) was the bottleneck: .* 99% .* server 60%",
        ),
        (Rate(1000, generator=0.99, server=0.6, by_wrk=False), "in Python, since wrk was not found"),
        (
            Rate(1000, generator=0.3, server=0.4, by_wrk=True),
            r"server 40%; it answered 2500 a second of its own time",
        ),
        (Rate(0, generator=0.3, server=0.0, by_wrk=True), "something else took their processors"),
    ],
)
def test_a_server_that_was_not_busy_is_doubted(rate: Rate, said: str | None) -> None:
    doubt = rate.doubt()
    if said is None:
        assert doubt is None
    else:
        assert doubt is not None
        with pytest.raises(BenchError, match=said):
            raise BenchError(doubt)


def test_two_processors_are_to_be_busy_both() -> None:
    rate = Rate(1000, generator=0.3, server=1.7, by_wrk=True)
    assert rate.doubt() is None
    assert "server 170%" in str(rate.doubt(processors=2))


@pytest.mark.parametrize(
    "shape", [Shape(("/a", "/a"), b"a"), Shape(("/x",), b"body", b"body", "text/plain")], ids=["get", "post"]
)
def test_without_wrk_python_loads(monkeypatch: pytest.MonkeyPatch, shape: Shape) -> None:
    monkeypatch.setenv("PYWORKERD_BENCH_WRK", "/nowhere")
    with server(SHAPED) as place:
        found = measure(place.port, place, shape, seconds=0.2, warmup=0.05, cpu=None)
    assert found.per_second > 0
    assert not found.by_wrk
    assert found.generator > 0
    assert found.server >= 0


def test_refusals_are_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYWORKERD_BENCH_WRK", "/nowhere")
    with (
        server(SHAPED) as place,
        pytest.raises(BenchError, match="were not 200"),
    ):
        measure(place.port, place, Shape(("/b",), b""), seconds=0.1, warmup=0, cpu=None)
