from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.open_loop import Client, arrivals, latencies, main

from tests.bench.servers import server

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWERS = """
if path == b"/close":
    break
if path == b"/pairs":
    held.append(writer)
    if len(held) < 2:
        continue
status = b"503 Busy" if path == b"/busy" else b"200 OK"
for one in held or [writer]:
    one.write(b"HTTP/1.1 %s\\r\\ncontent-length: 5\\r\\n\\r\\nhello" % status)
held.clear()
"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with server(ANSWERS) as place:
        yield place.port


@given(st.floats(1, 1000), st.floats(0.01, 5), st.integers(0, 100))
def test_arrivals_rise_within_the_time_and_are_the_same_again(rate: float, seconds: float, seed: int) -> None:
    moments = arrivals(rate, seconds, seed)
    assert all(0 < moment < seconds for moment in moments)
    assert all(first < second for first, second in pairwise(moments))
    assert moments == arrivals(rate, seconds, seed)


def test_arrivals_come_at_the_rate_on_average() -> None:
    assert len(arrivals(100, 1000)) == pytest.approx(100_000, rel=0.02)


def test_every_request_gets_one_latency(port: int) -> None:
    client = Client(port, "/ok", connections=4)
    try:
        measured = client.run(arrivals(500, 0.1))
        assert len(measured) == len(arrivals(500, 0.1))
        assert all(latency > 0 for latency in measured)
        assert client.run([]) == []
    finally:
        client.close()


def test_a_request_leaves_before_an_earlier_one_is_answered(port: int) -> None:
    # The first is answered only once the second has come: a closed loop would wait for ever.
    client = Client(port, "/pairs", connections=2)
    try:
        first, second = client.run([0.0, 0.02])
    finally:
        client.close()
    assert max(first, second) >= 0.02


def test_waiting_for_a_connection_counts_as_latency(port: int) -> None:
    # All are due at once, and take turns on one connection: each waits for those before it.
    client = Client(port, "/ok", connections=1)
    try:
        measured = client.run([0.0] * 20)
    finally:
        client.close()
    assert measured == sorted(measured)


def test_it_runs_in_another_process(port: int) -> None:
    assert len(latencies(port, "/ok", rate=200, seconds=0.1, warmup=0.02)) == len(arrivals(200, 0.1))


@pytest.mark.parametrize(("path", "reason"), [("/busy", "503 instead of 200"), ("/close", "closed")])
def test_refusals_and_closed_connections_are_errors(port: int, path: str, reason: str) -> None:
    with pytest.raises(BenchError, match=reason):
        latencies(port, path, rate=200, seconds=0.1, warmup=0.1)


def test_the_command_prints_latencies(capsys: pytest.CaptureFixture[str], port: int) -> None:
    assert main([str(port), "/ok", "--rate", "100", "--seconds", "0.1", "--warmup", "0.02"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(arrivals(100, 0.1))
    assert main([str(port), "/busy"]) == 1
    assert "503" in capsys.readouterr().err
