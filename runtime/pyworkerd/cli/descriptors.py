"""Open files: a server of ten thousand connections needs as many, and a shell gives 1,024."""

from __future__ import annotations

from typing import Final

ENOUGH: Final = 1 << 20
"""What an unlimited hard limit is taken for: Linux's own most (fs.nr_open)."""
MODEST: Final = 10_240
"""What macOS allows where it says that there is no limit (OPEN_MAX)."""


def raise_limit() -> int | None:
    """Raise this process's soft limit of open files to its hard limit; children inherit it.

    Returns what it is then; None on systems that have no such limit.
    """
    try:
        import resource  # noqa: PLC0415 - not on every system
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else hard
    for limit in (wanted, min(wanted, MODEST)):
        if soft == resource.RLIM_INFINITY or soft >= limit:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        except (OSError, ValueError):
            continue
        return limit
    return soft
