from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import psutil
import pytest
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.machine import usable_cpus
from pyworkerd_bench.processes import Server, output_of, pinned, run_to_exit, terminable

if TYPE_CHECKING:
    from pathlib import Path

FOREVER = """
import socket, subprocess, sys
child = subprocess.Popen(
    [sys.executable, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
)
child.stdout.readline()  # it is there, and grows no more
print("starting child", child.pid, flush=True)
listener = socket.create_server(("127.0.0.1", 0))
print(f"listening on port {listener.getsockname()[1]}", flush=True)
listener.accept()
"""
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FOREVER
PORT = r"on port (\d+)"


def python(source: str) -> list[str]:
    return [sys.executable, "-c", source]


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_server_is_known_by_its_announced_port_and_ends_with_its_children() -> None:
    with Server(python(FOREVER), PORT) as server:
        assert server.port > 0
        children = psutil.Process(server.pid).children()
        assert children
        assert server.uss() > sum(child.memory_full_info().uss for child in children) > 0
    psutil.wait_procs(children, timeout=10)
    assert gone(server.pid)
    assert all(gone(child.pid) for child in children)
    server.stop()


TWO = """
import signal
print("ready on 1 (other)\\nready on 3 (b)\\nready on 2 (a)", flush=True)
signal.pause()
"""


def test_a_server_with_several_sockets_is_known_by_their_names() -> None:
    with Server(python(TWO), r"on (?P<port>\d+) \((?P<name>\w+)\)", names=("a", "b")) as server:
        assert server.ports == {"a": 2, "b": 3}
        assert server.port == 2


def test_processor_time_is_that_of_the_server_and_grows() -> None:
    work = "import time\nwhile time.process_time() < 0.2: pass\n"
    with Server(python(work + FOREVER), PORT) as server:
        assert server.cpu_seconds() > 0.1  # the system counts in hundredths of a second
    with pytest.raises(BenchError, match="cannot read the processor time"):
        server.cpu_seconds()


def test_a_server_that_ignores_the_request_to_end_is_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyworkerd_bench.processes.STOP_TIMEOUT", 0.1)
    server = Server(python(STUBBORN), PORT)
    server.stop()
    assert gone(server.pid)


def test_a_server_that_ends_while_starting_says_why() -> None:
    with pytest.raises(BenchError, match=r"ended while starting: .*no luck"):
        Server(python("raise SystemExit('no luck')"), PORT)


def test_a_server_that_says_nothing_is_stopped() -> None:
    with pytest.raises(BenchError, match="did not announce its port"):
        Server(
            python("input()" if sys.platform == "win32" else "import signal; signal.pause()"),
            PORT,
            timeout=0.05,
        )


def test_a_program_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nothing")
    for call in (
        lambda: Server([nowhere], PORT),
        lambda: run_to_exit([nowhere]),
        lambda: output_of([nowhere]),
    ):
        with pytest.raises(BenchError, match="cannot"):
            call()


def test_memory_of_a_process_that_is_gone_is_an_error() -> None:
    server = Server(python(FOREVER), PORT)
    server.stop()
    with pytest.raises(BenchError, match="cannot read the memory"):
        server.uss()
    with pytest.raises(BenchError, match="cannot read the memory"):
        server.own()


def test_memory_of_its_own_is_what_a_process_filled() -> None:
    filled = 64 * 1024 * 1024
    with (
        Server(python(FOREVER), PORT) as small,
        Server(python(f"held = b'x' * {filled}\n{FOREVER}"), PORT) as big,
    ):
        assert filled * 0.9 < big.own() - small.own() < filled * 1.1


@pytest.mark.skipif(not usable_cpus(), reason="this system cannot pin processes")
def test_children_inherit_the_processor_and_the_parent_gets_its_own_back() -> None:
    before = os.sched_getaffinity(0)
    cpu = usable_cpus()[-1]
    with Server(python(FOREVER), PORT, cpu=cpu) as server:
        assert os.sched_getaffinity(server.pid) == {cpu}
    assert os.sched_getaffinity(0) == before
    with pinned(None):
        assert os.sched_getaffinity(0) == before
    with pinned(*usable_cpus()[:2]):
        assert os.sched_getaffinity(0) == set(usable_cpus()[:2])


def test_commands_are_timed_and_failures_told() -> None:
    assert run_to_exit(python("pass")) > 0
    with pytest.raises(BenchError, match="status 3"):
        run_to_exit(python("raise SystemExit(3)"))
    assert output_of(python("print('said')")) == "said"
    with pytest.raises(BenchError, match="status 1: broken"):
        output_of(python("raise SystemExit('broken')"))


def test_sigterm_becomes_an_orderly_exit_and_the_handler_is_restored() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit, match="143"), terminable():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
