"""Errors as plain values."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyworkerd.errors import ConfigurationError
from pyworkerd.problems import Fault, Refusal, faults_of, status_of
from pyworkerd_config import ConfigError, Place, Problem
from pyworkerd_isolates.errors import EngineError

MANY = ConfigError(
    [Problem(Place(Path("c.toml"), 3), "bad", "do well"), Problem(Place(), "worse")], omitted=7
)
FAULTS = [
    Fault("c.toml:3: bad: do well", "c.toml", 3, "bad", "do well"),
    Fault("<config>: worse", None, None, "worse", None),
    Fault("and 7 more problems"),
]


def test_parts_that_are_known_are_kept() -> None:
    assert faults_of(MANY) == FAULTS
    assert faults_of(ConfigurationError("no")) == [Fault("no")]
    assert faults_of(ConfigurationError("no", "nor this")) == [Fault("no"), Fault("nor this")]
    assert faults_of(Refusal(FAULTS, 2)) == FAULTS
    assert str(Refusal(FAULTS[1:], 2)) == "<config>: worse; and 7 more problems"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MANY, 2),
        (ConfigurationError("no"), 2),
        (EngineError("no"), 1),
        (Refusal([], 7), 7),
        (ValueError("bug"), None),
    ],
)
def test_status(error: Exception, status: int | None) -> None:
    assert status_of(error) == status


def test_json_has_what_is_known() -> None:
    assert FAULTS[2].to_json() == {"text": "and 7 more problems"}
    assert FAULTS[1].to_json() == {
        "text": "<config>: worse",
        "file": None,
        "line": None,
        "message": "worse",
        "remedy": None,
    }
