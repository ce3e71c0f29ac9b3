from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.http_client import get_request
from pyworkerd_bench.load import Generator, Post, generate, main, measure_rate
from pyworkerd_bench.machine import load_cpus

from tests.bench.servers import SHAPED, server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANSWERS = """
if path == b"/close":
    break
status = {b"/ok": b"200 OK", b"/busy": b"503 Busy"}[path]
writer.write(b"HTTP/1.1 %s\\r\\ncontent-length: 5\\r\\n\\r\\nhello" % status)
"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with server(ANSWERS) as place:
        yield place.port


def test_answers_are_counted_in_the_measured_interval(port: int) -> None:
    load = generate(port, [get_request("/ok")], connections=4, warmup=0.05, seconds=0.1)
    assert load.answers > 4
    assert load.seconds >= 0.1
    assert load.refused == 0
    assert load.rate == load.answers / load.seconds


def test_the_rate_is_measured_from_another_process(port: int) -> None:
    assert measure_rate(port, "/ok", seconds=0.1, warmup=0.05, connections=4, cpu=load_cpus()[1]) > 0


def test_refusals_and_closed_connections_are_errors(port: int) -> None:
    with pytest.raises(BenchError, match="were not 200"):
        measure_rate(port, "/busy", seconds=0.05, warmup=0.0, connections=2)
    with pytest.raises(BenchError, match="closed under load"):
        measure_rate(port, "/close", seconds=0.05, warmup=0.0, connections=2)


def test_the_command_line_says_what_failed(capsys: pytest.CaptureFixture[str], port: int) -> None:
    assert main([str(port), "/close", "--seconds", "0.05", "--warmup", "0", "--connections", "1"]) == 1
    assert "closed under load" in capsys.readouterr().err


def test_connections_share_the_paths_and_may_expect_another_status(port: int) -> None:
    busy = Generator(port, ["/busy", "/busy"], connections=3, seconds=0.05, status=503)
    assert busy.finish().answers > 0
    mixed = Generator(port, ["/ok", "/busy"], connections=2, seconds=0.05)
    with pytest.raises(BenchError, match="were not 200"):
        mixed.finish()


def test_requests_take_turns_where_there_are_more_of_them_than_connections(port: int) -> None:
    mixed = Generator(port, ["/ok", "/ok", "/busy"], connections=1, seconds=0.05)
    with pytest.raises(BenchError, match="were not 200"):
        mixed.finish()


def test_bodies_are_posted(tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(b"x" * 1000)
    with server(SHAPED) as place:
        posting = Generator(place.port, ["/x"], connections=2, seconds=0.05, post=Post(body, "text/plain"))
        assert posting.finish().answers > 0


def test_a_generator_can_be_stopped_early(port: int) -> None:
    endless = Generator(port, ["/ok"], seconds=3600)
    endless.stop()
    endless.stop()
