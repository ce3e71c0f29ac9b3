"""What contestants under full load share: one server that stays up, a port for each shape, repeated runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING

from .contestant import Probe
from .errors import BenchError
from .folder import Folder
from .machine import load_cpus
from .rates import measure
from .shapes import SHAPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .processes import Server

RUNS = 5
SECONDS, WARMUP = 2.0, 1.0
"""Whole ones, as wrk counts. After the first runs a compiler that works while its code runs has seen the shape."""


class LoadedContestant(ABC):
    """A server on one processor. Subclasses say how it is spawned, and which shapes they answer at which port."""

    shapes: Sequence[str] = ("hello",)

    def __init__(self, seconds: float = SECONDS, warmup: float = WARMUP) -> None:
        self._seconds, self._warmup = seconds, warmup
        self._folder = Folder()
        self._server: Server | None = None
        self._doubts: dict[str, str] = {}

    def available(self) -> str | None:
        """Nothing has to be installed for it, unless a subclass says so."""
        return None

    @abstractmethod
    def spawn(self, cpu: int | None) -> Server:
        """The server, on `cpu` alone if given. Raises BenchError."""

    def port(self, server: Server, shape: str) -> int:
        """Where a shape is answered."""
        del shape
        return server.port

    def start(self) -> None:
        """Make its folder, where `spawn` may write what it needs, and start the server."""
        self._folder.make()
        self._server = self.spawn(load_cpus()[0])

    def stop(self) -> None:
        """End it, and remove the folder."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()
        self._folder.remove()

    def probes(self) -> Sequence[Probe]:
        """One for each shape."""
        return [
            Probe(shape, partial(self.rate, shape), RUNS, remark=partial(self._doubts.get, shape))
            for shape in self.shapes
        ]

    def rate(self, shape: str) -> float:
        """Requests per second. Raises BenchError, also for a wrong answer."""
        if self._server is None:
            raise BenchError("the server is not running")
        port = self.port(self._server, shape)
        SHAPES[shape].check(port)
        found = measure(
            port,
            self._server,
            SHAPES[shape],
            seconds=self._seconds,
            warmup=self._warmup,
            cpu=load_cpus()[1],
        )
        if (doubt := found.doubt()) is not None:
            self._doubts[shape] = doubt
        return found.per_second
