"""`pyworkerd bench` hands over; what is measured has its own tests."""

from __future__ import annotations

import argparse
import importlib.util

import pytest
from pyworkerd.cli import bench
from pyworkerd.errors import ConfigurationError

from tests.runtime.cli.command import run


def test_it_hands_the_arguments_over() -> None:
    done = run("bench", "cold-start", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: pyworkerd bench cold-start")
    assert run("bench", "cold-start", "--only", "nothing").returncode == 2


def test_an_unknown_benchmark() -> None:
    done = run("bench", "warm-start")
    assert done.returncode == 2
    assert "cold-start" in done.stderr


def test_an_installation_without_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="not installed"):
        bench.run(argparse.Namespace(benchmark="cold-start", arguments=[]))
