"""pyworkerd with one process and with two: what the second one adds.

The load generator has to run somewhere. So the worker computes for about a millisecond, a hundred times what a
generator in C needs for a request, and whose processor that comes from matters little. Where there are no more than two
processors, the two processes share theirs with it, and one process does not: the figure errs to the low side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.machine import usable_cpus
from pyworkerd_bench.measure import percentile
from pyworkerd_bench.processes import pinned
from pyworkerd_bench.rates import measure
from pyworkerd_bench.shapes import Shape

from .configuration import service, socket, write
from .pyworkerd import serve

if TYPE_CHECKING:
    from pathlib import Path

    from pyworkerd_bench.rates import Rate

TURNS: Final = 8_000
"""About a millisecond of the guest's time on the machine at hand."""
WORK: Final = f"""\
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        total = 0
        for number in range({TURNS}):
            total += number * number
        return Response(str(total))
"""
SHAPE: Final = Shape(("/",), str(sum(number * number for number in range(TURNS))).encode())


class SecondProcess:
    """Measures in pairs: one process on one processor, then two processes on two."""

    def __init__(self, folder: Path, seconds: float, warmup: float) -> None:
        self._seconds, self._warmup = seconds, warmup
        self._config = write(folder / "second.toml", [socket("http", "work"), service(folder, "work", WORK)])
        self._costs: list[float] = []
        self._doubt: str | None = None

    def gain(self) -> float:
        """How many times as many requests two processes answer as one. Raises BenchError."""
        one, two = self._rate(1), self._rate(2)
        self._doubt = one.doubt() or two.doubt(processors=2) or self._doubt
        self._costs.append((two.server / two.per_second) / (one.server / one.per_second))
        return two.per_second / one.per_second

    def remark(self) -> str | None:
        """What a request costs with two processes, whatever else happened on the machine, and what makes doubt."""
        if not self._costs:
            return None
        cost = percentile(self._costs, 50)
        said = (
            f"with two processes a request takes {cost:.2f} times the processor time that it takes with one"
        )
        return said if self._doubt is None else f"{said}; {self._doubt}"

    def _rate(self, processes: int) -> Rate:
        cpus = usable_cpus()
        if len(cpus) < 2:
            raise BenchError("it needs two processors, and to be told which ones there are")
        generator = cpus[-1] if len(cpus) > processes else None
        with (
            pinned(*cpus[:processes]),
            serve(self._config, processes=processes) as server,
            pinned(*cpus),
        ):
            SHAPE.check(server.port)
            return measure(
                server.port, server, SHAPE, seconds=self._seconds, warmup=self._warmup, cpu=generator
            )
