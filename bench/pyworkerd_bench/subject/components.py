"""pyworkerd with the component that `wasmtime serve` runs."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from pyworkerd_bench.contestant import SUBJECT, Probe
from pyworkerd_bench.http_contestant import HttpContestant
from pyworkerd_bench.peers import wasi_hello

from .configuration import socket, write
from .pyworkerd import about, serve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pyworkerd_bench.processes import Server

_WORKER = """\
[[services]]
name = "hello"
[services.worker]
main = "hello.wasm"
"""


class ComponentsSubject(HttpContestant):
    """A server with one worker, which is the component."""

    name = SUBJECT

    def available(self) -> str | None:
        """Whether what builds its program is installed."""
        return wasi_hello.lacking()

    def about(self) -> str:
        """Versions and settings."""
        return f"{about()} with defaults, the component of `wasmtime serve`"

    def prepare(self, folder: Path) -> None:
        """Build the component, and write the configuration: the server compiles it."""
        shutil.copyfile(wasi_hello.component_file(), folder / "hello.wasm")
        write(folder / "config.toml", [socket("http", "hello"), _WORKER])

    def spawn(self, cpu: int | None = None) -> Server:
        """A server with the worker."""
        return serve(self._folder.path / "config.toml", cpu)

    def probes(self) -> Sequence[Probe]:
        """What both have."""
        return self.common_probes()
