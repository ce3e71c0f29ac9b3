"""The limit of open files is raised at the start."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest
from pyworkerd.cli.descriptors import ENOUGH, MODEST, raise_limit

INFINITE = resource.RLIM_INFINITY


class Limits:
    """Stands for the system's: the process's own are for the other tests."""

    def __init__(self, soft: int, hard: int, most: int = INFINITE) -> None:
        self.now, self.most = (soft, hard), most

    def get(self, _: int) -> tuple[int, int]:
        return self.now

    def set(self, _: int, wanted: tuple[int, int]) -> None:
        if self.most not in (INFINITE, wanted[0]) and wanted[0] > self.most:
            raise ValueError("current limit exceeds maximum limit")
        self.now = wanted


@pytest.mark.parametrize(
    ("limits", "after"),
    [
        (Limits(1024, 4096), 4096),
        (Limits(4096, 4096), 4096),
        (Limits(1024, INFINITE), ENOUGH),
        (Limits(256, INFINITE, most=MODEST), MODEST),
        (Limits(256, INFINITE, most=300), 256),
        (Limits(INFINITE, INFINITE), INFINITE),
    ],
)
def test_the_soft_limit_becomes_the_hard_one(
    limits: Limits, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hard = limits.now[1]
    monkeypatch.setattr(resource, "getrlimit", limits.get)
    monkeypatch.setattr(resource, "setrlimit", limits.set)
    assert raise_limit() == after
    assert limits.now == (after, hard)


def test_in_a_process_of_its_own() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    code = "from pyworkerd.cli.descriptors import raise_limit; print(raise_limit())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(said) == (hard if hard != INFINITE else int(said))
