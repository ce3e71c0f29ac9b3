"""Pages of this process's memory: which of a mapping it has made its own, and how to get them beforehand.

An isolate's memory is a private mapping of its image. The kernel copies a page when it is first written to, and each
such fault costs more than copying the page does. So the pages that every first step writes to are asked for at once,
and an isolate that has ended can be put back by copying only what it wrote to. A page that has again what the image
says, since a count of references went up and down, can be given back: whoever reads it finds the image's.

Where the system cannot (other than Linux, Linux before 6.7, no /proc) `PAGES` is None, and isolates start as they
would without it.

No call here gives the GIL up: each takes microseconds, and taking the lock again behind a busy thread takes
milliseconds.

Source: Linux Documentation/admin-guide/mm/pagemap.rst (PAGEMAP_SCAN); madvise(2) (MADV_POPULATE_WRITE,
MADV_DONTNEED), process_madvise(2), which takes many ranges at once and every advice of a process for itself since
Linux 6.13.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE: Final = 4096
"""Bytes; a system with larger pages answers with runs that are multiples of its own."""
MAX_RUNS: Final = 512
"""Runs of pages that one look can tell; an isolate that wrote to more of them is not worth putting back."""

_PAGEMAP_SCAN: Final = 0xC0606610
"""_IOWR('f', 16, struct pm_scan_arg)."""
_FILE, _PRESENT, _SWAPPED, _ZERO = 1 << 2, 1 << 3, 1 << 4, 1 << 5
_PROCESS_MADVISE: Final = 440
"""Number of the system call, one for all architectures."""
_SELF: Final = -10000
"""PIDFD_SELF, linux/pidfd.h, since Linux 6.14."""
_DONTNEED, _POPULATE_WRITE = 4, 23

compare = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)(
    ("memcmp", ctypes.PyDLL(None))
)
"""What is at two addresses, so many bytes: 0 if it is equal."""

Run = tuple[int, int]
"""Start and end of some pages, in bytes from the beginning of a memory."""


class _ScanArgument(ctypes.Structure):
    """struct pm_scan_arg, linux/fs.h."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            "size", "flags", "start", "end", "walk_end", "vec", "vec_len", "max_pages",
            "category_inverted", "category_mask", "category_anyof_mask", "return_mask",
        )
    )  # fmt: skip


class Pages:
    """The kernel's own account of this process's pages. Raises OSError where there is none. Safe for threads."""

    def __init__(self) -> None:
        libc = ctypes.PyDLL(None, use_errno=True)
        self._ioctl, self._syscall = libc.ioctl, libc.syscall
        self._ioctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)
        self._syscall.argtypes = (
            ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_uint,
        )  # fmt: skip
        self._syscall.restype = ctypes.c_long
        self._madvise = libc.madvise
        self._madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        self._local = threading.local()
        self._pagemap = self._process = -1
        own = ctypes.create_string_buffer(2 * PAGE)
        self.written(ctypes.addressof(own) & -PAGE, PAGE)

    def written(self, base: int, size: int) -> list[Run] | None:
        """What of this stretch of memory is the process's own: written to, and no longer a page of a file.

        None if it is scattered over more than `MAX_RUNS` runs. Takes some 20 us for 30 MB.
        """
        runs, walked = self._scan(base, size)
        return runs if walked == size else None

    def all_written(self, base: int, size: int) -> list[Run]:
        """The same, over however many runs: there are no more than half of its pages."""
        runs: list[Run] = []
        walked = 0
        while walked < size:
            found, further = self._scan(base + walked, size - walked)
            runs += [(walked + start, walked + end) for start, end in found]
            walked += further
        return runs

    def _scan(self, base: int, size: int) -> tuple[list[Run], int]:
        """The first runs, and how far the kernel looked for them."""
        argument, runs = self._buffers()
        argument.start, argument.end = base, base + size
        found: int = self._ioctl(self._descriptor(), _PAGEMAP_SCAN, ctypes.addressof(argument))
        if found < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        numbers = runs[: 3 * found]
        told = [(start - base, end - base) for start, end in zip(numbers[::3], numbers[1::3], strict=True)]
        return told, argument.walk_end - base

    def populate(self, base: int, runs: tuple[Run, ...]) -> None:
        """Make these pages the process's own now, as a write to each would. What fails is left to the writes."""
        flat = [number for start, end in runs for number in (base + start, end - start)]
        ranges = (ctypes.c_size_t * len(flat))(*flat)  # struct iovec: address and length
        self._syscall(_PROCESS_MADVISE, _SELF, ctypes.addressof(ranges), len(runs), _POPULATE_WRITE, 0)

    def give_back(self, base: int, runs: Iterable[Run]) -> None:
        """Have these pages be what the mapping says again, and take no memory. What was written there is lost."""
        for start, end in runs:
            self._madvise(base + start, end - start, _DONTNEED)

    def _descriptor(self) -> int:
        """This process's pagemap. A child after a fork has a memory of its own, and so opens its own."""
        if self._process != os.getpid():
            self._pagemap = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
            self._process = os.getpid()
        return self._pagemap

    def _buffers(self) -> tuple[_ScanArgument, ctypes.Array[ctypes.c_uint64]]:
        local = self._local
        if not hasattr(local, "argument"):
            local.runs = (ctypes.c_uint64 * (3 * MAX_RUNS))()
            local.argument = _ScanArgument(
                size=ctypes.sizeof(_ScanArgument),
                vec=ctypes.addressof(local.runs),
                vec_len=MAX_RUNS,
                category_inverted=_FILE | _ZERO,
                category_mask=_FILE | _ZERO,
                category_anyof_mask=_PRESENT | _SWAPPED,
                return_mask=_PRESENT,
            )
        return local.argument, local.runs


def _open() -> Pages | None:
    if sys.platform != "linux":
        return None
    try:
        return Pages()
    except OSError:
        return None


PAGES: Final = _open()


def equal(one: int, other: int, runs: Iterable[Run]) -> tuple[Run, ...]:
    """Which of these pages are the same in two stretches of memory, which begin at these addresses."""
    size = mmap.PAGESIZE  # the kernel's own: it gives back no less
    found: list[Run] = []
    for start, end in runs:
        for at in range(start, end, size):
            if not compare(one + at, other + at, size):
                begin = found.pop()[0] if found and found[-1][1] == at else at
                found.append((begin, at + size))
    return tuple(found)


MAX_HOT: Final = 512 << 10
"""Bytes that are made an isolate's own before its first step, at most: hello writes to 220 KiB."""


class Hot:
    """The pages that first steps write to, learned from one that was watched."""

    __slots__ = ("runs",)

    def __init__(self) -> None:
        self.runs: tuple[Run, ...] | None = None
        """None until something was learned."""

    def learn(self, written: list[Run]) -> None:
        """What one first step wrote to; more than `MAX_HOT` bytes were its own affair. Only the first counts."""
        if self.runs is None:
            size = sum(end - start for start, end in written)
            self.runs = tuple(written) if size <= MAX_HOT else ()
