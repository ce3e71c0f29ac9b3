"""Interpreters on threads of their own: how they end, if they do."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates.errors import EngineError, Trap
from pyworkerd_isolates.subinterpreter import running
from pyworkerd_isolates.subinterpreter.interpreters import missing
from pyworkerd_isolates.subinterpreter.running import Running, left

if TYPE_CHECKING:
    from pathlib import Path

needs_them = pytest.mark.skipif(missing() is not None, reason=str(missing()))
FOREVER = 30.0


def begin(folder: Path, source: str) -> Running:
    (folder / "w.py").write_text(source, encoding="utf-8")
    return Running(folder, "w")


@needs_them
def test_it_ends_when_it_is_needed_no_more(tmp_path: Path) -> None:
    each = begin(tmp_path, "")
    each.link.wait(FOREVER)
    each.close()
    each.close()
    assert each.join(FOREVER)
    assert (each.failure, each.cpu_ns(), left()) == ("", 0, 0)


@needs_them
def test_a_loop_is_broken_off_though_it_catches_what_it_can(tmp_path: Path) -> None:
    source = """
import os
for _ in range(3):
    try:
        os.write({}, b"!")
        while True: pass
    except BaseException: pass
"""
    from socket import socketpair  # noqa: PLC0415 - for this test alone

    ours, theirs = socketpair()
    each = begin(tmp_path, source.format(theirs.fileno()))
    assert ours.recv(1) == b"!"
    each.break_off()
    assert each.join(FOREVER)
    assert left() == 0
    ours.close()
    theirs.close()


@needs_them
def test_those_that_do_not_end_are_counted_and_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from os import close, pipe  # noqa: PLC0415

    readable, writable = pipe()
    each = begin(tmp_path, f"import os; os.read({readable}, 1)")  # no exception comes through a system call
    each.break_off()
    assert (each.join(0.0), left()) == (False, 1)
    monkeypatch.setattr(running, "MOST_LEFT", 1)
    with pytest.raises(EngineError, match="no more are started in this process"):
        begin(tmp_path, "")
    close(writable)
    assert each.join(FOREVER)
    assert left() == 0
    close(readable)


@needs_them
def test_a_process_ends_whatever_they_do(tmp_path: Path) -> None:
    (tmp_path / "w.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()\n",
        encoding="utf-8",
    )
    program = f"""
from pathlib import Path
from pyworkerd_isolates.subinterpreter.running import Running
idle = Running(Path({str(tmp_path)!r}), "nothing")
idle.link.wait(30)
print("done")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "done\n")


@pytest.mark.skipif(missing() is None, reason="this Python has subinterpreters")
def test_an_older_python_says_so_to_whoever_waits(tmp_path: Path) -> None:
    each = begin(tmp_path, "")
    with pytest.raises(Trap):
        while each.link.receive(100) is None:
            each.link.wait(FOREVER)
    assert "need Python 3.13" in each.failure
    each.close()
    assert each.join(FOREVER)
