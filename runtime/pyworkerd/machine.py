"""What of the machine there is for this server: cores and memory, as affinity and control groups leave them."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GROUPS: Final = Path("/sys/fs/cgroup")
_OWN: Final = Path("/proc/self/cgroup")


def cores() -> int:
    """Cores that this process may use, at least one: of its affinity, and as many as its CPU quota pays for."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([found, *_limits("cpu.max", quota)]))


def memory() -> int:
    """Bytes of memory that this process and its likes may use: the machine's, or what the control group allows."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *_limits("memory.max", limit)])


def quota(text: str) -> int | None:
    """Cores in `cpu.max` of a control group (cgroup v2): microseconds in each period, or `max`."""
    match text.split():
        case [used, period] if used.isdigit() and period.isdigit() and int(period) > 0:
            return max(1, math.ceil(int(used) / int(period)))
    return None


def limit(text: str) -> int | None:
    """Bytes in `memory.max` of a control group (cgroup v2), or `max`."""
    return int(text) if text.strip().isdigit() else None


def _limits(name: str, read: Callable[[str], int | None]) -> Iterator[int]:
    """What the control group of this process and those around it say. A container sees its own as the top."""
    for folder in groups(_text(_OWN), GROUPS):
        found = read(_text(folder / name))
        if found is not None:
            yield found


def groups(own: str, top: Path) -> list[Path]:
    """Folders of the control groups (v2) that a process belongs to, by its /proc/PID/cgroup; innermost first."""
    path = next((line[3:] for line in own.splitlines() if line.startswith("0::/")), None)
    if path is None:
        return []
    folder = top / path.strip("/")
    return [each for each in (folder, *folder.parents) if each.is_relative_to(top)]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
