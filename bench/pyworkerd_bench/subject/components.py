"""pyworkerd with the component that `wasmtime serve` runs."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from pyworkerd_bench.contestant import SUBJECT, Probe
from pyworkerd_bench.folder import Folder
from pyworkerd_bench.http_contestant import HttpContestant
from pyworkerd_bench.peers import wasi_hello

from .configuration import socket, write
from .pyworkerd import about, serve

if TYPE_CHECKING:
    from collections.abc import Sequence

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

    def __init__(self) -> None:
        super().__init__()
        self._folder = Folder()

    def available(self) -> str | None:
        """Whether what builds its program is installed."""
        return wasi_hello.lacking()

    def about(self) -> str:
        """Versions and settings."""
        return f"{about()} with defaults, the component of `wasmtime serve`"

    def start(self) -> None:
        """Build the component, and start a server that compiles it."""
        folder = self._folder.make()
        shutil.copyfile(wasi_hello.component_file(), folder / "hello.wasm")
        write(folder / "config.toml", [socket("http", "hello"), _WORKER])
        self.renew()

    def stop(self) -> None:
        """End the server and remove the configuration."""
        super().stop()
        self._folder.remove()

    def spawn(self, cpu: int | None = None) -> Server:
        """A server with the worker."""
        return serve(self._folder.path / "config.toml", cpu)

    def probes(self) -> Sequence[Probe]:
        """What both have."""
        return self.common_probes()
