"""The grammar that core modules and components share: names, vectors, sections, and a reader that checks
bounds.

Sources: WebAssembly core specification 2.0, sections 5.1 to 5.5; component-model design/mvp/Binary.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import WasmFormatError
from .leb import Buffer, decode_signed, decode_unsigned, encode_unsigned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MODULE_HEADER = b"\0asm\x01\0\0\0"
"""Magic and version 1, core specification 5.5.16."""
COMPONENT_HEADER = b"\0asm\x0d\0\x01\0"
"""Magic, version 13 and layer 1: component-model Binary.md, Component Definitions."""
WASM_PAGE = 65536
"""Bytes; the unit of memory limits, core specification 4.2.8."""


class Reader:
    """A position in bytes. Every method moves on by what it read, or raises `WasmFormatError`."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: Buffer) -> None:
        self.data, self.at, self.end = data, 0, len(data)

    def byte(self) -> int:
        """One byte."""
        if self.at >= self.end:
            raise WasmFormatError(f"cut off at byte {self.at}")
        value = self.data[self.at]
        self.at += 1
        return value

    def peek(self) -> int:
        """The next byte, without moving on."""
        value = self.byte()
        self.at -= 1
        return value

    def unsigned(self, bits: int = 32) -> int:
        """An unsigned LEB128 integer."""
        value, self.at = decode_unsigned(self.data, self.at, bits)
        return value

    def signed(self, bits: int = 32) -> int:
        """A signed LEB128 integer."""
        value, self.at = decode_signed(self.data, self.at, bits)
        return value

    def count(self) -> int:
        """The length of a vector. Items take a byte or more, so a count beyond the bytes left is refused
        early.
        """
        value = self.unsigned()
        if value > self.end - self.at:
            raise WasmFormatError(
                f"{value} items announced at byte {self.at}, {self.end - self.at} bytes left"
            )
        return value

    def take(self, size: int) -> Buffer:
        """The next `size` bytes."""
        if size > self.end - self.at:
            raise WasmFormatError(f"{size} bytes announced at byte {self.at}, {self.end - self.at} left")
        start, self.at = self.at, self.at + size
        return self.data[start : self.at]

    def sized(self) -> Buffer:
        """Bytes with their length in front."""
        return self.take(self.unsigned())

    def name(self) -> str:
        """A UTF-8 name with its length in front."""
        raw = bytes(self.sized())
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise WasmFormatError(f"a name before byte {self.at} is not UTF-8") from error

    def finish(self) -> None:
        """Raise unless everything has been read."""
        if self.at != self.end:
            raise WasmFormatError(f"{self.end - self.at} bytes too many at byte {self.at}")


def sections(binary: Buffer, header: bytes = MODULE_HEADER) -> Iterator[tuple[int, Buffer]]:
    """Each section's id and content, in order. Slices of `binary`: hand in a memoryview to avoid copies."""
    reader = Reader(binary)
    if bytes(binary[: len(header)]) != header:
        raise WasmFormatError(
            "the header is not that of a core module" if header == MODULE_HEADER else "no component"
        )
    reader.take(len(header))
    while reader.at < reader.end:
        section_id = reader.byte()
        yield section_id, reader.sized()


def name(text: str) -> bytes:
    """A name, encoded."""
    raw = text.encode()
    return encode_unsigned(len(raw)) + raw


def vector(items: Sequence[bytes]) -> bytes:
    """A vector of items that are encoded already."""
    return encode_unsigned(len(items)) + b"".join(items)


def section(section_id: int, content: bytes) -> bytes:
    """A section with id and size."""
    return bytes([section_id]) + encode_unsigned(len(content)) + content
