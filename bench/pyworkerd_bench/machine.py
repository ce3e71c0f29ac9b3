"""What machine this is: read from the system, so that a report can say so."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil

from .report import Machine


def describe() -> Machine:
    """The machine and the interpreter that this process runs on."""
    return Machine(
        cpu=_cpu_model(Path("/proc/cpuinfo")),
        cores=len(usable_cpus()) or os.cpu_count() or 1,
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        busy=os.getloadavg()[0],
    )


class Neighbours:
    """How much of the machine processes take that are none of this one's: begins to count when it is made."""

    def __init__(self) -> None:
        self._all, self._busy, self._own = self._read()

    def share(self) -> float:
        """Their part of all processors' time since then, 0 to 1. Children count once they have ended."""
        total, busy, own = self._read()
        spent = total - self._all
        others = (busy - self._busy) - (own - self._own)
        return min(max(others / spent, 0.0), 1.0) if spent > 0 else 0.0

    @staticmethod
    def _read() -> tuple[float, float, float]:
        """Seconds: of all processors together, of those the busy ones, and of this process and its children."""
        times = psutil.cpu_times()._asdict()
        # Linux counts a guest's time in its host process's as well.
        total = sum(seconds for kind, seconds in times.items() if not kind.startswith("guest"))
        idle = times["idle"] + times.get("iowait", 0.0)
        return total, total - idle, sum(os.times()[:4])


def usable_cpus() -> tuple[int, ...]:
    """The processors this process may run on; empty where the system cannot say (macOS)."""
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()


def load_cpus() -> tuple[int | None, int | None]:
    """Which processor a server, and which a load generator is pinned to. None: not pinned."""
    cpus = usable_cpus()
    return (cpus[0], cpus[-1]) if len(cpus) > 1 else (None, None)


def _cpu_model(cpuinfo: Path) -> str:
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.machine())
