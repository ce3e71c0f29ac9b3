"""pyworkerd among hostile neighbours: one server, a victim behind one path, tenants that burn CPU behind others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd_bench.contestant import SUBJECT, Probe
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.folder import Folder
from pyworkerd_bench.http_client import wait_for_200
from pyworkerd_bench.load import Generator
from pyworkerd_bench.machine import load_cpus
from pyworkerd_bench.measure import percentile
from pyworkerd_bench.open_loop import latencies

from .configuration import service, socket, write
from .hello import CPU_MS
from .programs import PYTHON
from .pyworkerd import about, serve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd_bench.processes import Server

ALONE = 0
CROWDS = (ALONE, 1, 8)
"""How many tenants burn at once."""
RATE = 200.0
"""Requests per second to the victim: far from full load, so that what is measured is not its own queue."""
SECONDS, WARMUP = 4.0, 1.0
ROUNDS = 7
VICTIM = "/victim"
AFTER = 1.0
"""Seconds that burners go on beyond the victim's run, whose client takes a moment to start and to end."""


class FairnessSubject:
    """One round measures every crowd, in an order that rotates; all figures are read from the same rounds."""

    name = SUBJECT

    def __init__(self, seconds: float = SECONDS, warmup: float = WARMUP) -> None:
        self._seconds, self._warmup = seconds, warmup
        self._folder = Folder()
        self._server: Server | None = None
        self._rounds: list[dict[int, tuple[float, ...]]] = []

    def available(self) -> str | None:
        """It is what this is about."""
        return None

    def about(self) -> str:
        """Versions and settings."""
        where = "one processor" if load_cpus()[0] is not None else "processors shared with the clients"
        return f"{about()}, one process on {where}, cpu_ms = {CPU_MS}"

    def start(self) -> None:
        """Write the configuration, start the server, let every tenant answer once."""
        folder = self._folder.make()
        tenants = [
            service(folder, f"burn{number}", PYTHON.loop, {"routes": [path]}, {"limits": {"cpu_ms": CPU_MS}})
            for number, path in enumerate(burning(max(CROWDS)))
        ]
        victim = service(folder, "victim", PYTHON.hello, {"routes": [VICTIM]})
        config = write(folder / "config.toml", [socket("http"), victim, *tenants])
        self._server = serve(config, load_cpus()[0])
        wait_for_200(self._server.port, VICTIM)

    def stop(self) -> None:
        """End the server and remove the configuration."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()
        self._folder.remove()

    def probes(self) -> Sequence[Probe]:
        """Latencies for each crowd, and what the larger ones make of the p99."""
        victims = [_Series(self, f"victim_{crowd}", crowd) for crowd in CROWDS]
        slower = [_Series(self, f"slowdown_{crowd}", crowd) for crowd in CROWDS if crowd != ALONE]
        return [
            *(Probe(one.figure, one.latencies, ROUNDS) for one in victims),
            *(Probe(one.figure, one.slowdown, ROUNDS) for one in slower),
        ]

    def round(self, number: int) -> dict[int, tuple[float, ...]]:
        """The victim's latencies by crowd, of the round with this number. Raises BenchError."""
        while len(self._rounds) <= number:
            turn = len(self._rounds) % len(CROWDS)
            self._rounds.append({crowd: self._beside(crowd) for crowd in (*CROWDS[turn:], *CROWDS[:turn])})
        return self._rounds[number]

    def _beside(self, crowd: int) -> tuple[float, ...]:
        """The victim's latencies while so many tenants burn."""
        if self._server is None:
            raise BenchError("the server is not running")
        port, cpu = self._server.port, load_cpus()[1]
        if crowd == ALONE:
            return latencies(port, VICTIM, rate=RATE, seconds=self._seconds, warmup=self._warmup, cpu=cpu)
        burners = Generator(
            port,
            burning(crowd),
            connections=crowd,
            seconds=self._seconds + self._warmup + AFTER,
            status=503,
            cpu=cpu,
        )
        try:
            found = latencies(port, VICTIM, rate=RATE, seconds=self._seconds, warmup=self._warmup, cpu=cpu)
            if burners.finish().answers == 0:
                raise BenchError("the burning tenants never burned")
        finally:
            burners.stop()
        return found


def burning(crowd: int) -> list[str]:
    """The paths of so many tenants that burn."""
    return [f"/burn/{number}" for number in range(crowd)]


class _Series:
    """One figure, read round by round."""

    def __init__(self, subject: FairnessSubject, figure: str, crowd: int) -> None:
        self._subject, self.figure, self._crowd = subject, figure, crowd
        self._read = 0

    def _next(self) -> dict[int, tuple[float, ...]]:
        found = self._subject.round(self._read)
        self._read += 1
        return found

    def latencies(self) -> tuple[float, ...]:
        """All latencies of the next round."""
        return self._next()[self._crowd]

    def slowdown(self) -> float:
        """How many times the p99 of the next round is the p99 alone."""
        found = self._next()
        return percentile(found[self._crowd], 99) / percentile(found[ALONE], 99)
