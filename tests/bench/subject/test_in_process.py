from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd.dispatch import trimming
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.subject import in_process
from pyworkerd_bench.subject.programs import JAVASCRIPT, PROGRAMS, PYTHON, Program
from pyworkerd_isolates.isolate import Isolate
from pyworkerd_isolates.pages import PAGES

if TYPE_CHECKING:
    from pyworkerd_isolates.testing import Sandbox


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_memory_counts_isolates_that_live_at_once(program: Program) -> None:
    page = 4096
    assert in_process.memory_answered(program, isolates=20) > page


@pytest.mark.usefixtures("sandbox")
def test_memory_of_idle_isolates_is_read_when_all_have_been_trimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    trim = Isolate.trim

    def told(isolate: Isolate) -> int:
        happened.append("trimmed")
        return trim(isolate)

    def read() -> int:
        happened.append("read")
        return 1000 * len(happened)

    monkeypatch.setattr(Isolate, "trim", told)
    monkeypatch.setattr(trimming, "IDLE_S", 0.1)
    monkeypatch.setattr(in_process, "_uss", read)
    if PAGES is not None:
        assert in_process.memory(JAVASCRIPT, isolates=4) > 0
        assert happened.count("trimmed") == 6
        assert happened[-1] == "read"


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("program", [PYTHON, JAVASCRIPT], ids=["python", "javascript"])
def test_a_figure_is_taken_in_another_process(program: Program) -> None:
    assert in_process.apart("engine_load", program) > 0


def test_an_unknown_figure_is_refused() -> None:
    with pytest.raises(BenchError, match="invalid choice"):
        in_process.apart("speed", PYTHON)


def test_the_command_prints_one_number(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    del sandbox
    assert in_process.main(["engine_load", "python"]) == 0
    assert float(capsys.readouterr().out) > 0
