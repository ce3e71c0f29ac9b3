"""The server for real: every shape is answered rightly, and one is measured for a moment."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest
from pyworkerd_bench.shapes import SHAPES, TENANTS
from pyworkerd_bench.subject.throughput import BODY, JSON, LINK, ThroughputSubject, write_all
from pyworkerd_config import check_files, load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def subject(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThroughputSubject]:
    monkeypatch.setenv("PYWORKERD_BENCH_WRK", "/nowhere")  # it counts in whole seconds
    one = ThroughputSubject(seconds=0.2, warmup=0.05)
    try:
        yield one
    finally:
        one.stop()


@pytest.mark.usefixtures("sandbox")
def test_every_shape_is_answered(subject: ThroughputSubject) -> None:
    assert subject.available() is None
    assert "one process" in subject.about()
    subject.start()
    server = subject._server
    assert server is not None
    assert len({subject.port(server, shape) for shape in SHAPES}) == len(SHAPES)
    for shape in SHAPES.values():
        shape.check(subject.port(server, next(name for name, one in SHAPES.items() if one is shape)))
    assert subject.rate("hello") > 0
    subject.stop()
    subject.stop()


def test_the_configuration_has_a_socket_for_each_shape(tmp_path: Path) -> None:
    config = load(write_all(tmp_path))
    assert not check_files(config)
    assert {socket.name for socket in config.sockets} == set(SHAPES)
    assert sum(bool(service.routes) for service in config.services) == TENANTS


@pytest.mark.parametrize("source", [BODY, JSON, LINK])
def test_the_sources_are_python(source: str) -> None:
    ast.parse(source)
