"""LEB128, the variable-length integers of the WebAssembly binary format.

Source: WebAssembly core specification 2.0, section 5.2.2 (integers). Decoders take the bytes and a position
and return the value and the position after it; they never read more than the specification's `ceil(bits / 7)`
bytes.
"""

from __future__ import annotations

from .errors import WasmFormatError

Buffer = bytes | bytearray | memoryview


def decode_unsigned(data: Buffer, at: int, bits: int = 32) -> tuple[int, int]:
    """An unsigned integer of at most `bits` bits; raises `WasmFormatError` if it is cut off or too large."""
    value, _, at = _groups(data, at, bits)
    if value >> bits:
        raise WasmFormatError(f"an integer at byte {at} does not fit in {bits} unsigned bits")
    return value, at


def decode_signed(data: Buffer, at: int, bits: int = 32) -> tuple[int, int]:
    """A two's complement integer of at most `bits` bits; raises as `decode_unsigned` does."""
    value, shift, at = _groups(data, at, bits)
    if value >> (shift - 1):
        value -= 1 << shift
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise WasmFormatError(f"an integer at byte {at} does not fit in {bits} signed bits")
    return value, at


def _groups(data: Buffer, at: int, bits: int) -> tuple[int, int, int]:
    """The raw value, how many bits were written, and the position after it."""
    value = shift = 0
    end = min(len(data), at + (bits + 6) // 7)
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, shift, at
    raise WasmFormatError(f"an integer that ends at byte {at} is cut off or longer than {bits} bits")


def encode_unsigned(value: int) -> bytes:
    """The shortest encoding of a number that is not negative."""
    if value < 0:
        raise ValueError(f"{value} is negative")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_signed(value: int) -> bytes:
    """The shortest encoding of a number, negative or not."""
    out = bytearray()
    while not -0x40 <= value < 0x40:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)
