"""pyworkerd with thousands of registered tenants, deployed at their first request."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyworkerd_bench.contestant import SUBJECT, Probe
from pyworkerd_bench.crowd import ASKED, CrowdContestant, ask_each
from pyworkerd_bench.folder import Folder

from .configuration import service, socket, write
from .programs import PYTHON
from .pyworkerd import about, serve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd_bench.processes import Server

SIZES: Final = (1_000, 10_000)
PROGRAMS: Final = 20
"""Tenants share so many different programs, whose images the cache has; it keeps some 70 on disk."""
NEW: Final = 10
"""Tenants with a program of their own that was never built, asked once each in one round."""


class DensitySubject(CrowdContestant):
    """`deploy = "lazy"`; every tenant has a folder, a service and a route of its own."""

    name = SUBJECT
    sizes: Sequence[int] = SIZES

    def __init__(self, asked: int = ASKED, sizes: Sequence[int] = SIZES) -> None:
        self.sizes = sizes
        super().__init__(asked)
        self._folder = Folder()

    def available(self) -> str | None:
        """It is what this is about."""
        return None

    def about(self) -> str:
        """Versions and settings."""
        return f'{about()}, deploy = "lazy", one process'

    def start(self) -> None:
        """Write the configurations, and let the cache have the programs of the tenants."""
        made = self._folder.make()
        for size in self.sizes:
            folder = made / str(size)
            folder.mkdir()
            write_crowd(folder, [PYTHON.version(number % PROGRAMS) for number in range(size)])
        with self.spawn(self.sizes[0], None) as server:
            ask_each(server, [f"/t{number}" for number in range(min(PROGRAMS, self.sizes[0]))])

    def stop(self) -> None:
        """Remove the configurations: servers end with their round."""
        self._folder.remove()

    def spawn(self, size: int, cpu: int | None) -> Server:
        """A server with so many tenants."""
        return serve(self._folder.path / str(size) / "config.toml", cpu)

    def probes(self) -> Sequence[Probe]:
        """What all have, and the first request to a program that nobody has seen."""
        return [*super().probes(), Probe("never_built", self.never_built, 1)]

    def never_built(self) -> tuple[float, ...]:
        """Seconds for the first request to each of some tenants whose programs are new to the cache."""
        folder = Path(tempfile.mkdtemp(dir=self._folder.path))
        began = time.time_ns()
        sources = [PYTHON.version(began + number) for number in range(NEW)]
        with serve(write_crowd(folder, sources), None) as server:
            return tuple(ask_each(server, [f"/t{number}" for number in range(NEW)]).values())


def write_crowd(folder: Path, sources: Sequence[str]) -> Path:
    """A configuration with a tenant for each source. Returns its file."""
    tenants = [
        service(folder, f"t{number}", source, {"routes": [f"/t{number}"]})
        for number, source in enumerate(sources)
    ]
    return write(folder / "config.toml", ['deploy = "lazy"', socket("http"), *tenants])
