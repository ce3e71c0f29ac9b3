"""What this process has in memory, for tests that bound it."""

from __future__ import annotations

import ctypes
import gc

import psutil


def in_use() -> int:
    """Bytes in use, without garbage, and what the allocator keeps for later where it can be asked for it (glibc)."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return int(psutil.Process().memory_full_info().uss)
