"""The process that forks commands goes on, whatever becomes of a test."""

from __future__ import annotations

import os
from pathlib import Path

from tests.runtime.cli.command import PROGRAM, run
from tests.runtime.cli.forks import forks


def test_a_test_that_has_gone_takes_it_from_no_other() -> None:
    output, theirs = os.pipe()
    with os.fdopen(output) as said, Path(os.devnull).open() as nothing:
        try:
            files = nothing.fileno(), theirs, nothing.fileno()
            gone = forks().start([str(PROGRAM), "--version"], files, os.environ)
        finally:
            os.close(theirs)
        gone._told.close()
        assert said.read().startswith("pyworkerd ")
    assert [run("--version").returncode for _ in range(2)] == [0, 0]
