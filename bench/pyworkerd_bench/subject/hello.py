"""What pyworkerd runs here: the shortest handler that the Workers model has, its configurations, an endless loop."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

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
        _service(folder, name, source, {"routes": [path]}, settings)
        for path, (name, source, settings) in _WORKERS.items()
    ]
    return _write(
        folder / "config.toml", ['[[sockets]]\nname = "http"\naddress = "127.0.0.1:0"\n', *services]
    )


def write_hello(folder: Path) -> Path:
    """A configuration with one worker, as in the first page of the manual. Returns its file."""
    socket = '[[sockets]]\nname = "http"\naddress = "127.0.0.1:0"\nservice = "hello"\n'
    return _write(folder / "hello.toml", [socket, _service(folder, "hello", HELLO, {}, {})])


def _service(
    folder: Path, name: str, source: str, service: dict[str, object], worker: dict[str, object]
) -> str:
    """One `[[services]]` entry; the worker's source goes into a folder of its own."""
    main = folder / name / "worker.py"
    main.parent.mkdir(parents=True, exist_ok=True)
    main.write_text(source)
    settings = {"main": f"{name}/worker.py", **worker}
    lines = ["[[services]]", f'name = "{name}"', *map(_line, service.items())]
    return "\n".join([*lines, "[services.worker]", *map(_line, settings.items()), ""])


def _line(item: tuple[str, object]) -> str:
    key, value = item
    if isinstance(value, dict):
        return f"{key} = {{ {', '.join(map(_line, value.items()))} }}"
    return f"{key} = {json.dumps(value)}"  # strings, numbers and lists of them read the same in TOML


def _write(path: Path, parts: list[str]) -> Path:
    path.write_text("\n".join(parts))
    return path
