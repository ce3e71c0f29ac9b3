"""What can be measured, what has to be reached, and the interface by which a contestant offers its measurements.

Each benchmark has a table of figures (see `suite`). Everything is kept in base units (seconds, bytes, one per
second); `Unit.shown` says how a person reads it. A contestant offers a `Probe` for each figure it can be asked
about, and leaves the others out: a peer that has no isolates offers no memory per isolate. pyworkerd is a contestant
like the rest, named `SUBJECT`.

Probes of one figure are sampled in turns (see `measure`), so `sample()` does one measurement and keeps its
own time: only the contestant knows where the interval begins and ends, and whatever else it has to do (start
a server on a fresh port, throw away an old one) stays outside of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SUBJECT = "pyworkerd"
NODE = "node -e 0"
PYTHON = "python -c pass"
WORKERD = "workerd loader"
WASMTIME = "wasmtime serve"
"""With the settings that servers usually take: ahead of time, pooling allocator, nothing else."""
WASMTIME_TUNED = "wasmtime serve, tuned"
"""With the settings that do best on the machine at hand."""
WASMTIME_REUSED = "wasmtime serve, reused"
WORKERD_SERVE = "workerd"
STARLETTE = "uvicorn + starlette"
GRANIAN = "granian"
MINIFLARE = "miniflare"
PLAIN_SQLITE = "sqlite3, no server"


@dataclass(frozen=True)
class Unit:
    """How a number in a base unit is shown."""

    base: str
    shown: str
    scale: float
    digits: int


MILLISECONDS = Unit("s", "ms", 1e3, 2)
MICROSECONDS = Unit("s", "us", 1e6, 0)
KIBIBYTES = Unit("B", "KiB", 1 / 1024, 0)
MEBIBYTES = Unit("B", "MiB", 1 / 1024**2, 1)
PER_SECOND = Unit("1/s", "/s", 1.0, 0)
TIMES = Unit("1", "x", 1.0, 2)


@dataclass(frozen=True)
class Target:
    """What the subject has to reach. `against` names a peer and makes the numbers factors ("times better").

    Without a peer the numbers are bounds in the figure's base unit.
    """

    at_least: float
    aim: float
    against: str | None = None


@dataclass(frozen=True)
class Figure:
    """One thing that is measured, and for whom it is good to be low or high."""

    key: str
    title: str
    unit: Unit
    how: str
    targets: tuple[Target, ...] = ()
    better: Literal["lower", "higher"] = "lower"
    judged: Literal["p50", "worst"] = "p50"
    """Which statistic is held against the target: a limit that must hold is judged by its worst case."""


LIVE_ISOLATES = 500
"""How many isolates live at once when memory is measured: enough that the process's own noise disappears."""


@dataclass(frozen=True)
class Probe:
    """How a contestant is asked about one figure.

    `sample()` makes one measurement and returns it in the figure's base unit, or all values of one that has many,
    such as the latencies of a run under load; it raises BenchError when it cannot. `warmups` measurements are made
    first and thrown away. `remark`, asked at the end, is what a reader of the figure has to know; None if nothing.
    """

    figure: str
    sample: Callable[[], float | Sequence[float]]
    samples: int
    warmups: int = 0
    remark: Callable[[], str | None] = lambda: None


class Contestant(Protocol):
    """Something that is measured.

    Called in this order: `available`, `start`, `about` and `probes`, `stop`.
    """

    @property
    def name(self) -> str:
        """The name that the table and the targets use."""

    def available(self) -> str | None:
        """Why it cannot take part (one sentence that names the remedy), or None. Starts nothing."""

    def start(self) -> None:
        """Get ready: build what has to be built, start what stays up. Raises BenchError."""

    def about(self) -> str:
        """Version and settings, for the report."""

    def probes(self) -> Sequence[Probe]:
        """What it can be asked."""

    def stop(self) -> None:
        """End every process it started.

        May be called at any time, more than once, and after a failed `start`.
        """
