from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from pyworkerd_bench import cold_start
from pyworkerd_bench.contestant import FIGURES, SUBJECT, Probe
from pyworkerd_bench.errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Entrant:
    """A contestant without a process: what it was told to do, and in which order."""

    def __init__(
        self, name: str, *, lack: str | None = None, start_fails: bool = False, value: float = 1.0
    ) -> None:
        self.name, self.calls, self.value = name, [], value
        self._lack, self._start_fails = lack, start_fails
        self.calls: list[str]

    def available(self) -> str | None:
        self.calls.append("available")
        return self._lack

    def start(self) -> None:
        self.calls.append("start")
        if self._start_fails:
            raise BenchError("would not start")

    def about(self) -> str:
        return f"{self.name} 1.0"

    def sample(self) -> float:
        self.calls.append("sample")
        if self.value < 0:
            raise BenchError("no answer")
        return self.value

    def probes(self) -> Sequence[Probe]:
        return [Probe("fresh_rate", self.sample, 10, warmups=4)]

    def stop(self) -> None:
        self.calls.append("stop")


def test_everyone_who_started_is_measured_and_stopped() -> None:
    subject, absent = Entrant(SUBJECT, value=3000), Entrant("absent", lack="not here")
    broken, silent = Entrant("broken", start_fails=True), Entrant("silent", value=-1)
    done = cold_start.run([subject, absent, broken, silent], date="2026-01-01")
    assert subject.calls == ["available", "start", *["sample"] * 14, "stop"]
    assert absent.calls == ["available"]
    assert broken.calls == ["available", "start", "stop"]
    assert silent.calls[-1] == "stop"
    assert done.contestants == {SUBJECT: "pyworkerd 1.0", "silent": "silent 1.0"}
    assert done.skipped == {
        "absent": "not here",
        "broken": "would not start",
        "silent, fresh isolates per second and core": "no answer",
    }
    row = next(row for row in done.rows if row.figure.key == "fresh_rate")
    assert (row.contestant, row.verdict) == (SUBJECT, "aim")


def test_contestants_are_stopped_when_the_run_is_interrupted() -> None:
    class Interrupting(Entrant):
        def sample(self) -> float:
            raise KeyboardInterrupt

    first, second = Entrant("first"), Interrupting("second")
    with pytest.raises(KeyboardInterrupt):
        cold_start.run([first, second], date="2026-01-01")
    assert (first.calls[-1], second.calls[-1]) == ("stop", "stop")


def test_a_quick_run_takes_fewer_samples() -> None:
    entrant = Entrant(SUBJECT)
    cold_start.run([entrant], date="2026-01-01", quick=True)
    assert entrant.calls.count("sample") == 2 + 2


def test_figures_can_be_chosen() -> None:
    assert cold_start.chosen([]) == FIGURES
    assert [figure.key for figure in cold_start.chosen(["memory", "deploy"])] == ["deploy", "memory"]


@pytest.mark.parametrize(("value", "status"), [(3000.0, 0), (3.0, 1), (-1.0, 1)])
def test_the_check_fails_on_a_miss_and_on_no_value(
    capsys: pytest.CaptureFixture[str], value: float, status: int
) -> None:
    arguments = ["--no-peers", "--json", "--check", "--only", "fresh_rate"]
    assert cold_start.main(arguments, [Entrant(SUBJECT, value=value)]) == status
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert [row["figure"] for row in document["rows"]] == ["fresh_rate"]
    assert "measuring fresh isolates per second and core: pyworkerd (10)" in captured.err


def test_the_table_goes_out_without_colour_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    assert cold_start.main(["--no-peers", "--quick"], [Entrant(SUBJECT, value=3.0)]) == 0
    out = capsys.readouterr().out
    assert "missed" in out
    assert "\x1b" not in out
