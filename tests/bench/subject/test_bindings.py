"""The server for real: every figure is measured once."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest
from pyworkerd_bench.subject import bindings
from pyworkerd_bench.subject.bindings import BindingsSubject, write_all
from pyworkerd_config import check_files, load

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.usefixtures("sandbox")
def test_everything_is_measured_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bindings, "MEGABYTES", 2)
    subject = BindingsSubject()
    assert subject.available() is None
    assert "one process" in subject.about()
    try:
        subject.start()
        folder = subject._folder.path
        for probe in subject.probes():
            sample = probe.sample()
            values = [sample] if isinstance(sample, float) else sample
            assert values, probe.figure
            assert min(values) > 0, probe.figure
    finally:
        subject.stop()
        subject.stop()
    assert not folder.exists()


def test_the_configuration_is_sound(tmp_path: Path) -> None:
    assert not check_files(load(write_all(tmp_path)))


@pytest.mark.parametrize(
    "source",
    [
        bindings.KV,
        bindings.SQL,
        bindings.BATCH,
        bindings.OBJECT,
        bindings.SENDER,
        bindings.RECEIVER,
        bindings.FILES,
    ],
)
def test_the_sources_are_python(source: str) -> None:
    ast.parse(source)
