"""A heap as an image keeps it: read while the guest rests, its objects marked as immortal."""

from __future__ import annotations

import time
from array import array
from typing import Final

from .native import Instance

IMMORTAL: Final = 5 << 28
"""`_PyObject` reference count that CPython 3.14 gives to immortal objects on 32-bit platforms
(Include/refcount.h, _Py_IMMORTAL_INITIAL_REFCNT): neither counting up nor down writes to it."""
MAX_COUNT: Final = 1 << 28
MAX_ADDRESSES_BYTES: Final = 64 * 1024 * 1024
SETTLE: Final = b""
"""A step without events: the guest collects its garbage and answers which objects are alive."""


def take(instance: Instance, budget_ms: float) -> bytearray:
    """Let the guest settle, and read its heap. The instance has nothing under way and is not used again."""
    addresses = instance.step("step", time.time_ns(), SETTLE, budget_ms, MAX_ADDRESSES_BYTES)
    return immortalise(instance.memory(), addresses)


def immortalise(memory: bytes, addresses: bytes) -> bytearray:
    """Mark the objects at these addresses (32-bit, little-endian), so that live isolates share their pages.

    The addresses come from the guest. A wrong one damages nothing but the guest's own image, so they are checked only
    for lying in it, and for a count that an object in use can have: what has been freed since is left alone.
    """
    marked = bytearray(memory)
    words = memoryview(marked).cast("I")
    size = len(words)
    for address in array("I", addresses[: len(addresses) & ~3]):
        if not address & 3 and address >> 2 < size and 0 < words[address >> 2] < MAX_COUNT:
            words[address >> 2] = IMMORTAL
    words.release()
    return marked
