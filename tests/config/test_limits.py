"""Every limit has a range that holds its default."""

from __future__ import annotations

from dataclasses import asdict

from pyworkerd_config import LIMIT_RANGES, PROCESSES_RANGES, Limits, Processes


def test_each_limit_has_a_range() -> None:
    assert LIMIT_RANGES.keys() == asdict(Limits()).keys()
    assert PROCESSES_RANGES.keys() == asdict(Processes()).keys()


def test_each_default_is_in_its_range() -> None:
    for name, default in asdict(Limits()).items():
        assert LIMIT_RANGES[name].minimum <= default <= LIMIT_RANGES[name].maximum, name
    for name, default in asdict(Processes()).items():
        allowed = PROCESSES_RANGES[name]
        assert default is None or allowed.minimum <= default <= allowed.maximum, name
