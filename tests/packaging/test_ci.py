"""What `.ci/run` takes for bad luck, and what it does not. `make` is a script here that says what make would."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.packaging.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

MAKE = """\
#!/bin/sh
echo "$@" >> calls
case "$*" in
test)
    mkdir -p .pytest_cache/v/cache
    printf '{\\n%s}\\n' "$FAILED" > .pytest_cache/v/cache/lastfailed
    echo "make: *** [Makefile:31: $TARGET] Error $STATUS" >&2
    [ "$STATUS" = 0 ] || exit 2;;
test*) exit "$AGAIN";;
esac
"""
ONE = '  "tests/a.py::test_a": true\n'


def ran(
    folder: Path, status: int, failed: str = ONE, again: int = 0, target: str = "test"
) -> tuple[int, int]:
    """Its exit status, and how often it has called make."""
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", folder / ".ci" / "run")
    (folder / "make").write_text(MAKE)
    (folder / "make").chmod(0o755)
    said = {"STATUS": str(status), "FAILED": failed, "AGAIN": str(again), "TARGET": target}
    environment = {**said, "PATH": f"{folder}:{os.environ['PATH']}"}
    found = subprocess.run([folder / ".ci" / "run"], env=environment, capture_output=True, check=False)
    return found.returncode, len((folder / "calls").read_text().splitlines())


def test_what_passes_passes(tmp_path: Path) -> None:
    assert ran(tmp_path, 0) == (0, 2)


def test_a_few_that_failed_are_tried_once_more(tmp_path: Path) -> None:
    assert ran(tmp_path, 1) == (0, 3)


def test_what_fails_again_has_failed(tmp_path: Path) -> None:
    assert ran(tmp_path, 1, again=2) == (2, 3)


@pytest.mark.parametrize(
    ("status", "failed", "target"),
    [
        (1, "".join(f'  "tests/a.py::test_{n}": true,\n' for n in range(4)), "test"),
        (2, ONE, "test"),  # it was interrupted: too many of its processes had ended
        (3, ONE, "test"),
        (139, ONE, "test"),
        (1, ONE, "engine"),
    ],
)
def test_anything_else_is_no_bad_luck(tmp_path: Path, status: int, failed: str, target: str) -> None:
    result, calls = ran(tmp_path, status, failed, target=target)
    assert (result != 0, calls) == (True, 2)
