"""Heaps: what isolates had in memory that hibernate, in a file without a name.

A heap holds whatever its tenant's program holds, secrets among it, so it is treated like memory that was swapped out:
the file has no name by which anybody could open it, is readable for this user alone, and is gone with the process. So
no heap outlives what it fits (the code, the storage), and each is used once at most.

What is read back is exactly what was written: places in the file are used again, by other tenants too, but a heap knows
its own length, and whatever lies behind it in its last block is never read.

Whatever goes wrong with the file is a `HeapError`. Safe for threads. `put` and `fill` may block on the disk.
"""

from __future__ import annotations

import os
import tempfile
import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from .blocks import BLOCK, Blocks, blocks_for, scattered
from .errors import HeapError, HeapsFull

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from .pages import Run

MOST_PARTS: Final = 512
"""Buffers of one system call; IOV_MAX is 1024 on Linux and macOS."""
PIECE: Final = 4 << 20
"""Bytes of one system call: some milliseconds, which is a step's turn on a thread that others wait for."""
RESERVE: Final = 64 << 20
RESERVED_PART: Final = 20
"""So many bytes of the disk, and such a part of it (a twentieth, which ext4 leaves to root), are left to others."""
_NOW: Final = getattr(os, "RWF_NOWAIT", 0)
"""Linux: read what is in memory, and nothing that would have to come from the disk."""


class Heap(NamedTuple):
    """One that was put away."""

    memory_size: int
    """Bytes of the linear memory."""
    runs: tuple[Run, ...]
    """What of it is here; the rest is as its image says."""
    blocks: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes that were written."""
        return sum(end - start for start, end in self.runs)


class Heaps:
    """Those of one process. `limit` is in bytes, of the file. It is opened when it is needed."""

    def __init__(self, limit: int, folder: Path | None = None) -> None:
        self.limit = limit
        self._folder = folder
        """Where the file is made; None is the system's folder for temporary files."""
        self._blocks = Blocks(limit // BLOCK)
        self._file: BinaryIO | None = None
        self._length = 0
        """Of the file, in blocks."""
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._closed = False

    def __len__(self) -> int:
        """Bytes of the file that are in use."""
        return self._blocks.used * BLOCK

    def can_hold(self, size: int) -> bool:
        """Whether so many bytes would fit if there were nothing else."""
        return blocks_for(size) * BLOCK <= self.limit

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more would fit."""
        return (self._blocks.used + blocks_for(size)) * BLOCK <= self.limit

    def put(self, memory_size: int, runs: Sequence[Run], buffers: Sequence[memoryview]) -> Heap:
        """Write these parts of a memory down. Raises `HeapsFull`, `HeapError`."""
        size = sum(map(len, buffers))
        with self._writing:
            with self._lock:
                blocks = self._blocks.take(blocks_for(size))
                end = self._blocks.end
            if blocks is None:
                raise HeapsFull(size)
            heap = Heap(memory_size, tuple(runs), blocks)
            try:
                self._write(heap, buffers, end)
            except (OSError, ValueError) as error:
                self.drop(heap)
                raise HeapError(f"a heap of {size} bytes cannot be written: {_said(error)}") from error
            except BaseException:
                self.drop(heap)
                raise
        return heap

    def _write(self, heap: Heap, buffers: Sequence[memoryview], end: int) -> None:
        file = self._opened()
        if end < self._length:
            os.ftruncate(file, end * BLOCK)
        self._length = end
        status = os.fstatvfs(file)
        reserve = max(RESERVE, status.f_blocks * status.f_frsize // RESERVED_PART)
        if status.f_bavail * status.f_frsize < heap.size + reserve:
            raise HeapError(f"a heap of {heap.size} bytes is not written: the disk is almost full")
        for offset, parts in scattered(buffers, heap.blocks, MOST_PARTS, PIECE):
            _write_all(file, offset, parts)

    def _opened(self) -> int:
        if self._closed:
            raise HeapError("the store of heaps is closed")
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0, prefix="heap-", dir=self._folder)  # noqa: SIM115
        return self._file.fileno()

    def fill(self, heap: Heap, buffers: Sequence[memoryview]) -> Iterator[None]:
        """Write it to the same parts of another memory. Iterate it to the end: it pauses after some milliseconds each.
        Raises `HeapError` if not all of it can be had back.
        """
        try:
            file, turn = self._opened(), 0
            for offset, parts in self._pieces(heap, buffers):
                size = sum(map(len, parts))
                if turn + size > PIECE:
                    yield
                    turn = 0
                turn += size
                _read_all(file, offset, parts)
        except (OSError, ValueError) as error:
            raise HeapError(f"a heap of {heap.size} bytes cannot be read: {_said(error)}") from error

    def fill_now(self, heap: Heap, buffers: Sequence[memoryview]) -> bool:
        """The same at once. Returns False, and may have written some, if it would have to wait for the disk."""
        try:
            return bool(_NOW) and all(
                os.preadv(self._opened(), parts, offset, _NOW) == sum(map(len, parts))
                for offset, parts in self._pieces(heap, buffers)
            )
        except (
            OSError
        ):  # it would block, or the file system cannot tell: whoever waits reads it, or hears why not
            return False

    def _pieces(self, heap: Heap, buffers: Sequence[memoryview]) -> Iterator[tuple[int, list[memoryview]]]:
        if sum(map(len, buffers)) != heap.size:
            raise HeapError(f"a heap of {heap.size} bytes does not fit memory of another size")
        return scattered(buffers, heap.blocks, MOST_PARTS, PIECE)

    def drop(self, heap: Heap) -> None:
        """Nobody wants it back. Once only."""
        with self._lock:
            self._blocks.give(heap.blocks)

    def close(self) -> None:
        """Forget them all."""
        with self._writing:
            self._closed = True
            if self._file is not None:
                self._file.close()


def _said(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _write_all(file: int, offset: int, parts: list[memoryview]) -> None:
    while parts:
        done = os.pwritev(file, parts, offset)
        offset += done
        parts = _behind(parts, done)


def _read_all(file: int, offset: int, parts: list[memoryview]) -> None:
    while parts:
        done = os.preadv(file, parts, offset)
        if not done:
            raise OSError(None, "it has been cut off")
        offset += done
        parts = _behind(parts, done)


def _behind(parts: list[memoryview], done: int) -> list[memoryview]:
    """What is left of some buffers after so many bytes."""
    for place, part in enumerate(parts):
        if done < len(part):
            return [part[done:], *parts[place + 1 :]]
        done -= len(part)
    return []
