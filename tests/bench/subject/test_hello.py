from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_bench.subject.hello import CPU_MS, FRESH, LOOPING, WARM, write_all, write_hello
from pyworkerd_bench.subject.programs import PROGRAMS, Program
from pyworkerd_config import Worker, check_files, load

if TYPE_CHECKING:
    from pathlib import Path

each_program = pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)


@each_program
def test_the_configuration_puts_each_worker_behind_its_path(tmp_path: Path, program: Program) -> None:
    config = load(write_all(tmp_path, program))
    assert not check_files(config)
    workers = {
        service.routes[0]: service.kind for service in config.services if isinstance(service.kind, Worker)
    }
    assert set(workers) == {FRESH, WARM, LOOPING}
    assert {worker.main.name for worker in workers.values()} == {program.main}
    assert workers[FRESH].main.read_text() == workers[WARM].main.read_text() == program.hello
    assert workers[LOOPING].main.read_text() == program.loop
    assert workers[FRESH].reuse == "request"
    assert workers[WARM].reuse == "isolate"
    assert workers[LOOPING].limits.cpu_ms == CPU_MS
    assert [socket.service for socket in config.sockets] == [None]


@each_program
def test_the_small_configuration_has_one_worker(tmp_path: Path, program: Program) -> None:
    config = load(write_hello(tmp_path, program))
    assert not check_files(config)
    assert [socket.service for socket in config.sockets] == ["hello"]
    [worker] = [service.kind for service in config.services if isinstance(service.kind, Worker)]
    assert worker.main.read_text() == program.hello
