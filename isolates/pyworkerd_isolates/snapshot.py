"""A heap as an image keeps it: read while the guest rests, its objects marked as immortal."""

from __future__ import annotations

import time
from array import array
from typing import TYPE_CHECKING, Final

from . import wire

if TYPE_CHECKING:
    from .native import Instance


IMMORTAL: Final = 5 << 28
"""`_PyObject` reference count that CPython 3.14 gives to immortal objects on 32-bit platforms
(Include/refcount.h, _Py_IMMORTAL_INITIAL_REFCNT): neither counting up nor down writes to it."""
IMMORTAL_MINIMUM: Final = 1 << 30
"""_Py_IMMORTAL_MINIMUM_REFCNT: static objects have another such count."""
MAX_COUNT: Final = 1 << 20
"""References that an object in use can have, at most. What was freed holds addresses where its count was, and no object
lies so low: the interpreter's own data comes first."""
MAX_EFFECTS_BYTES: Final = 65_536
MAX_ADDRESSES_BYTES: Final = 64 * 1024 * 1024
SETTLE: Final = b""
"""A step without events: the guest collects its garbage and answers which objects are alive."""


def take(instance: Instance, budget_ms: float) -> bytearray:
    """Let the guest settle, and read its heap. The instance has nothing under way and is not used again."""
    addresses = instance.step("step", time.time_ns(), SETTLE, budget_ms, MAX_ADDRESSES_BYTES)
    close_gaps = wire.encode([["close_gaps", instance.memory_size]], ())
    # Whatever it answers: with gaps the image is larger, and no less right.
    instance.step("step", time.time_ns(), close_gaps, budget_ms, MAX_EFFECTS_BYTES)
    heap = instance.heap()
    immortalise(heap, addresses)
    return heap


def immortalise(heap: bytearray, addresses: bytes) -> None:
    """Mark the objects at these addresses (32-bit, little-endian), so that live isolates share their pages.

    The addresses come from the guest. A wrong one damages nothing but the guest's own image, so they are checked only
    for what an object in use has, a count and a type: what has been freed since is left alone.
    """
    words = memoryview(heap).cast("I")
    numbers = _living(words, array("I", addresses[: len(addresses) & ~3]))
    for number in numbers:
        if words[number + 1] >> 2 in numbers or words[words[number + 1] >> 2] >= IMMORTAL_MINIMUM:
            words[number] = IMMORTAL
    words.release()


def _living(words: memoryview, addresses: array[int]) -> set[int]:
    """Which of these are addresses of objects with a count and a type, as numbers of words."""
    size = len(words) - 1
    return {
        address >> 2
        for address in addresses
        if not address & 3
        and address >> 2 < size
        and 0 < words[address >> 2] < MAX_COUNT
        and not words[(address >> 2) + 1] & 3
        and words[(address >> 2) + 1] >> 2 < size
    }
