"""Exceptions become messages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyworkerd.cli.failures import explain
from pyworkerd.errors import ConfigurationError
from pyworkerd_config import ConfigError, Place, Problem
from pyworkerd_isolates.errors import EngineError

MANY = ConfigError(
    [Problem(Place(Path("c.toml"), 3), "bad", "do well"), Problem(Place(), "worse")], omitted=7
)


@pytest.mark.parametrize(
    ("error", "status"),
    [(MANY, 2), (ConfigurationError("no"), 2), (EngineError("no"), 1), (ValueError("a bug"), None)],
)
def test_status(error: Exception, status: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(error) == status
    assert (capsys.readouterr().err == "") == (status is None)


def test_one_line_per_problem_and_no_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    explain(MANY)
    assert capsys.readouterr().err.splitlines() == [
        "error: c.toml:3: bad: do well",
        "error: <config>: worse",
        "error: and 7 more problems",
    ]
    explain(ConfigurationError("\x1b[2J"))
    assert capsys.readouterr().err == "error: \\x1b[2J\n"


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    explain(MANY, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert found["problems"][0] == {
        "text": "c.toml:3: bad: do well",
        "file": "c.toml",
        "line": 3,
        "message": "bad",
        "remedy": "do well",
    }
    assert (found["problems"][1]["file"], found["problems"][1]["remedy"]) == (None, None)
