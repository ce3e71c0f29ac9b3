"""The server for real: a Python worker calls a TypeScript worker."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.subject import calls
from pyworkerd_bench.subject.calls import ADDER, CALLER, CallsSubject, write_calls
from pyworkerd_config import check_files, load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def subject() -> Iterator[CallsSubject]:
    one = CallsSubject()
    try:
        yield one
    finally:
        one.stop()


@pytest.mark.usefixtures("sandbox")
def test_a_call_is_measured_and_nothing_is_left(subject: CallsSubject) -> None:
    assert subject.available() is None
    assert "CPython and QuickJS in WebAssembly" in subject.about()
    subject.start()
    folder = subject._folder.path
    [probe] = subject.probes()
    value = probe.sample()
    assert isinstance(value, float)
    assert value > 0
    subject.stop()
    subject.stop()
    assert not folder.exists()


@pytest.mark.usefixtures("sandbox")
def test_a_wrong_sum_is_no_figure(subject: CallsSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "ADDER", ADDER.replace("left + right", "left"))
    with pytest.raises(BenchError, match="answered 500"):
        subject.start()


def test_the_configuration_is_sound(tmp_path: Path) -> None:
    assert not check_files(load(write_calls(tmp_path)))


def test_the_caller_is_python() -> None:
    ast.parse(CALLER)
