"""`pyworkerd bench density`: thousands of registered tenants in one process: start, memory, and who is asked first."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from . import suite
from .contestant import MEBIBYTES, MILLISECONDS, WORKERD_SERVE, Figure, Target
from .crowd import ASKED
from .peers.workerd_static import WorkerdStatic
from .subject.density import NEW, PROGRAMS, SIZES, DensitySubject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .contestant import Contestant

LARGEST = SIZES[-1]


def _of_size(size: int) -> Iterator[Figure]:
    crowd = (
        f"{size} tenants, each with a folder, a service and a route of its own; they share {PROGRAMS} programs, whose "
        "images the cache has (workerd: one program, static workers); the server on one processor"
    )
    start = (Target(5, 1),) if size == LARGEST else ()
    memory = (Target(500 * 1000**2, 150 * 1000**2),) if size == LARGEST else ()
    yield Figure(
        f"start_{size}",
        f"{size} tenants: start",
        MILLISECONDS,
        f"command to the first 200 of one tenant; {crowd}",
        start,
    )
    yield Figure(
        f"memory_{size}",
        f"{size} tenants: memory",
        MEBIBYTES,
        "PSS of all processes after that first answer",
        memory,
    )
    yield Figure(
        f"first_{size}",
        f"{size} tenants: first request",
        MILLISECONDS,
        f"one kept connection, {ASKED} random tenants of each start, which have not been asked before",
    )
    yield Figure(f"second_{size}", f"{size} tenants: second request", MILLISECONDS, "the same tenants again")


FIGURES: tuple[Figure, ...] = (
    *(figure for size in SIZES for figure in _of_size(size)),
    Figure(
        "never_built",
        "first request, program never built",
        MILLISECONDS,
        f"a tenant whose program the cache does not have: its top level runs and its image is written; {NEW} of them",
    ),
)

SUITE = suite.Suite(
    "density",
    "Measure thousands of registered tenants.",
    FIGURES,
    DensitySubject,
    {WORKERD_SERVE: WorkerdStatic},
)


def main(arguments: Sequence[str] | None = None, subjects: Sequence[Contestant] | None = None) -> int:
    """The command line; see `suite.main`."""
    return suite.main(SUITE, arguments, subjects)


if __name__ == "__main__":
    sys.exit(main())
