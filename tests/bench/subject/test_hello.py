from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from pyworkerd_bench.subject.hello import CPU_MS, FRESH, HELLO, LOOP, LOOPING, WARM, write_all, write_hello
from pyworkerd_config import Worker, check_files, load

if TYPE_CHECKING:
    from pathlib import Path


def test_the_configuration_puts_each_worker_behind_its_path(tmp_path: Path) -> None:
    config = load(write_all(tmp_path))
    assert not check_files(config)
    workers = {
        service.routes[0]: service.kind for service in config.services if isinstance(service.kind, Worker)
    }
    assert set(workers) == {FRESH, WARM, LOOPING}
    assert workers[FRESH].reuse == "request"
    assert workers[WARM].reuse == "isolate"
    assert workers[LOOPING].limits.cpu_ms == CPU_MS
    assert [socket.service for socket in config.sockets] == [None]


def test_the_small_configuration_has_one_worker(tmp_path: Path) -> None:
    config = load(write_hello(tmp_path))
    assert not check_files(config)
    assert [socket.service for socket in config.sockets] == ["hello"]
    assert sum(isinstance(service.kind, Worker) for service in config.services) == 1


def test_the_sources_are_python() -> None:
    for text in (HELLO, LOOP):
        ast.parse(text)
