"""Images: modules that are nothing but a memory and its data, and the way back.

Pages of zeros are left out: a fresh memory is zero already, and what an image does not hold is never read or
mapped.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from .binary import MODULE_HEADER, WASM_PAGE, Reader, name, section, sections, vector
from .core import Constant, Limits, read_constant, read_limits
from .errors import WasmFormatError
from .leb import encode_signed, encode_unsigned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .leb import Buffer

_GRAIN = 4096
"""Zeros are left out in units of this many bytes: the page size of x86-64 and of most ARM systems."""
_CHUNK = 1 << 18
"""Bytes looked at in one go: fits a second-level cache, so that the copy to be searched costs next to
nothing.
"""
_ZERO_GRAIN = bytes(_GRAIN)
_ZERO_CHUNK = bytes(_CHUNK)
_MAX_PAGES = 65536
"""4 GiB, core specification 4.2.8."""


def image_of(memory: Buffer, maximum_pages: int | None = None, maximum_spread: int | None = None) -> bytes:
    """A module that defines this memory, exported as `memory`, and imports nothing.

    `memory` is a whole number of 64 KiB pages; `maximum_pages` (64 KiB each) limits its growth. Raises `ValueError`.
    If what is not zero is spread over more than `maximum_spread` bytes, `WasmFormatError`: native code of an image has
    them all, however few of them the file says.
    """
    view = memoryview(memory).cast("B")
    pages, rest = divmod(len(view), WASM_PAGE)
    if rest:
        raise ValueError(f"{len(view)} bytes are not a whole number of pages of 64 KiB")
    if maximum_pages is not None and not pages <= maximum_pages <= _MAX_PAGES:
        raise ValueError(f"a memory of {pages} pages cannot have a maximum of {maximum_pages}")
    limits = encode_unsigned(pages)
    limits = b"\0" + limits if maximum_pages is None else b"\x01" + limits + encode_unsigned(maximum_pages)
    found = list(_runs(view))
    spread = found[-1][1] - found[0][0] if found else 0
    if maximum_spread is not None and spread > maximum_spread:
        raise WasmFormatError(
            f"data is spread over {spread} bytes of the memory; at most {maximum_spread} are supported"
        )
    runs = _dense(found)
    parts: list[Buffer] = [encode_unsigned(len(runs))]
    for start, end in runs:
        parts += (
            b"\0\x41",
            encode_signed(_as_i32(start)),
            b"\x0b",
            encode_unsigned(end - start),
            view[start:end],
        )
    size = sum(map(len, parts))
    head = (
        MODULE_HEADER
        + section(5, vector([limits]))
        + section(7, vector([name("memory") + b"\x02\0"]))
        + b"\x0b"
        + encode_unsigned(size)
    )
    return b"".join((head, *parts))


def _as_i32(offset: int) -> int:
    """An address as the signed number that `i32.const` is written with."""
    return offset - (1 << 32) if offset >> 31 else offset


def _runs(view: memoryview) -> Iterator[tuple[int, int]]:
    """Start and end of each run of grains that are not all zero."""
    start = -1
    for base in range(0, len(view), _CHUNK):
        chunk = bytes(view[base : base + _CHUNK])
        if start < 0 and chunk == _ZERO_CHUNK:
            continue
        is_zero = chunk.startswith
        for at in range(0, len(chunk), _GRAIN):
            if is_zero(_ZERO_GRAIN, at):
                if start >= 0:
                    yield start, base + at
                    start = -1
            elif start < 0:
                start = base + at
    if start >= 0:
        yield start, len(view)


def _dense(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The runs, with zeros added after them, shortest gaps first, until more than half of the whole is data.

    wasmtime maps such an image from its file. One with more zeros than data it would write into every new
    memory, which takes a hundred times as long (wasmtime-environ, `try_static_init`).
    """
    if not runs:
        return runs
    missing = (runs[-1][1] - runs[0][0]) // 2 + _GRAIN - sum(end - start for start, end in runs)
    added: dict[int, int] = {}
    gaps = sorted((after[0] - before[1], before[1]) for before, after in pairwise(runs))
    for length, end in gaps:
        if missing <= 0:
            break
        added[end] = min(length, -(-missing // _GRAIN) * _GRAIN)
        missing -= length
    dense = [runs[0]]
    for start, end in runs[1:]:
        first, last = dense[-1]
        last += added.get(last, 0)
        dense[-1] = (first, last)
        if last == start:
            dense[-1] = (first, end)
        else:
            dense.append((start, end))
    return dense


def memory_of(image: Buffer, maximum_bytes: int = 1 << 30) -> bytearray:
    """The memory that an image, or any module with active data, begins with.

    `maximum_bytes` guards against a header that announces gigabytes. Raises `WasmFormatError`.
    """
    memory: bytearray | None = None
    for section_id, content in sections(memoryview(image)):
        reader = Reader(content)
        if section_id == 5:
            if memory is not None or reader.count() != 1:
                raise WasmFormatError("an image has one memory")
            memory = bytearray(_checked_size(read_limits(reader), maximum_bytes))
            reader.finish()
        elif section_id == 11:
            if memory is None:
                raise WasmFormatError("data without a memory")
            for _ in range(reader.count()):
                _read_segment(reader, memory)
            reader.finish()
    if memory is None:
        raise WasmFormatError("an image has a memory")
    return memory


def _checked_size(limits: Limits, maximum_bytes: int) -> int:
    if limits.minimum * WASM_PAGE > maximum_bytes:
        raise WasmFormatError(f"a memory of {limits.minimum} pages is larger than {maximum_bytes} bytes")
    return limits.minimum * WASM_PAGE


def _read_segment(reader: Reader, memory: bytearray) -> None:
    if reader.unsigned() != 0:
        raise WasmFormatError("only active data segments of memory 0 are supported")
    match read_constant(reader):
        case (Constant("const", value),):
            offset = value % (1 << 32)
        case _:
            raise WasmFormatError("a data segment's offset is not a plain number")
    data = reader.sized()
    if offset + len(data) > len(memory):
        raise WasmFormatError("a data segment goes past the end of the memory")
    memory[offset : offset + len(data)] = data
