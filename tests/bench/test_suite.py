from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import pytest
from pyworkerd_bench import suite
from pyworkerd_bench.contestant import PER_SECOND, SUBJECT, Figure, Probe, Target
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Sequence

RATE = Figure("rate", "isolates per second", PER_SECOND, "", (Target(1200, 2500),), better="higher")
OTHER = Figure("other", "another figure", PER_SECOND, "")
FIGURES = (RATE, OTHER)


class Entrant:
    """A contestant without a process: what it was told to do, and in which order."""

    def __init__(
        self,
        name: str,
        *,
        lack: str | None = None,
        start_fails: bool = False,
        value: float = 1.0,
        figure: str = "rate",
    ) -> None:
        self.name, self.calls, self.value, self.figure = name, [], value, figure
        self._lack, self._start_fails = lack, start_fails
        self.calls: list[str]

    def itself(self) -> Entrant:
        return self

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
        return [Probe(self.figure, self.sample, 10, warmups=4)]

    def stop(self) -> None:
        self.calls.append("stop")


def a_suite(subject: Entrant, *peers: Entrant) -> Suite:
    return Suite(
        "speed",
        "Measure speed.",
        FIGURES,
        lambda: subject,
        {one.name: partial(Entrant.itself, one) for one in peers},
    )


def test_everyone_who_started_is_measured_and_stopped() -> None:
    subject, absent = Entrant(SUBJECT, value=3000), Entrant("absent", lack="not here")
    broken, silent = Entrant("broken", start_fails=True), Entrant("silent", value=-1)
    done = suite.run([subject, absent, broken, silent], date="2026-01-01", figures=FIGURES)
    assert subject.calls == ["available", "start", *["sample"] * 14, "stop"]
    assert absent.calls == ["available"]
    assert broken.calls == ["available", "start", "stop"]
    assert silent.calls[-1] == "stop"
    assert done.contestants == {SUBJECT: "pyworkerd 1.0", "silent": "silent 1.0"}
    assert done.skipped == {
        "absent": "not here",
        "broken": "would not start",
        "silent, isolates per second": "no answer",
    }
    row = next(row for row in done.rows if row.figure.key == "rate")
    assert (row.contestant, row.verdict) == (SUBJECT, "aim")


def test_contestants_are_stopped_when_the_run_is_interrupted() -> None:
    class Interrupting(Entrant):
        def sample(self) -> float:
            raise KeyboardInterrupt

    first, second = Entrant("first"), Interrupting("second")
    with pytest.raises(KeyboardInterrupt):
        suite.run([first, second], date="2026-01-01", figures=FIGURES)
    assert (first.calls[-1], second.calls[-1]) == ("stop", "stop")


def test_a_quick_run_takes_fewer_samples() -> None:
    entrant = Entrant(SUBJECT)
    suite.run([entrant], date="2026-01-01", figures=FIGURES, quick=True)
    assert entrant.calls.count("sample") == 2 + 2


def test_figures_can_be_chosen() -> None:
    made = a_suite(Entrant(SUBJECT))
    assert made.chosen([]) == FIGURES
    assert made.chosen(["other", "rate"]) == (RATE, OTHER)
    assert made.chosen(["other"]) == (OTHER,)


@pytest.mark.parametrize(("value", "status"), [(3000.0, 0), (3.0, 1), (-1.0, 1)])
def test_the_check_fails_on_a_miss_and_on_no_value(
    capsys: pytest.CaptureFixture[str], value: float, status: int
) -> None:
    arguments = ["--no-peers", "--json", "--check", "--only", "rate"]
    assert suite.main(a_suite(Entrant(SUBJECT, value=value)), arguments) == status
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert [row["figure"] for row in document["rows"]] == ["rate"]
    assert "measuring isolates per second: pyworkerd (10)" in captured.err


def test_the_table_goes_out_without_colour_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    assert suite.main(a_suite(Entrant(SUBJECT, value=3.0)), ["--quick"]) == 0
    out = capsys.readouterr().out
    assert "missed" in out
    assert "\x1b" not in out


def test_peers_are_measured_unless_they_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    subject, peer = Entrant(SUBJECT, value=3000.0), Entrant("peer", value=1000.0)
    assert suite.main(a_suite(subject, peer), []) == 0
    assert "3.0 x" in capsys.readouterr().out
    assert suite.main(a_suite(subject, peer), ["--no-peers", "--check"]) == 0
    assert "peer" not in capsys.readouterr().out


def test_a_sample_may_be_many_values() -> None:
    class Loaded(Entrant):
        def probes(self) -> Sequence[Probe]:
            return [Probe("rate", lambda: (1.0, 2.0, 3.0), 4)]

    done = suite.run([Loaded(SUBJECT)], date="2026-01-01", figures=[RATE])
    value = done.rows[0].value
    assert value is not None
    assert (value.n, value.p50) == (12, 2.0)


def test_remarks_of_probes_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    class Doubtful(Entrant):
        def probes(self) -> Sequence[Probe]:
            return [Probe("rate", self.sample, 1, remark=lambda: "half asleep")]

    subject = Doubtful(SUBJECT)
    assert suite.main(a_suite(subject), ["--json"]) == 0
    assert json.loads(capsys.readouterr().out)["remarks"] == {
        f"{SUBJECT}, isolates per second": "half asleep"
    }
    assert suite.main(a_suite(subject), []) == 0
    assert capsys.readouterr().out.endswith(f"note: {SUBJECT}, isolates per second: half asleep\n")
