"""The contestant itself: `pyworkerd serve` in a process of its own, and isolates in this one."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from typing import TYPE_CHECKING

from pyworkerd_bench.contestant import SUBJECT, Probe
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.http_client import Connection, get_request
from pyworkerd_bench.http_contestant import REQUESTS, WARMUP_REQUESTS, HttpContestant
from pyworkerd_bench.locate import BUILD
from pyworkerd_bench.processes import Server

from .embedded import Embedded
from .hello import CPU_MS, FRESH, LOOPING, WARM, write_all, write_hello
from .in_process import apart
from .programs import PYTHON

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from .programs import Program

STARTED_ISOLATES = 300
DEPLOYS = 20
ENGINE_LOADS = 20
MEMORY_RUNS = 3
RUNAWAYS = 40
"""Each takes the CPU limit and a little: two seconds in all."""

ANNOUNCEMENT = r"listening on http://127\.0\.0\.1:(?P<port>\d+) \((?P<name>\S+) -> "
"""`serve` prints the address that each socket really has."""


FORBIDDEN = "PYTHONDONTWRITEBYTECODE"


class Pyworkerd(HttpContestant):
    """All figures of a program. Workers are behind paths of one server; see `hello`."""

    name = SUBJECT
    program: Program = PYTHON
    fresh_path = FRESH
    about_path = WARM

    def __init__(self) -> None:
        super().__init__()
        self._embedded: Embedded | None = None

    def about(self) -> str:
        """Versions and settings."""
        return f"{about(self.program)} with defaults"

    def prepare(self, folder: Path) -> None:
        """Build what is not cached, write the configurations."""
        write_all(folder, self.program)
        write_hello(folder, self.program)
        self._embedded = Embedded(self.program)

    def stop(self) -> None:
        """End the server, let go of the engine, remove the configurations."""
        super().stop()
        embedded, self._embedded = self._embedded, None
        if embedded is not None:
            embedded.close()

    def spawn(self, cpu: int | None = None) -> Server:
        """A server with every worker."""
        return serve(self._config("config.toml"), cpu)

    def spawn_first(self) -> Server:
        """A server with one worker."""
        return serve(self._config("hello.toml"))

    def probes(self) -> Sequence[Probe]:
        """Everything."""
        embedded = self._engine()
        return [
            *self.common_probes(),
            Probe("http_warm", lambda: self.timed(WARM), REQUESTS, WARMUP_REQUESTS),
            Probe("runaway", self.runaway, RUNAWAYS, warmups=1),
            Probe("engine_load", lambda: apart("engine_load", self.program), ENGINE_LOADS, warmups=1),
            Probe("memory", lambda: apart("memory", self.program), MEMORY_RUNS),
            Probe("memory_answered", lambda: apart("memory_answered", self.program), MEMORY_RUNS),
            Probe("deploy", embedded.deploy, DEPLOYS, warmups=1),
            Probe("isolate_start", embedded.start, STARTED_ISOLATES, WARMUP_REQUESTS),
            Probe("first_step", embedded.first_step, STARTED_ISOLATES, WARMUP_REQUESTS),
            Probe("slot_step", embedded.slot_step, STARTED_ISOLATES, WARMUP_REQUESTS),
            Probe("new_source", embedded.new_source, STARTED_ISOLATES, WARMUP_REQUESTS),
            Probe("runaway_step", embedded.runaway, RUNAWAYS, warmups=1),
        ]

    def runaway(self) -> float:
        """Seconds by which an endless loop's 503 comes after its CPU limit."""
        with Connection(self.port) as connection:
            return connection.timed(get_request(LOOPING), status=503) - CPU_MS / 1e3

    def _config(self, name: str) -> Path:
        return self._folder.path / name

    def _engine(self) -> Embedded:
        if self._embedded is None:
            raise BenchError("pyworkerd was not started")
        return self._embedded


def about(*programs: Program) -> str:
    """The versions that run, and what programs run on: Python's, unless others are named."""
    engines = " and ".join(dict.fromkeys(program.engine for program in programs or (PYTHON,)))
    wasmtime = importlib.metadata.version("wasmtime")
    version = importlib.metadata.version("pyworkerd")
    return f"pyworkerd {version}, wasmtime {wasmtime}, {engines} in WebAssembly, `pyworkerd serve`"


def serve(
    config: Path,
    cpu: int | None = None,
    sockets: Sequence[str] = ("http",),
    processes: int | None = None,
) -> Server:
    """`pyworkerd serve`, as a user runs it. `sockets` are those of the configuration.

    It has a process for each core that it may use, and pinned to a `cpu` that is one, unless `processes` says more.
    """
    command = [sys.executable, "-m", "pyworkerd", "serve", str(config)]
    if processes is not None:
        command.append(f"--processes={processes}")
    return Server(command, ANNOUNCEMENT, cpu=cpu, environment=installed(os.environ), names=sockets)


def installed(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which Python's bytecode is kept, as in every installation.

    Build machines often forbid it (PYTHONDONTWRITEBYTECODE); the server would then compile its own sources at each
    start, 0.1 s. The bytecode goes into the build folder instead; the first start, which is not counted, fills it.
    """
    kept = {name: value for name, value in environment.items() if name != FORBIDDEN}
    if environment.get(FORBIDDEN):
        kept["PYTHONPYCACHEPREFIX"] = str((BUILD / "bytecode").absolute())
    return kept
