"""One small round against a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.subject.density import PROGRAMS, DensitySubject, write_crowd
from pyworkerd_bench.subject.programs import PYTHON
from pyworkerd_config import check_files, load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def subject(monkeypatch: pytest.MonkeyPatch) -> Iterator[DensitySubject]:
    monkeypatch.setattr("pyworkerd_bench.subject.density.PROGRAMS", 2)
    monkeypatch.setattr("pyworkerd_bench.subject.density.NEW", 1)
    one = DensitySubject(asked=3, sizes=(6,))
    try:
        yield one
    finally:
        one.stop()


@pytest.mark.usefixtures("sandbox")
def test_every_figure_is_measured(subject: DensitySubject) -> None:
    assert subject.available() is None
    subject.start()
    assert "lazy" in subject.about()
    values = {probe.figure: probe.sample() for probe in subject.probes()}
    assert set(values) == {"start_6", "memory_6", "first_6", "second_6", "never_built"}
    assert all(value > 0 for series in values.values() for value in series)  # type: ignore[union-attr]
    subject.stop()
    subject.stop()


def test_it_has_to_be_started_first(subject: DensitySubject) -> None:
    with pytest.raises(BenchError, match="not been written"):
        subject.never_built()


def test_the_configuration_is_lazy_and_has_every_tenant(tmp_path: Path) -> None:
    config = load(write_crowd(tmp_path, [PYTHON.version(number % PROGRAMS) for number in range(30)]))
    assert config.deploy == "lazy"
    assert not check_files(config)
    assert sum(bool(service.routes) for service in config.services) == 30
