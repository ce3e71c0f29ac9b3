"""The configurations in which a program's handlers are measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .configuration import service, socket, write
from .programs import PYTHON

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .programs import Program

CPU_MS: Final = 50
"""The limit that the endless loop runs into: the default, written out because the figure subtracts it."""

FRESH, WARM, LOOPING = "/fresh", "/warm", "/loop"


def write_all(folder: Path, program: Program = PYTHON) -> Path:
    """A configuration with every worker that the figures ask for, each behind its own path. Returns its file."""
    workers: Mapping[str, tuple[str, str, dict[str, object]]] = {
        FRESH: ("fresh", program.hello, {"reuse": "request"}),
        WARM: ("warm", program.hello, {"reuse": "isolate"}),
        LOOPING: ("loop", program.loop, {"limits": {"cpu_ms": CPU_MS}}),
    }
    services = [
        service(folder, name, source, {"routes": [path]}, settings, program.main)
        for path, (name, source, settings) in workers.items()
    ]
    return write(folder / "config.toml", [socket("http"), *services])


def write_hello(folder: Path, program: Program = PYTHON) -> Path:
    """A configuration with one worker, as in the first page of the manual. Returns its file."""
    worker = service(folder, "hello", program.hello, main=program.main)
    return write(folder / "hello.toml", [socket("http", "hello"), worker])
