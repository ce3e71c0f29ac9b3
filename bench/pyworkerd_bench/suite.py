"""A benchmark as a table of figures: contestants are started, measured in turns, and reported on. One command line.

    pyworkerd bench NAME [--json] [--quick] [--only FIGURE ...] [--no-peers] [--check]

The table goes to standard output, progress to standard error.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from . import report
from .errors import BenchError
from .machine import Neighbours, describe
from .measure import Samples, interleave
from .processes import terminable

if TYPE_CHECKING:
    from .contestant import Contestant, Figure, Probe

QUICK_SHARE = 5
"""`--quick` takes this fraction of the samples: enough to see that everything works, not to quote."""

Progress = Callable[[str], None]


@dataclass
class Entries:
    """Who takes part in a run: what they are, by name, and why the others do not."""

    ready: list[Contestant] = field(default_factory=list)
    about: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)


def run(
    contestants: Sequence[Contestant],
    *,
    date: str,
    figures: Sequence[Figure],
    quick: bool = False,
    progress: Progress = lambda _line: None,
) -> report.Report:
    """Measure and report. Whatever a contestant started has ended when this returns or raises."""
    machine, neighbours = describe(), Neighbours()
    with ExitStack() as stack:
        entries = _assemble(contestants, stack, progress)
        measured = _measure(entries, figures, quick=quick, progress=progress)
    machine = replace(machine, others=neighbours.share())
    names = [one.name for one in contestants]
    rows = report.rows(figures, measured, names)
    return report.Report(date, machine, entries.about, entries.skipped, rows, entries.remarks)


def _assemble(contestants: Sequence[Contestant], stack: ExitStack, progress: Progress) -> Entries:
    """Start who can take part, and note why the others cannot."""
    entries = Entries()
    for one in contestants:
        reason = one.available()
        if reason is None:
            progress(f"starting {one.name}")
            stack.callback(one.stop)
            try:
                one.start()
                entries.about[one.name] = one.about()
            except BenchError as error:
                reason = str(error)
        if reason is None:
            entries.ready.append(one)
        else:
            progress(f"skipped: {one.name}: {reason}")
            entries.skipped[one.name] = reason
    return entries


def _measure(
    entries: Entries, figures: Sequence[Figure], *, quick: bool, progress: Progress
) -> Mapping[str, Mapping[str, Samples]]:
    """The samples by figure and contestant; a contestant's failure at one figure is noted and not fatal."""
    offered = {one.name: {probe.figure: probe for probe in one.probes()} for one in entries.ready}
    measured = {}
    for figure in figures:
        probes = {
            name: _shortened(own[figure.key]) if quick else own[figure.key]
            for name, own in offered.items()
            if figure.key in own
        }
        if not probes:
            continue
        asked = ", ".join(f"{name} ({probe.samples})" for name, probe in probes.items())
        progress(f"measuring {figure.title}: {asked}")
        outcome = interleave(probes, progress=progress)
        measured[figure.key] = outcome.samples
        for name, why in outcome.failures.items():
            entries.skipped[f"{name}, {figure.title}"] = why
        for name, probe in probes.items():
            if (remark := probe.remark()) is not None:
                entries.remarks[f"{name}, {figure.title}"] = remark
    return measured


def _shortened(probe: Probe) -> Probe:
    return replace(probe, samples=max(1, probe.samples // QUICK_SHARE), warmups=min(probe.warmups, 2))


@dataclass(frozen=True)
class Suite:
    """One benchmark: its figures, and who is measured."""

    name: str
    description: str
    figures: tuple[Figure, ...]
    subject: Callable[[], Contestant]
    """pyworkerd, as this benchmark runs it."""
    peers: Mapping[str, Callable[[], Contestant]] = field(default_factory=dict)
    """By name, in the order of the report."""

    def chosen(self, keys: Collection[str]) -> tuple[Figure, ...]:
        """The figures with these keys, all if there are none."""
        return tuple(figure for figure in self.figures if not keys or figure.key in keys)


def main(
    suite: Suite, arguments: Sequence[str] | None = None, subjects: Sequence[Contestant] | None = None
) -> int:
    """The command line of a suite.

    `subjects` are measured beside the peers; None means pyworkerd. Exit status 1 only with --check and a miss.
    """
    options = _parser(suite).parse_args(arguments)
    peers = [] if options.no_peers else [make() for make in suite.peers.values()]
    with terminable():
        done = run(
            [*([suite.subject()] if subjects is None else subjects), *peers],
            date=datetime.datetime.now(datetime.UTC).date().isoformat(),
            figures=suite.chosen(options.only),
            quick=options.quick,
            progress=lambda line: print(line, file=sys.stderr, flush=True),
        )
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print(report.as_json(done) if options.json else report.as_table(done, colour=colour))
    return 1 if options.check and done.missed else 0


def _parser(suite: Suite) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"pyworkerd bench {suite.name}", description=suite.description)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--quick", action="store_true", help="a fifth of the samples: to try, not to quote")
    parser.add_argument("--check", action="store_true", help='exit 1 when an "at least" is missed')
    parser.add_argument("--no-peers", action="store_true", help="measure pyworkerd alone")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=[figure.key for figure in suite.figures],
        help="one figure; repeatable",
    )
    return parser
