"""What pyworkerd runs here: the shortest handler that the Workers model has, its configurations, an endless loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .configuration import service, socket, write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HELLO: Final = """\
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("hello")
"""

LOOP: Final = """\
from workers import WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        while True:
            pass
"""

CPU_MS: Final = 50
"""The limit that the endless loop runs into: the default, written out because the figure subtracts it."""

FRESH, WARM, LOOPING = "/fresh", "/warm", "/loop"

_WORKERS: Final[Mapping[str, tuple[str, str, dict[str, object]]]] = {
    FRESH: ("fresh", HELLO, {"reuse": "request"}),
    WARM: ("warm", HELLO, {"reuse": "isolate"}),
    LOOPING: ("loop", LOOP, {"limits": {"cpu_ms": CPU_MS}}),
}
"""Path: name, source and settings of the worker behind it."""


def write_all(folder: Path) -> Path:
    """A configuration with every worker that the figures ask for, each behind its own path. Returns its file."""
    services = [
        service(folder, name, source, {"routes": [path]}, settings)
        for path, (name, source, settings) in _WORKERS.items()
    ]
    return write(folder / "config.toml", [socket("http"), *services])


def write_hello(folder: Path) -> Path:
    """A configuration with one worker, as in the first page of the manual. Returns its file."""
    return write(folder / "hello.toml", [socket("http", "hello"), service(folder, "hello", HELLO)])
