"""What a forked process keeps of the supervisor: what it was to have, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

from pyworkerd.supervisor.forking import open_descriptors

from tests.packaging.tree import ROOT


def test_a_child_has_what_it_was_given() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.runtime.supervisor.forks"],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
        cwd=ROOT,
    )
    assert done.stderr == ""
    found = json.loads(done.stdout)
    child = found["child"]
    assert child["null"] == ["secret", "epoll", "input"]
    assert child["signals"] == [signal.SIG_DFL, signal.SIG_IGN, signal.SIG_IGN]
    assert (child["blocked"], child["wakeup"]) == ([], -1)
    assert child["standard"] == [True, True]
    assert (found["status"], found["said"]) == (7, "said on output\nsaid on errors\n")
    assert found["failure"] == 1
    assert found["traceback"].endswith("ValueError: on purpose\n")
    assert (found["received"], found["ends"]) == ([1], "")


def test_descriptors_are_those_that_are_open() -> None:
    before = open_descriptors()
    reading, writing = os.pipe()
    assert open_descriptors() == before | {reading, writing}
    os.close(reading)
    os.close(writing)
    assert open_descriptors() == before
