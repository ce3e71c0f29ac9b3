"""The real command with several processes: what is lost when one of them is, and what is said about it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import psutil
import pytest
from pyworkerd import machine
from pyworkerd.supervisor.messages import Ready
from pyworkerd.supervisor.policy import State
from pyworkerd.supervisor.supervisor import Supervisor

from tests.packaging.tree import ROOT
from tests.runtime.cli.command import PATIENCE_S, ask, run
from tests.runtime.supervisor.supervised import supervised, write

if TYPE_CHECKING:
    from pathlib import Path

    from pyworkerd.supervisor.child import Child


def test_by_default_there_is_a_process_for_each_core(tmp_path: Path) -> None:
    with supervised(write(tmp_path), processes=None) as served:
        served.complete()
        assert len(served.children()) == machine.cores()
        # The supervisor forks, so it must never have a thread.
        assert psutil.Process(served.process.pid).num_threads() == 1
        assert served.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
def test_a_process_that_ends_is_replaced(tmp_path: Path, number: int) -> None:
    with supervised(write(tmp_path)) as served:
        address = served.complete()
        gone = served.kill(number)
        assert signal.Signals(number).name in served.errors.until(f"(pid {gone}) was ended by")
        for _ in range(20):
            assert ask(address).body == "one"
        served.settled(2, {gone})
        assert served.stop(signal.SIGTERM) == 0


def test_connections_that_come_at_once_are_spread_over_the_processes(tmp_path: Path) -> None:
    with supervised(write(tmp_path)) as served, ExitStack() as closing:
        address = served.complete()
        first, second = served.children()
        # On a busy machine the second may come so late that nobody waits for it; later it makes up for that.
        for each in range(16, 321, 16):
            first.suspend()
            second.suspend()
            for _ in range(16):
                closing.enter_context(socket.create_connection(address))
            had = connections(first)
            first.resume()
            while connections(first) == had:
                os.sched_yield()
            second.resume()
            while connections(first) + connections(second) < each:
                os.sched_yield()
            if min(connections(first), connections(second)) >= 24:
                break
        else:
            pytest.fail(f"{connections(first)} and {connections(second)}")


def connections(process: psutil.Process) -> int:
    return sum(each.status == psutil.CONN_ESTABLISHED for each in process.net_connections("tcp"))


@pytest.mark.parametrize("state", State)
def test_who_says_late_that_it_has_started_was_asked_to_end(state: State) -> None:
    """SIGTERM may come while a process starts: what it says then is on its way already."""
    killed: list[bool] = []
    child = SimpleNamespace(state=state, digest="another", doomed=False, kill=lambda: killed.append(True))
    Supervisor.heard(object.__new__(Supervisor), cast("Child", child), Ready("digest", ()))
    assert killed == ([] if state is State.DRAINING else [True])


def test_a_process_that_was_told_to_end_finishes_what_runs(tmp_path: Path) -> None:
    with supervised(write(tmp_path), processes=1) as served:
        address = served.complete()
        with closing(http.client.HTTPConnection(*address, timeout=PATIENCE_S)) as connection:
            connection.putrequest("POST", "/")
            connection.putheader("content-length", "2")
            connection.endheaders(b"x")
            served.errors.until("began")
            gone = served.kill(signal.SIGTERM)
            # The other one serves meanwhile.
            served.settled(2, set())
            assert ask(address).body == "one"
            assert psutil.pid_exists(gone)
            connection.send(b"x")
            assert connection.getresponse().read() == b"one"
        served.settled(1, {gone})
        assert served.stop(signal.SIGTERM) == 0


def test_a_process_that_hangs_is_killed(tmp_path: Path) -> None:
    with supervised(write(tmp_path, top="processes = { hang_s = 2 }")) as served:
        address = served.complete()
        gone = served.kill(signal.SIGSTOP)
        for _ in range(20):
            assert ask(address).body == "one"
        assert f"(pid {gone}) is killed: its event loop has not turned for 2 s" in served.errors.until(
            "is killed"
        )
        served.settled(2, {gone})


def test_a_process_tells_what_its_threads_are_doing(tmp_path: Path) -> None:
    with supervised(write(tmp_path), processes=1) as served:
        served.complete()
        served.kill(signal.SIGUSR2)
        served.errors.until("most recent call first")
        served.errors.until("serving_process.py")


def test_a_process_that_outgrows_its_budget_is_replaced_and_then_drained(tmp_path: Path) -> None:
    with supervised(write(tmp_path, top="processes = { replace_mb = 160 }"), processes=1) as served:
        address = served.complete()
        (large,) = served.children()
        assert ask(address, "/eat").body == "one"
        assert f"(pid {large.pid}) is to end: it has " in served.errors.until("is to end")
        served.settled(1, {large.pid})
        assert ask(address).body == "one"
        assert served.stop(signal.SIGTERM) == 0


def test_when_the_supervisor_is_killed_its_processes_finish_and_end(tmp_path: Path) -> None:
    with supervised(write(tmp_path), processes=1) as served:
        address = served.complete()
        (child,) = served.children()
        with closing(http.client.HTTPConnection(*address, timeout=PATIENCE_S)) as connection:
            connection.putrequest("POST", "/")
            connection.putheader("content-length", "2")
            connection.endheaders(b"x")
            served.errors.until("began")
            served.process.kill()
            served.process.wait()
            connection.send(b"x")
            assert connection.getresponse().read() == b"one"
        child.wait(PATIENCE_S)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address).close()


def test_a_mistake_is_told_once(tmp_path: Path) -> None:
    config = write(tmp_path)
    (tmp_path / "w.py").write_text("1 / 0\n")
    done = run("serve", config, "--processes", "4")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {tmp_path / 'w.py'}:1: ZeroDivisionError: division by zero\n"
    told = json.loads(run("serve", config, "--processes", "2", "--json").stdout)
    assert [problem["text"] for problem in told["problems"]] == [done.stderr.removeprefix("error: ").rstrip()]


CRASHES = """
import sys
from pathlib import Path
from pyworkerd_config import load
from pyworkerd.supervisor.run import run
from pyworkerd.supervisor.settings import Settings
from pyworkerd.problems import Refusal

def crash():
    raise MemoryError("no loop for you")

try:
    run(Settings(load=lambda: load(Path(sys.argv[1])), make_loop=crash, processes=3))
except Refusal as refusal:
    sys.exit(f"{refusal.status}: {refusal}")
"""


def test_when_no_process_can_start_the_supervisor_gives_up(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASHES, write(tmp_path)],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("MemoryError: no loop for you") == 5
    assert done.stderr.endswith("1: no serving process can start: the log says how each of them ended\n")


def test_lines_of_all_processes_reach_standard_error_whole(tmp_path: Path) -> None:
    with supervised(write(tmp_path), processes=3) as served:
        address = served.complete()
        for _ in range(60):
            assert ask(address, "/log").body == "one"
        assert served.stop(signal.SIGTERM) == 0
        lines = [line for line in served.errors.rest() if "x" * 10 in line]
    assert len(lines) == 60
    assert all(line.count("x" * 16_000) == 1 and "[w " in line for line in lines)


def test_a_terminal_that_hangs_up_ends_the_server(tmp_path: Path) -> None:
    pytest.importorskip("pty")
    parent, terminal = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "pyworkerd", "serve", write(tmp_path), "--processes", "1"],
        stdin=terminal, stdout=subprocess.PIPE, stderr=terminal, start_new_session=True, text=True,
    ) as process:  # fmt: skip
        os.close(terminal)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("listening")
        os.close(parent)
        process.send_signal(signal.SIGHUP)
        assert process.wait(PATIENCE_S) == 0


def test_the_admin_address_tells_how_things_stand(tmp_path: Path) -> None:
    with supervised(write(tmp_path, top='admin = "127.0.0.1:0"')) as served:
        address = served.address()
        site = served.site()
        served.errors.until("serving with")
        assert ask(address).body == "one"
        assert (ask(site, "/live").status, ask(site, "/ready").status) == (200, 200)
        assert json.loads(ask(site, "/ready").body) == {"ready": True, "serving": 2, "wanted": 2}
        told = json.loads(ask(site, "/processes").body)
        assert told["pid"] == served.process.pid
        assert [each["pid"] for each in told["processes"]] == [child.pid for child in served.children()]
        assert {each["state"] for each in told["processes"]} == {"serving"}
        assert {each["configuration"] for each in told["processes"]} == {told["configuration"]}
        gone = served.kill()
        served.settled(2, {gone})
        assert json.loads(ask(site, "/processes").body)["replaced"] == 1
        assert ask(site, "/ready", host="evil.example").status == 421
        with closing(http.client.HTTPConnection(*address, timeout=PATIENCE_S)) as connection:
            connection.putrequest("POST", "/")
            connection.putheader("content-length", "2")
            connection.endheaders(b"x")
            served.errors.until("began")
            served.process.send_signal(signal.SIGTERM)
            served.errors.until("stopping")
            # It still lives, but nobody should send it anything any more.
            assert (ask(site, "/live").status, ask(site, "/ready").status) == (200, 503)
            connection.send(b"x")
            assert connection.getresponse().read() == b"one"
        assert served.process.wait(PATIENCE_S) == 0


def test_the_admin_socket_is_the_operators_alone(tmp_path: Path) -> None:
    path = tmp_path / "admin"
    with supervised(write(tmp_path), f"--admin=unix:{path}", processes=1) as served:
        served.complete()
        assert path.stat().st_mode & 0o777 == 0o600
        assert served.stop(signal.SIGTERM) == 0
    assert not path.exists()
