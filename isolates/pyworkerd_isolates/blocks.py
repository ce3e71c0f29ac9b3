"""Which blocks of a file are in use, and where the bytes of several buffers lie in those that one user has. Pure.

Blocks are all of one size, so whatever is free can be used. The lowest are given first, so that the end of the file
comes free again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BLOCK: Final = 64 << 10
"""Bytes. What is put away has a quarter of a megabyte and more, and wastes half a block on average."""

Span = tuple[int, int]
"""Offset in a file, and length, in bytes."""


class Blocks:
    """Those of one file, by number."""

    __slots__ = ("_free", "_most", "end")

    def __init__(self, most: int) -> None:
        self._most = most
        self._free: list[int] = []
        """Ascending, all below `end`."""
        self.end = 0
        """Nobody has this one or any behind it."""

    @property
    def used(self) -> int:
        """How many somebody has."""
        return self.end - len(self._free)

    def take(self, count: int) -> tuple[int, ...] | None:
        """So many, ascending; None if there are not so many."""
        if self.used + count > self._most:
            return None
        taken, self._free = self._free[:count], self._free[count:]
        further = count - len(taken)
        taken += range(self.end, self.end + further)
        self.end += further
        return tuple(taken)

    def give(self, blocks: Sequence[int]) -> None:
        """Have them back."""
        free = self._free
        free += blocks
        free.sort()
        while free and free[-1] == self.end - 1:
            self.end = free.pop()


def blocks_for(size: int) -> int:
    """How many it takes for so many bytes."""
    return -(-size // BLOCK)


def spans(blocks: Sequence[int], size: int) -> Iterator[Span]:
    """Where `size` bytes lie in these blocks: neighbours are one span."""
    start = length = 0
    for block in blocks:
        part = min(BLOCK, size)
        size -= part
        if length and start + length == block * BLOCK:
            length += part
            continue
        if length:
            yield start, length
        start, length = block * BLOCK, part
    if length:
        yield start, length


def scattered(
    buffers: Sequence[memoryview], blocks: Sequence[int], most: int, longest: int
) -> Iterator[tuple[int, list[memoryview]]]:
    """Buffers one behind the other, laid out in blocks: offset in the file, and what begins there, in `most` parts and
    `longest` bytes at most.
    """
    size = sum(map(len, buffers))
    rest = iter(buffers)
    buffer = memoryview(b"")
    for offset, length in spans(blocks, size):
        at, parts, behind, end = offset, list[memoryview](), offset, offset + length
        while behind < end:
            if not buffer:
                buffer = next(rest)
                continue
            room = min(end - behind, at + longest - behind)
            part, buffer = buffer[:room], buffer[room:]
            parts.append(part)
            behind += len(part)
            if len(parts) == most or behind - at == longest:
                yield at, parts
                at, parts = behind, []
        if parts:
            yield at, parts
