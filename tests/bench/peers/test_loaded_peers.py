"""Each peer under load for real where it is installed: its answers are checked, one shape is measured for a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_bench.peers.asgi import Granian, Uvicorn, free_port
from pyworkerd_bench.peers.wasmtime_reused import WasmtimeReused
from pyworkerd_bench.peers.workerd_serve import SOURCES, WorkerdServe, write_all
from pyworkerd_bench.shapes import SHAPES

from tests.bench.peers.test_peers import servers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pyworkerd_bench.loaded import LoadedContestant


@pytest.fixture(params=[WorkerdServe, Uvicorn, Granian, WasmtimeReused])
def peer(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WorkerdServe | Uvicorn | Granian | WasmtimeReused]:
    monkeypatch.setenv("PYWORKERD_BENCH_WRK", "/nowhere")  # it counts in whole seconds
    one = request.param(seconds=0.2, warmup=0.05)
    reason = one.available()
    if reason is not None:
        pytest.skip(reason)
    try:
        yield one
    finally:
        one.stop()


def test_a_peer_answers_its_shapes_and_leaves_nothing_behind(
    peer: WorkerdServe | Uvicorn | Granian | WasmtimeReused,
) -> None:
    before = servers()
    assert peer.about()
    peer.start()
    server = peer._server
    assert server is not None
    for shape in peer.shapes:
        SHAPES[shape].check(peer.port(server, shape))
    assert peer.rate("hello") > 0
    peer.stop()
    peer.stop()
    assert servers() == before


def test_the_configuration_of_workerd_names_every_source(tmp_path: Path) -> None:
    text = write_all(tmp_path).read_text()
    for name in SOURCES:
        assert f'embed "{name}.js"' in text
        assert (tmp_path / f"{name}.js").read_text() == SOURCES[name]


@pytest.mark.parametrize("make", [Uvicorn, Granian])
def test_a_package_that_is_absent_is_a_reason_to_skip(make: type[LoadedContestant]) -> None:
    class Absent(make):  # type: ignore[misc, valid-type]
        packages = ("no-such-package-at-all", "pytest")

    assert Absent().available() == "no-such-package-at-all not installed: run `make bench`"


def test_a_free_port_can_be_listened_on() -> None:
    assert 0 < free_port() < 65536
