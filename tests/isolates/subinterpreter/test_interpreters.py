"""Interpreters as this Python has them, or the reason why it has none."""

from __future__ import annotations

import sys

import pytest
from pyworkerd_config.checks import isolation
from pyworkerd_isolates.errors import EngineError
from pyworkerd_isolates.subinterpreter import interpreters


def test_an_older_python_is_told_which_one_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 11, 7, "final", 0))
    assert interpreters.missing() == "subinterpreters need Python 3.13 or newer, and this is 3.11"
    with pytest.raises(EngineError, match=r"need Python 3\.13 or newer"):
        interpreters.create()


def test_the_configuration_is_refused_by_the_same_version() -> None:
    assert isolation.SINCE == interpreters.SINCE


def test_code_runs_and_tells_how_it_failed() -> None:
    if fault := interpreters.missing():
        pytest.skip(fault)
    interpreter = interpreters.create()
    try:
        assert interpreter.exec("x = 1") is None
        assert interpreter.exec("assert x == 1") is None
        assert "ZeroDivisionError" in (interpreter.exec("1/0") or "")
    finally:
        interpreter.close()


def test_the_private_way_does_the_same() -> None:
    if fault := interpreters.missing():
        pytest.skip(fault)
    interpreter = interpreters._Private()
    assert "ZeroDivisionError" in (interpreter.exec("1/0") or "")
    interpreter.close()
