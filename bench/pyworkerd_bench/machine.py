"""What machine this is: read from the system, so that a report can say so."""

from __future__ import annotations

import os
import platform
from pathlib import Path

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
