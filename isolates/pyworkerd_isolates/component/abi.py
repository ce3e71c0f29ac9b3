"""Values in a program's memory, by the canonical ABI. No I/O.

An answer that is more than a number is written to memory, and where it has a length that the program does not know,
memory has to be asked for first. So those who answer are generators: they yield what they need (`ALLOCATE`, `FILL`) and
are sent an address. Numbers are little-endian, an option or a result is a byte in front of what it holds.

Source: component-model design/mvp/CanonicalABI.md (Storing, Lifting and lowering).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from pyworkerd_isolates.errors import MemoryExhausted, Trap
from pyworkerd_isolates.wasm.questions import ALLOCATE, FILL

if TYPE_CHECKING:
    from collections.abc import Sequence

Answer: TypeAlias = Generator[Any, int, "int | None"]
"""What answers a question that cannot be answered at once. It yields a number, what it wants the program to do, or a
list of things that can become ready (`handles.Pollable`), one of which it waits for."""
Answering: TypeAlias = Callable[..., "int | Answer | None"]
"""A function that answers a question: it is given the host, and what the question is about."""
NOWHERE: Final = 1
"""The address of nothing: what has no length needs no memory."""
MAX_PAIRS: Final = 1 << 16
_PAIR: Final = struct.Struct("<II")
_SOME_PAIR: Final = struct.Struct("<BxxxII")


class Memory(Protocol):
    """A program's memory. Addresses are the program's: what lies outside raises `Trap`."""

    def read(self, at: int, size: int) -> bytes:
        """So many bytes from an address on."""

    def write(self, at: int, data: bytes) -> None:
        """Write bytes from an address on."""


def u32(number: int) -> bytes:
    """As it lies in memory."""
    return number.to_bytes(4, "little")


def text(memory: Memory, at: int, size: int, most: int) -> str:
    """A string of the program's. Raises `Trap` for what is none, or longer than `most` bytes."""
    if size > most:
        raise Trap(f"the program handed over a string of {size} bytes; at most {most} are allowed")
    try:
        return memory.read(at, size).decode()
    except UnicodeDecodeError:
        raise Trap("the program handed over a string that is not UTF-8") from None


def pairs(memory: Memory, at: int, count: int, most: int) -> list[tuple[int, int]]:
    """A list of addresses and sizes."""
    if count > most:
        raise Trap(f"the program handed over a list of {count} items; at most {most} are allowed")
    return list(_PAIR.iter_unpack(memory.read(at, 8 * count)))


def allocate(size: int, align: int) -> Generator[Any, int, int]:
    """So many bytes of new memory, one at least. Returns where.

    Raises `MemoryExhausted` where the program's allocator answers 0: what is written there would lie on top of what the
    program has.
    """
    at = yield (ALLOCATE | align << 8) << 32 | size
    return _there(at)


def _there(at: int) -> int:
    if not at:
        raise MemoryExhausted("the program has no memory left for what it is given")
    return at


def put(memory: Memory, data: bytes, align: int = 1) -> Generator[Any, int, int]:
    """Put bytes into new memory of the program. Returns where."""
    if not data:
        return NOWHERE
    at = yield from allocate(len(data), align)
    memory.write(at, data)
    return at


def put_list(memory: Memory, items: Sequence[bytes]) -> Generator[Any, int, int]:
    """Put a list of strings or byte strings into new memory: pairs of address and size. Returns where. Tuples of two
    are twice as many items.
    """
    if not items:
        return NOWHERE
    if len(items) > MAX_PAIRS:
        raise Trap(f"a list of {len(items)} items is too long for a program")
    at = yield from put(memory, b"".join(_PAIR.pack(NOWHERE, len(item)) for item in items), 4)
    filled = yield (FILL | len(items) << 8) << 32 | at
    del filled
    for (where, _), item in zip(pairs(memory, at, len(items), MAX_PAIRS), items, strict=True):
        if item:
            memory.write(_there(where), item)
    return at


def return_bytes(memory: Memory, to: int, data: bytes) -> Answer:
    """Answer with a string or a list of bytes."""
    at = yield from put(memory, data)
    memory.write(to, _PAIR.pack(at, len(data)))
    return None


def return_list(memory: Memory, to: int, items: Sequence[bytes], width: int = 1) -> Answer:
    """Answer with a list of strings, or of tuples of `width` strings."""
    at = yield from put_list(memory, items)
    memory.write(to, _PAIR.pack(at, len(items) // width))
    return None


def return_optional(memory: Memory, to: int, data: bytes | None) -> Answer:
    """Answer with a string or nothing."""
    if data is None:
        memory.write(to, b"\0")
        return None
    at = yield from put(memory, data)
    memory.write(to, _SOME_PAIR.pack(1, at, len(data)))
    return None


def return_ok_bytes(memory: Memory, to: int, data: bytes) -> Answer:
    """Answer with a result that is a list of bytes."""
    at = yield from put(memory, data)
    memory.write(to, _SOME_PAIR.pack(0, at, len(data)))
    return None
