"""The report: rows with their verdicts, as an aligned table for people and as JSON for machines. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal

from .contestant import SUBJECT, Figure, Target
from .measure import METHOD, Samples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Verdict = Literal["aim", "at least", "missed", "not measured", ""]

COLOURS: Mapping[str, str] = {
    "aim": "\x1b[32m",
    "at least": "\x1b[36m",
    "missed": "\x1b[31m",
    "not measured": "\x1b[33m",
}
RESET = "\x1b[0m"
DISTURBED = 0.1
"""Above this part of the processors' time in others' hands, times are not the contestants' own."""


@dataclass(frozen=True)
class Machine:
    """Where the numbers come from."""

    cpu: str
    cores: int
    kernel: str
    python: str
    busy: float
    """The load average of the minute before: near 0 when numbers can be quoted."""
    others: float = 0.0
    """Which part of the processors' time during the run went to processes that were none of the run's."""


@dataclass(frozen=True)
class Row:
    """One contestant's value for one figure.

    A peer's row carries `ratio`, how many times better the subject is, and the target against this peer if
    there is one; the subject's row carries the target that is a bound.
    """

    figure: Figure
    contestant: str
    value: Samples | None
    ratio: float | None
    target: Target | None
    verdict: Verdict


@dataclass(frozen=True)
class Report:
    """One run. By name: `contestants` says version and settings, `skipped` why, `remarks` what to keep in mind."""

    date: str
    machine: Machine
    contestants: Mapping[str, str]
    skipped: Mapping[str, str]
    rows: Sequence[Row]
    remarks: Mapping[str, str] = field(default_factory=dict)

    @property
    def missed(self) -> tuple[Row, ...]:
        """The rows that did not reach their "at least", and those for which the subject has no value at all.

        A peer that is not installed is no miss: it proves nothing either way.
        """
        measured = {
            row.figure.key for row in self.rows if row.contestant == SUBJECT and row.value is not None
        }
        return tuple(
            row
            for row in self.rows
            if row.verdict == "missed" or (row.verdict == "not measured" and row.figure.key not in measured)
        )


def judged(figure: Figure, samples: Samples) -> float:
    """The statistic that is held against the figure's targets."""
    if figure.judged == "p50":
        return samples.p50
    return max(samples.values) if figure.better == "lower" else min(samples.values)


def ratio(figure: Figure, subject: Samples, peer: Samples) -> float | None:
    """How many times better the subject is than the peer; None where a value is not positive."""
    ours, theirs = judged(figure, subject), judged(figure, peer)
    if ours <= 0 or theirs <= 0:
        return None
    return theirs / ours if figure.better == "lower" else ours / theirs


def verdict(figure: Figure, target: Target | None, value: float | None) -> Verdict:
    """Whether a value (a factor if the target is against a peer, else a base unit) reaches its target."""
    if target is None:
        return ""
    if value is None:
        return "not measured"
    higher = target.against is not None or figure.better == "higher"

    def reaches(bound: float) -> bool:
        return value >= bound if higher else value <= bound

    return "aim" if reaches(target.aim) else "at least" if reaches(target.at_least) else "missed"


def rows(
    figures: Sequence[Figure], measured: Mapping[str, Mapping[str, Samples]], contestants: Sequence[str]
) -> tuple[Row, ...]:
    """All rows:

    per figure the subject first, then who was measured or has a target, in the order of contestants.
    """
    return tuple(
        row
        for figure in figures
        for name in (SUBJECT, *(name for name in contestants if name != SUBJECT))
        if (row := _row(figure, name, measured.get(figure.key, {}))) is not None
    )


def _row(figure: Figure, name: str, measured: Mapping[str, Samples]) -> Row | None:
    value, subject = measured.get(name), measured.get(SUBJECT)
    against = None if name == SUBJECT else name
    target = next((target for target in figure.targets if target.against == against), None)
    if value is None and target is None:
        return None
    if against is None:
        reached = None if value is None else judged(figure, value)
        return Row(figure, name, value, None, target, verdict(figure, target, reached))
    factor = None if value is None or subject is None else ratio(figure, subject, value)
    return Row(figure, name, value, factor, target, verdict(figure, target, factor))


def as_json(report: Report) -> str:
    """The report as JSON: numbers in base units, keys stable."""
    return json.dumps(
        {
            "date": report.date,
            "method": METHOD,
            "machine": asdict(report.machine),
            "contestants": dict(report.contestants),
            "skipped": dict(report.skipped),
            "remarks": dict(report.remarks),
            "rows": [_json_row(row) for row in report.rows],
        },
        indent=2,
    )


def _json_row(row: Row) -> dict[str, object]:
    value, target = row.value, row.target
    return {
        "figure": row.figure.key,
        "title": row.figure.title,
        "unit": row.figure.unit.base,
        "better": row.figure.better,
        "judged": row.figure.judged,
        "contestant": row.contestant,
        "p50": None if value is None else value.p50,
        "p99": None if value is None else value.p99,
        "worst": None if value is None else (max if row.figure.better == "lower" else min)(value.values),
        "n": 0 if value is None else value.n,
        "ratio": row.ratio,
        "target": None if target is None else asdict(target),
        "verdict": row.verdict,
    }


HEADINGS = ("figure", "unit", "contestant", "p50", "p99", "worst", "n", "ratio", "at least", "aim", "verdict")
LEFT = frozenset({0, 1, 2, 10})
"""Columns of words; the others hold numbers and are aligned to the right."""


def as_table(report: Report, *, colour: bool = False) -> str:
    """The report as text. `colour` paints the verdicts: leave it off when the output is not a terminal."""
    cells = [HEADINGS, *_table_cells(report.rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADINGS))]
    lines = [_line(row, widths, colour=colour) for row in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(
        [
            f"{report.date}  {_machine_line(report.machine)}",
            "",
            *lines,
            "",
            "ratio: how many times better pyworkerd is, measured side by side in this run",
            METHOD,
            "",
            *(f"{figure.title}: {figure.how}" for figure in dict.fromkeys(row.figure for row in report.rows)),
            "",
            *(f"{name}: {about}" for name, about in report.contestants.items()),
            *(f"skipped: {name}: {reason}" for name, reason in report.skipped.items()),
            *(f"note: {name}: {remark}" for name, remark in report.remarks.items()),
        ]
    )


def _machine_line(machine: Machine) -> str:
    cores = f"{machine.cpu}, {machine.cores} cores"
    before = f"load average before {machine.busy:.2f}, used by others meanwhile {machine.others:.0%}"
    line = f"{cores}, {machine.kernel}, {machine.python}, {before}"
    busy = machine.busy > machine.cores / 2 or machine.others > DISTURBED
    return f"{line} (busy: quote ratios at most)" if busy else line


def _table_cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    cells, last = [], ""
    for row in rows:
        key = row.figure.key
        title, unit = ("", "") if key == last else (row.figure.title, row.figure.unit.shown)
        cells.append((title, unit, row.contestant, *_numbers(row), *_target_cells(row), row.verdict))
        last = key
    return cells


def _numbers(row: Row) -> tuple[str, ...]:
    factor = "" if row.ratio is None else f"{row.ratio:.1f} x"
    if row.value is None:
        return ("-", "-", "-", "0", factor)
    worst = (max if row.figure.better == "lower" else min)(row.value.values)
    shown = (_shown(row.figure, value) for value in (row.value.p50, row.value.p99, worst))
    return (*shown, str(row.value.n), factor)


def _target_cells(row: Row) -> tuple[str, str]:
    target = row.target
    if target is None:
        return ("", "")
    if target.against is not None:
        return (f"{target.at_least:g} x", f"{target.aim:g} x")
    return (_shown(row.figure, target.at_least), _shown(row.figure, target.aim))


def _shown(figure: Figure, value: float | None) -> str:
    return "-" if value is None else f"{value * figure.unit.scale:.{figure.unit.digits}f}"


def _line(row: Sequence[str], widths: Sequence[int], *, colour: bool) -> str:
    cells = [
        cell.ljust(width) if column in LEFT else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    if colour and row[-1] in COLOURS:
        cells[-1] = f"{COLOURS[row[-1]]}{cells[-1]}{RESET}"
    return "  ".join(cells).rstrip()
