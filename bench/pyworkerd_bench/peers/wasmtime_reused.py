"""`wasmtime serve` with CPython whose instances are kept and used again: the fastest way it has to serve Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd_bench.contestant import WASMTIME_REUSED
from pyworkerd_bench.loaded import LoadedContestant

from .wasmtime_serve import PLAIN, WasmtimeServe, serve, version

if TYPE_CHECKING:
    from pyworkerd_bench.processes import Server

REUSED = ("--max-instance-reuse-count", "1000000", "--idle-instance-timeout", "3600s")


class WasmtimeReused(LoadedContestant):
    """Hello only: that is all its component has."""

    name = WASMTIME_REUSED
    shapes = ("hello",)

    def available(self) -> str | None:
        """Whether wasmtime and what builds its program are installed."""
        return WasmtimeServe().available()

    def about(self) -> str:
        """Version and settings."""
        return f"{version()}, {PLAIN}, {' '.join(REUSED)}"

    def spawn(self, cpu: int | None) -> Server:
        """The same server as for cold starts, told to keep its instances."""
        return serve(PLAIN, cpu, REUSED)
