"""pyworkerd with two languages in one process: a Python worker that calls a method of a TypeScript worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyworkerd_bench.contestant import SUBJECT, Probe
from pyworkerd_bench.http_contestant import HttpContestant

from .configuration import service, socket, write
from .programs import PYTHON, TYPESCRIPT
from .pyworkerd import about, serve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pyworkerd_bench.processes import Server

CALLS: Final = 100
SAMPLES, WARMUPS = 60, 3

CALLER: Final = f"""\
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        total = 0
        for number in range({CALLS}):
            total = await self.env.ADDER.add(total, number)
        if total != {sum(range(CALLS))}:
            raise ValueError("lost")
        return Response("hello")
"""

ADDER: Final = """\
import { WorkerEntrypoint } from "cloudflare:workers";

export default class extends WorkerEntrypoint {
  async add(left: number, right: number): Promise<number> {
    return left + right;
  }
}
"""


class CallsSubject(HttpContestant):
    """The caller is behind the server's only socket, the other one behind its binding."""

    name = SUBJECT

    def about(self) -> str:
        """Versions and settings."""
        return f"{about(PYTHON, TYPESCRIPT)} with defaults, one process"

    def spawn(self, cpu: int | None = None) -> Server:
        """A server with both workers."""
        return serve(write_calls(self._folder.path), cpu, processes=1)

    def probes(self) -> Sequence[Probe]:
        """One call, of many in one request."""
        return [Probe("call", lambda: self.timed("/") / CALLS, SAMPLES, WARMUPS)]


def write_calls(folder: Path) -> Path:
    """A configuration with both workers. Returns its file."""
    settings = {"limits": {"cpu_ms": 10_000}, "bindings": {"ADDER": {"service": "adder"}}}
    caller = service(folder, "caller", CALLER, worker=settings, main=PYTHON.main)
    adder = service(folder, "adder", ADDER, main=TYPESCRIPT.main)
    return write(folder / "config.toml", [socket("http", "caller"), caller, adder])
