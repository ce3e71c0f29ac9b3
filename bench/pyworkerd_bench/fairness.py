"""`pyworkerd bench fairness`: what a tenant notices of others that burn CPU, in one process on one processor."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from . import suite
from .contestant import MILLISECONDS, TIMES, Figure, Target
from .subject.fairness import ALONE, CROWDS, RATE, FairnessSubject
from .subject.hello import CPU_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .contestant import Contestant

_HOW = (
    f"a worker that answers hello is asked {RATE:g} times a second by an open-loop client (moments of a Poisson "
    "process, latency counted from the moment at which a request was due, so that nothing is omitted while the server "
    "is slow), on kept connections; the server is one process on one processor, the clients have another"
)
_BESIDE = (
    f"beside so many other tenants, whose handlers are endless loops up to their CPU limit of {CPU_MS} ms, each "
    "requested again as soon as it is answered"
)


def _victim(crowd: int) -> Figure:
    title = "victim alone" if crowd == ALONE else f"victim beside {crowd} burning"
    return Figure(f"victim_{crowd}", title, MILLISECONDS, _HOW if crowd == ALONE else f"the same, {_BESIDE}")


def _slowdown(crowd: int, *targets: Target) -> Figure:
    how = "the p99 beside them divided by the p99 alone, of runs right after one another"
    return Figure(f"slowdown_{crowd}", f"p99 beside {crowd} burning / alone", TIMES, how, targets)


FIGURES: tuple[Figure, ...] = (
    *map(_victim, CROWDS),
    _slowdown(1),
    _slowdown(8, Target(5, 2)),
)

SUITE = suite.Suite(
    "fairness", "Measure what a tenant notices of others that burn CPU.", FIGURES, FairnessSubject
)


def main(arguments: Sequence[str] | None = None, subjects: Sequence[Contestant] | None = None) -> int:
    """The command line; see `suite.main`."""
    return suite.main(SUITE, arguments, subjects)


if __name__ == "__main__":
    sys.exit(main())
