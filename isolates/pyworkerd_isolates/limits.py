"""What one isolate may use. Every number has its precedent; hitting one never reaches a neighbour."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one worker's isolates. Times in milliseconds of CPU, sizes in the unit that the name says."""

    cpu_ms: int = 50
    """CPU time of one invocation (Workers: 10 ms free, 30 s paid by default)."""
    memory_mb: int = 128
    """Linear memory (Workers: 128 MB)."""
    startup_ms: int = 1000
    """CPU time of the top level (Workers: 1 s)."""
    output_bytes: int = 8 * 1024 * 1024
    """One step's output, bodies included. Bodies stream in pieces, so an honest step stays far below."""
    header_bytes: int = 1024 * 1024
    """The structured part of one step's output, which the host has to parse."""
    effects: int = 10_000
    """Effects of one step."""
    pending: int = 1000
    """Calls of one isolate that wait at once; a call beyond is refused (Workers: 1000 subrequests to services)."""

    @property
    def memory_bytes(self) -> int:
        """The memory limit in bytes."""
        return self.memory_mb * 1024 * 1024
