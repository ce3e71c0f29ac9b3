"""The contestant for real, with a small component instead of the one that takes seconds to build and to compile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd_bench.http_client import Connection, get_request
from pyworkerd_bench.peers import wasi_hello
from pyworkerd_bench.subject.components import ComponentsSubject

from tests.isolates.component.programs import HELLO

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_it_serves_the_component(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    small = tmp_path / "small.wasm"
    small.write_bytes(HELLO)
    monkeypatch.setattr(wasi_hello, "component_file", lambda: small)
    subject = ComponentsSubject()
    subject.start()
    try:
        assert {probe.figure for probe in subject.probes()} == {"fresh_rate", "http_fresh", "first_200"}
        assert subject.fresh() > 0
        with Connection(subject.port) as connection:
            assert connection.exchange(get_request("/fresh")).body == b"hello"
    finally:
        subject.stop()
