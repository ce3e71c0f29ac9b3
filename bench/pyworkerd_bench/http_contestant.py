"""What serving contestants share: a server that stays up, a kept connection, load, command to first 200."""

from __future__ import annotations

from abc import ABC, abstractmethod
from time import perf_counter
from typing import TYPE_CHECKING

from .contestant import Probe
from .errors import BenchError
from .folder import Folder
from .http_client import Connection, get_request, wait_for_200
from .load import measure_rate
from .machine import load_cpus

if TYPE_CHECKING:
    from pathlib import Path

    from .processes import Server

REQUESTS = 300
WARMUP_REQUESTS = 30
LOAD_RUNS = 3
LOAD_SECONDS = 2.0
STARTS = 10


class HttpContestant(ABC):
    """A contestant with a server process. Subclasses say how it is spawned and which paths reach what."""

    fresh_path = "/fresh"
    """Answered by an isolate of its own, every time."""
    about_path = "/"
    """Asked to find out whether the server is up."""

    def __init__(self) -> None:
        self._folder = Folder()
        self._server: Server | None = None
        self._connection: Connection | None = None

    def available(self) -> str | None:
        """Nothing has to be installed for it, unless a subclass says so."""
        return None

    def prepare(self, folder: Path) -> None:
        """Write what its servers need into a folder that is theirs, unless `spawn` does. Raises BenchError."""
        del folder

    @abstractmethod
    def spawn(self, cpu: int | None = None) -> Server:
        """A new server process, on `cpu` alone if given. Raises BenchError."""

    def spawn_first(self) -> Server:
        """What is started for the figure `first_200`: the smallest that one would run."""
        return self.spawn()

    @property
    def port(self) -> int:
        """Of the server that stays up. Raises BenchError."""
        if self._server is None:
            raise BenchError("the server is not running")
        return self._server.port

    def start(self) -> None:
        """Prepare its folder, and start the server that stays up."""
        self.prepare(self._folder.make())
        self.renew()

    def renew(self) -> None:
        """Replace the server that stays up, and the connection to it, and let it answer once."""
        self._halt()
        self._server = self.spawn()
        self._connected()

    def _connected(self) -> Connection:
        """The kept connection, opened anew if the server has closed it meanwhile; a new one has answered once."""
        if self._connection is None or self._connection.is_closed():
            self._connection = Connection(self.port)
            self._connection.timed(get_request(self.about_path))
        return self._connection

    def stop(self) -> None:
        """End what `start` began, and remove the folder."""
        self._halt()
        self._folder.remove()

    def _halt(self) -> None:
        connection, self._connection = self._connection, None
        server, self._server = self._server, None
        if connection is not None:
            connection.close()
        if server is not None:
            server.stop()

    def timed(self, path: str) -> float:
        """Seconds for one request on the kept connection. Raises BenchError."""
        return self._connected().timed(get_request(path))

    def fresh(self) -> float:
        """Seconds for one request that gets its own isolate."""
        return self.timed(self.fresh_path)

    def rate(self) -> float:
        """Fresh isolates per second of a new server on one processor."""
        server_cpu, client_cpu = load_cpus()
        with self.spawn(server_cpu) as server:
            wait_for_200(server.port, self.about_path)
            return measure_rate(server.port, self.fresh_path, seconds=LOAD_SECONDS, cpu=client_cpu)

    def first_200(self) -> float:
        """Seconds from the command to its first complete 200."""
        began = perf_counter()
        with self.spawn_first() as server:
            wait_for_200(server.port, self.about_path)
            return perf_counter() - began

    def common_probes(self) -> list[Probe]:
        """The figures that every server has."""
        return [
            Probe("http_fresh", self.fresh, REQUESTS, WARMUP_REQUESTS),
            Probe("fresh_rate", self.rate, LOAD_RUNS),
            Probe("first_200", self.first_200, STARTS, warmups=1),
        ]
