"""What a process uses."""

from __future__ import annotations

import os
import subprocess
import sys

from pyworkerd.supervisor.usage import Usage

MIB = 1 << 20


def test_memory_is_what_is_its_own() -> None:
    usage = Usage(os.getpid())
    before = usage.look()
    grown = bytearray(b"x" * (64 * MIB))
    after = usage.look()
    assert before is not None
    assert after is not None
    assert after.memory - before.memory > 32 * MIB
    del grown


def test_a_process_that_has_gone_uses_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        usage = Usage(process.pid)
        assert usage.look() is not None
    assert usage.look() is None
