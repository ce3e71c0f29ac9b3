"""What a process uses of the machine, as the system counts it."""

from __future__ import annotations

from typing import NamedTuple

import psutil


class Used(NamedTuple):
    """Of one process."""

    memory: int
    """Bytes that are its own: what is mapped from files can be had back."""
    cpu: float
    """Cores, since it was looked at the last time."""


class Usage:
    """Of a process that exists."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)

    def look(self) -> Used | None:
        """What it uses now; None if it has gone."""
        try:
            memory = self._process.memory_info()
            cpu = self._process.cpu_percent() / 100
        except psutil.Error:
            return None
        return Used(memory.rss - getattr(memory, "shared", 0), cpu)
