from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pyworkerd_bench.contestant import (
    MILLISECONDS,
    NODE,
    PER_SECOND,
    SUBJECT,
    WASMTIME,
    Figure,
    Target,
)
from pyworkerd_bench.measure import Samples
from pyworkerd_bench.report import COLOURS, Machine, Report, as_json, as_table, ratio, rows, verdict

START = Figure("start", "start", MILLISECONDS, "command to answer", (Target(100, 250, NODE),))
RATE = Figure("rate", "rate", PER_SECOND, "as fast as it goes", (Target(1200, 2500),), better="higher")
STOP = Figure("stop", "stop", MILLISECONDS, "as fast as it goes", (Target(0.020, 0.005),), judged="worst")
MACHINE = Machine("a processor", 2, "Linux 6", "CPython 3.13", 0.25)


def one(*values: float) -> Samples:
    return Samples(values)


@pytest.mark.parametrize(
    ("figure", "target", "value", "expected"),
    [
        (RATE, Target(1200, 2500), 1199.9, "missed"),
        (RATE, Target(1200, 2500), 1200, "at least"),
        (RATE, Target(1200, 2500), 2500, "aim"),
        (STOP, Target(0.020, 0.005), 0.021, "missed"),
        (STOP, Target(0.020, 0.005), 0.020, "at least"),
        (STOP, Target(0.020, 0.005), 0.005, "aim"),
        (START, Target(100, 250, NODE), 99, "missed"),
        (START, Target(100, 250, NODE), 100, "at least"),
        (START, Target(100, 250, NODE), 251, "aim"),
        (START, Target(100, 250, NODE), None, "not measured"),
        (START, None, 1.0, ""),
    ],
)
def test_verdicts(figure: Figure, target: Target | None, value: float | None, expected: str) -> None:
    assert verdict(figure, target, value) == expected


def test_a_ratio_says_how_many_times_better_the_subject_is() -> None:
    assert ratio(START, one(0.5), one(50.0)) == 100
    assert ratio(RATE, one(2000), one(500)) == 4
    assert ratio(STOP, one(1, 1, 4), one(2, 2, 2)) == 0.5
    assert ratio(START, one(0.0), one(1.0)) is None


def test_rows_put_the_subject_first_and_keep_unmeasured_targets() -> None:
    measured = {
        "start": {NODE: one(50.0), WASMTIME: one(2.0), SUBJECT: one(0.4)},
        "rate": {WASMTIME: one(500)},
    }
    made = rows([START, RATE, STOP], measured, [NODE, WASMTIME, SUBJECT])
    assert [(row.figure.key, row.contestant, row.verdict) for row in made] == [
        ("start", SUBJECT, ""),
        ("start", NODE, "at least"),
        ("start", WASMTIME, ""),
        ("rate", SUBJECT, "not measured"),
        ("rate", WASMTIME, ""),
        ("stop", SUBJECT, "not measured"),
    ]
    assert made[1].ratio == pytest.approx(125)


def test_a_miss_is_a_value_too_low_or_no_value_of_the_subject_but_not_an_absent_peer() -> None:
    measured = {"start": {SUBJECT: one(0.4)}, "rate": {SUBJECT: one(3.0)}}
    report = Report("2026-01-01", MACHINE, {}, {}, rows([START, RATE, STOP], measured, [SUBJECT, NODE]))
    assert [(row.figure.key, row.contestant) for row in report.missed] == [
        ("rate", SUBJECT),
        ("stop", SUBJECT),
    ]


def a_report() -> Report:
    measured = {"start": {NODE: one(0.050), SUBJECT: one(*[0.0004] * 100)}, "rate": {SUBJECT: one(3000)}}
    made = rows([START, RATE, STOP], measured, [SUBJECT, NODE])
    return Report("2026-01-01", MACHINE, {SUBJECT: "0.1"}, {WASMTIME: "not installed"}, made)


def test_the_table_is_aligned_and_says_everything() -> None:
    text = as_table(a_report())
    assert "\x1b" not in text
    lines = text.splitlines()
    assert lines[0].startswith("2026-01-01  a processor, 2 cores, Linux 6, CPython 3.13")
    assert "load average before 0.25" in lines[0]
    header = lines[2]
    subject, node, rate, stop = lines[4:8]
    assert subject.split() == ["start", "ms", SUBJECT, "0.40", "0.40", "0.40", "100"]
    assert node.split()[-8:] == ["125.0", "x", "100", "x", "250", "x", "at", "least"]
    assert rate.split() == ["rate", "/s", SUBJECT, "3000", "-", "3000", "1", "1200", "2500", "aim"]
    assert stop.endswith("not measured")
    ends = header.index("p50") + 3
    assert {subject[ends - 4 : ends], rate[ends - 4 : ends]} == {"0.40", "3000"}
    assert "start: command to answer" in lines
    assert lines[-2:] == ["pyworkerd: 0.1", "skipped: wasmtime serve: not installed"]


def test_a_busy_machine_is_said_to_be_busy() -> None:
    quiet = a_report()
    busy = replace(quiet, machine=replace(MACHINE, busy=1.5))
    assert "busy" not in as_table(quiet)
    assert (
        as_table(busy)
        .splitlines()[0]
        .endswith("1.50, used by others meanwhile 0% (busy: quote ratios at most)")
    )
    disturbed = replace(quiet, machine=replace(MACHINE, others=0.5))
    assert as_table(disturbed).splitlines()[0].endswith("meanwhile 50% (busy: quote ratios at most)")


def test_colour_paints_only_verdicts_and_changes_no_text() -> None:
    plain, painted = as_table(a_report()), as_table(a_report(), colour=True)
    assert painted.count(COLOURS["aim"]) == 1
    for code in (*COLOURS.values(), "\x1b[0m"):
        painted = painted.replace(code, "")
    assert [line.rstrip() for line in painted.splitlines()] == plain.splitlines()


def test_json_carries_base_units_and_the_verdicts() -> None:
    document = json.loads(as_json(a_report()))
    assert document["machine"]["cores"] == 2
    assert document["skipped"] == {WASMTIME: "not installed"}
    node = document["rows"][1]
    assert node["contestant"] == NODE
    assert (node["unit"], node["p50"], node["p99"], node["n"]) == ("s", 0.050, None, 1)
    assert node["target"] == {"at_least": 100, "aim": 250, "against": NODE}
    assert node["verdict"] == "at least"
    assert document["rows"][-1]["p50"] is None
