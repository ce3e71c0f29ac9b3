"""`pyworkerd bench cold-start`: every figure of `contestant.FIGURES`, all contestants in one run, one report.

    python -m pyworkerd_bench.cold_start [--json] [--quick] [--only FIGURE ...] [--check]

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

from . import report
from .contestant import FIGURES, Contestant, Figure, Probe
from .errors import BenchError
from .machine import Neighbours, describe
from .measure import Samples, interleave
from .peers import PEERS
from .processes import terminable
from .subject import Pyworkerd

QUICK_SHARE = 5
"""`--quick` takes this fraction of the samples: enough to see that everything works, not to quote."""

Progress = Callable[[str], None]


@dataclass
class Entries:
    """Who takes part in a run: what they are, by name, and why the others do not."""

    ready: list[Contestant] = field(default_factory=list)
    about: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def run(
    contestants: Sequence[Contestant],
    *,
    date: str,
    figures: Sequence[Figure] = FIGURES,
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
    return report.Report(date, machine, entries.about, entries.skipped, report.rows(figures, measured, names))


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
    return measured


def _shortened(probe: Probe) -> Probe:
    return replace(probe, samples=max(1, probe.samples // QUICK_SHARE), warmups=min(probe.warmups, 2))


def chosen(keys: Collection[str]) -> tuple[Figure, ...]:
    """The figures with these keys, all if there are none."""
    return tuple(figure for figure in FIGURES if not keys or figure.key in keys)


def main(arguments: Sequence[str] | None = None, subjects: Sequence[Contestant] | None = None) -> int:
    """The command line.

    `subjects` are measured beside the peers; None means pyworkerd. Exit status 1 only with --check and a miss.
    """
    parser = argparse.ArgumentParser(
        prog="pyworkerd bench cold-start", description="Measure cold starts, side by side."
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--quick", action="store_true", help="a fifth of the samples: to try, not to quote")
    parser.add_argument("--check", action="store_true", help='exit 1 when an "at least" is missed')
    parser.add_argument("--no-peers", action="store_true", help="measure pyworkerd alone")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=[figure.key for figure in FIGURES],
        help="one figure; repeatable",
    )
    options = parser.parse_args(arguments)
    peers = [] if options.no_peers else [make() for make in PEERS.values()]
    with terminable():
        done = run(
            [*([Pyworkerd()] if subjects is None else subjects), *peers],
            date=datetime.datetime.now(datetime.UTC).date().isoformat(),
            figures=chosen(options.only),
            quick=options.quick,
            progress=lambda line: print(line, file=sys.stderr, flush=True),
        )
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print(report.as_json(done) if options.json else report.as_table(done, colour=colour))
    return 1 if options.check and done.missed else 0


if __name__ == "__main__":
    sys.exit(main())
