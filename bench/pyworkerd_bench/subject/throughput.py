"""pyworkerd under full load: one server on one processor, a socket for each shape, one worker behind each or many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyworkerd_bench.contestant import SUBJECT, Probe
from pyworkerd_bench.loaded import RUNS, LoadedContestant
from pyworkerd_bench.shapes import SHAPES

from .configuration import service, socket, write
from .hello import write_hello
from .programs import PYTHON
from .pyworkerd import about, serve
from .second import SecondProcess

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pyworkerd_bench.processes import Server

    from .programs import Program

JSON: Final = """\
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        order = await request.json()
        total = sum(item["price"] * item["count"] for item in order["items"])
        return Response.json(
            {"customer": order["customer"]["name"], "items": len(order["items"]), "total": total}
        )
"""

BODY: Final = """\
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(await request.bytes())
"""

LINK: Final = """\
from workers import WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await self.env.NEXT.fetch(request)
"""


class HelloSubject(LoadedContestant):
    """A program's hello alone."""

    name = SUBJECT
    program: Program = PYTHON

    def about(self) -> str:
        """Versions and settings."""
        return f"{about(self.program)} with defaults, one process"

    def spawn(self, cpu: int | None) -> Server:
        """A server with one worker."""
        return serve(write_hello(self._folder.path, self.program), cpu, processes=1)


class ThroughputSubject(HelloSubject):
    """Every shape."""

    shapes = tuple(SHAPES)

    def probes(self) -> Sequence[Probe]:
        """Each shape, and what a second process adds."""
        second = SecondProcess(self._folder.path, self._seconds, self._warmup)
        return [*super().probes(), Probe("second", second.gain, RUNS, remark=second.remark)]

    def spawn(self, cpu: int | None) -> Server:
        """A server with a socket for each shape."""
        return serve(write_all(self._folder.path), cpu, tuple(SHAPES))

    def port(self, server: Server, shape: str) -> int:
        """Its own socket's."""
        return server.ports[shape]


def write_all(folder: Path) -> Path:
    """A configuration with a socket for each shape; the tenants are found by their paths. Returns its file."""
    chain = {"global_outbound": False}
    services = [
        service(folder, "hello", PYTHON.hello),
        service(folder, "json", JSON),
        service(folder, "body", BODY),
        service(folder, "chain", LINK, worker={**chain, "bindings": {"NEXT": {"service": "middle"}}}),
        service(folder, "middle", LINK, worker={**chain, "bindings": {"NEXT": {"service": "last"}}}),
        service(folder, "last", PYTHON.hello),
        *(service(folder, path[1:], PYTHON.hello, {"routes": [path]}) for path in SHAPES["tenants"].paths),
    ]
    sockets = [socket(name, None if name == "tenants" else name) for name in SHAPES]
    return write(folder / "config.toml", [*sockets, *services])
