"""How long the structured part of a step's output takes to read, told before it is read. No I/O."""

from __future__ import annotations

from typing import Final

from . import short, wire
from .errors import OutputTooLarge, ProtocolError

LONG_HEADER: Final = 16_384
"""Bytes of structured output that are read in no time, whatever they are."""
MAX_PARTS: Final = 100_000
"""Values in the structured part of a step's output: more than as many calls have as a step may make."""
MANY_RECORDS: Final = 256
"""Of a batch of short ones: more take as long as a long header."""


def takes_long(frame: bytes) -> bool:
    """Whether a step's output is rather read where it keeps nobody waiting. Whoever made it may lie in its own favour:
    what is read then is bounded by the length that it tells, of its header or of its batch."""
    if len(frame) <= LONG_HEADER:
        return False
    number = int.from_bytes(frame[:4], "little")
    if number == short.BATCH:
        return int.from_bytes(frame[4:8], "little") > MANY_RECORDS
    return LONG_HEADER < number < short.ANSWER


def check_parts(header: bytes) -> None:
    """Refuse what would take long to parse. The parser holds the interpreter's lock until it is through, and it takes
    its time per value, not per byte: a megabyte of empty lists would stop all other tenants for a tenth of a second.

    Raises `OutputTooLarge`, `ProtocolError`.
    """
    text = wire.without_escapes(header)
    if text.count(b'"') <= 2 * MAX_PARTS:
        outside = wire.outside_strings(text)
        if b"{" in outside:
            raise ProtocolError("effects have no objects")
        if len(outside) <= 4 * MAX_PARTS and outside.count(b",") + outside.count(b"[") <= MAX_PARTS:
            return
    raise OutputTooLarge(f"the structured part of a step's output is limited to {MAX_PARTS} values")
