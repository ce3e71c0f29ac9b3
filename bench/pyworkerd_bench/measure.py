"""Repeated measurements, taken in turns, and their statistics.

A machine drifts: it warms up, a neighbour wakes. So contestants are not measured one after the other but in
rounds, each taking its share in every round, and the order rotates from round to round; drift then hits all
alike.

Percentiles are nearest-rank (the smallest measured value that at least q percent of the values do not
exceed), so every number in a report is one that was really measured. A 99th percentile is given from 100
samples on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from .contestant import Probe

METHOD = (
    "contestants measured in turns (rotating order), warm-ups discarded; percentiles by nearest rank; "
    "p99 from 100 samples on"
)

ROUNDS = 20
"""Into how many turns a figure's samples are divided:

many enough for drift, few enough to keep caches honest.
"""


def percentile(values: Sequence[float], q: float) -> float:
    """The nearest-rank percentile, `q` in (0, 100]. Raises ValueError without values."""
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(0, math.ceil(len(values) * q / 100) - 1)]


@dataclass(frozen=True)
class Samples:
    """What was measured, in a base unit, in the order of measurement. Never empty."""

    values: tuple[float, ...]

    @property
    def n(self) -> int:
        """How many."""
        return len(self.values)

    @property
    def p50(self) -> float:
        """The median, nearest rank."""
        return percentile(self.values, 50)

    @property
    def p99(self) -> float | None:
        """The 99th percentile, or None when there are too few samples to speak of one."""
        return percentile(self.values, 99) if self.n >= 100 else None


@dataclass(frozen=True)
class Outcome:
    """What came of measuring one figure: samples by contestant, and why a contestant has none."""

    samples: Mapping[str, Samples]
    failures: Mapping[str, str]


def turns(counts: Sequence[int], rounds: int) -> Iterator[int]:
    """The order in which lanes are sampled: lane `i` comes `counts[i]` times, spread evenly over the rounds.

    Each round begins one lane further, so that no lane is always the one after another.
    """
    lanes = len(counts)
    for r in range(rounds):
        for k in range(lanes):
            lane = (r + k) % lanes
            for _ in range(counts[lane] * (r + 1) // rounds - counts[lane] * r // rounds):
                yield lane


def interleave(
    probes: Mapping[str, Probe],
    *,
    rounds: int = ROUNDS,
    progress: Callable[[str], None] = lambda _line: None,
) -> Outcome:
    """Measure the probes of one figure, by contestant.

    One that raises BenchError drops out; the others go on.
    """
    names = list(probes)
    measured: dict[str, list[float]] = {name: [] for name in names}
    failures: dict[str, str] = {}

    def ask(name: str) -> Sequence[float]:
        try:
            value = probes[name].sample()
        except BenchError as error:
            failures[name] = str(error)
            progress(f"{name} dropped out: {error}")
            return ()
        return (value,) if isinstance(value, float | int) else value

    for name in names:
        for _ in range(probes[name].warmups):
            if name not in failures:
                ask(name)
    for lane in turns([probes[name].samples for name in names], rounds):
        name = names[lane]
        if name not in failures:
            measured[name].extend(ask(name))
    return Outcome(
        {
            name: Samples(tuple(values))
            for name, values in measured.items()
            if values and name not in failures
        },
        failures,
    )
