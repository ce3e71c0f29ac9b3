"""Renumber the functions, types and globals that a function's code names.

A core module of a few megabytes has a million instructions, far too many for a Python loop over opcodes. So a
regular expression that knows the immediates of every opcode swallows the longest run of instructions that
name nothing and the one renumbered instruction behind it; a dictionary maps that instruction's bytes to its
new bytes. Only `br_table` and `select t`, whose length is in their immediates, are walked by hand.

Possessive repeats (`*+`) matter: they keep the matcher from remembering a million places to go back to.

Source: WebAssembly core specification 3.0, section 5.4 (instructions). Supported: those of 2.0 but for
`data.drop` and table instructions, tail calls and relaxed vectors; one memory, one table. An unknown opcode
raises `WasmFormatError`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .errors import WasmFormatError
from .leb import Buffer, decode_unsigned, encode_signed, encode_unsigned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_INDEX = rb"[\x80-\xff]{0,4}+[\x00-\x7f]"
_LONG = rb"[\x80-\xff]{0,9}+[\x00-\x7f]"

_VECTOR = (
    rb"[\x00-\x0b\x5c\x5d][\x00-\x3f]" + _INDEX,  # loads and stores
    rb"[\x54-\x5b][\x00-\x3f]" + _INDEX + rb"[\x00-\x0f]",  # the same of one lane
    rb"[\x0c\x0d][\x00-\xff]{16}",  # v128.const, i8x16.shuffle
    rb"[\x15-\x22][\x00-\x0f]",  # extract and replace a lane
    rb"[\x0e-\x14\x23-\x53\x5e-\x7f]",  # no immediate
    rb"[\x80-\xff]\x01|[\x80-\x93]\x02",  # the same, of two bytes: 0x80 to 0x113
)
"""What follows the prefix 0xfd (section 5.4.9)."""
_UNCHANGED = (
    rb"[\x00\x01\x05\x0b\x0f\x1a\x1b\x45-\xc4\xd1]",  # no immediate
    rb"[\x0c\x0d\x20-\x22\x41]" + _INDEX,  # br, br_if, local.*, i32.const
    rb"[\x28-\x3e][\x00-\x3f]" + _INDEX,  # loads and stores; bit 6 of the alignment would name another memory
    rb"[\x02-\x04][\x40\x6f\x70\x7b-\x7f]",  # block, loop, if without a type index
    rb"\x42" + _LONG,  # i64.const
    rb"\x43[\x00-\xff]{4}",  # f32.const
    rb"\x44[\x00-\xff]{8}",  # f64.const
    rb"\xd0[\x6f\x70]",  # ref.null
    rb"\xfc(?:[\x00-\x07]|\x0a\x00\x00|\x0b\x00)",  # saturating truncations, memory.copy, memory.fill
    rb"\xfd(?:%s)" % b"|".join(_VECTOR),
)
_RENUMBERED = (
    rb"[\x10\x12\x23\x24\xd2]" + _INDEX,  # call, return_call, global.get, global.set, ref.func
    rb"[\x11\x13]" + _INDEX + _INDEX,  # call_indirect, return_call_indirect: type, table
    rb"[\x02-\x04](?:[\x80-\xff]{1,4}+)?+[\x00-\x3f]",  # block, loop, if with a type index (a positive s33)
    rb"\xfc\x08" + _INDEX + rb"\x00",  # memory.init: segment, memory
)
_SIZES = (rb"[\x3f\x40]\x00",)  # memory.size, memory.grow


def _scanner(
    unchanged: Sequence[bytes], renumbered: Sequence[bytes]
) -> Callable[[bytes, int], re.Match[bytes] | None]:
    return re.compile(rb"(?:%s)*+(%s)?" % (b"|".join(unchanged), b"|".join(renumbered)), re.DOTALL).match


_SCAN = _scanner(_UNCHANGED + _SIZES, _RENUMBERED)
_SCAN_SIZES = _scanner(_UNCHANGED, _RENUMBERED + _SIZES)
"""The same where asking for the memory's size, and for more of it, are calls."""
_SKIP = re.compile(_INDEX, re.DOTALL).match
INDEX = _INDEX
"""Bytes of an immediate that is a number without a sign, as part of a pattern."""


class Renumbering(dict[bytes, bytes]):
    """The new bytes of each renumbered instruction, worked out when it is first met.

    Each argument maps an old index (the place) to the new one. `sizes` are functions to call instead of
    `memory.size` and `memory.grow`.
    """

    def __init__(
        self,
        functions: Sequence[int],
        types: Sequence[int],
        globals_: Sequence[int],
        constants: Sequence[int] = (),
        sizes: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.scan = _SCAN if sizes is None else _SCAN_SIZES
        if sizes is not None:
            for instruction, function in zip((b"\x3f\0", b"\x40\0"), sizes, strict=True):
                self[instruction] = b"\x10" + encode_unsigned(function)
        self._numbers = {
            **dict.fromkeys((0x10, 0x12, 0xD2), functions),
            **dict.fromkeys((0x02, 0x03, 0x04, 0x11, 0x13), types),
            **dict.fromkeys((0x23, 0x24), globals_),
            0xFC: constants,
        }

    def __missing__(self, instruction: bytes) -> bytes:
        op = instruction[0]
        numbers = self._numbers[op]
        prefix = instruction[:2] if op == 0xFC else instruction[:1]
        index, at = decode_unsigned(instruction, len(prefix))
        if index >= len(numbers):
            raise WasmFormatError(f"opcode {op:#x} names index {index} of {len(numbers)}")
        table = b"\0" if op == 0xFC else b""
        if op in (0x11, 0x13):
            table = b"\0"
            if decode_unsigned(instruction, at)[0] != 0:
                raise WasmFormatError("only table 0 is supported")
        encode = encode_signed if op <= 0x04 else encode_unsigned
        new = self[instruction] = prefix + encode(numbers[index]) + table
        return new


def renumber(body: Buffer, numbers: Renumbering) -> bytes:
    """The function body (locals and instructions) with every index renumbered; raises `WasmFormatError`."""
    code = bytes(body)
    at = copied = _after_locals(code)
    out = [code[:at]]
    end, scan = len(code), numbers.scan
    while at < end:
        found = scan(code, at)
        assert found is not None, "every part of the pattern is optional"
        at = found.end()
        instruction = found[1]
        if instruction is not None:
            out += (code[copied : found.start(1)], numbers[instruction])
            copied = at
        elif at < end:
            at = _after_counted(code, at)
    out.append(code[copied:])
    return b"".join(out)


class Sought:
    """What `replaced` looks for: a regular expression of whole instructions, none of which is a `br_table` or a
    `select` with a type.
    """

    def __init__(self, pattern: bytes) -> None:
        anything = b"|".join((*_UNCHANGED, *_RENUMBERED, *_SIZES))
        self.match = re.compile(pattern, re.DOTALL).match
        self.skip = re.compile(rb"(?:(?!%s)(?:%s))*+" % (pattern, anything), re.DOTALL).match


def replaced(body: Buffer, sought: Sought, make: Callable[[re.Match[bytes]], bytes]) -> bytes:
    """The function body with other instructions for those that are sought; `make` is given each that is found."""
    code = bytes(body)
    at = copied = _after_locals(code)
    out = [code[:at]]
    end = len(code)
    while at < end:
        skipped = sought.skip(code, at)
        assert skipped is not None, "it matches nothing, too"
        at = skipped.end()
        found = sought.match(code, at)
        if found is not None:
            out += (code[copied:at], make(found))
            at = copied = found.end()
        elif at < end:
            at = _after_counted(code, at)
    out.append(code[copied:])
    return b"".join(out)


def with_local(body: Buffer, kind: int, params: int) -> tuple[bytes, int]:
    """The function body with one local more of this type, and the local's number; `params` is how many it takes."""
    code = bytes(body)
    groups, begin = decode_unsigned(code, 0)
    at, number = begin, params
    for _ in range(groups):
        count, at = decode_unsigned(code, at)
        number += count
        at += 1
    return b"".join((encode_unsigned(groups + 1), code[begin:at], b"\x01", bytes((kind,)), code[at:])), number


CALLS, GLOBALS = (0x10, 0x12), (0x23, 0x24)
"""Opcodes that name a function or a global: call and return_call, global.get and global.set."""


def named(body: Buffer) -> Iterator[tuple[int, int]]:
    """Opcode and index of each instruction of a function body that names something."""
    code = bytes(body)
    at, end = _after_locals(code), len(code)
    while at < end:
        found = _SCAN(code, at)
        assert found is not None, "every part of the pattern is optional"
        at = found.end()
        if found[1] is not None:
            yield found[1][0], decode_unsigned(found[1], 1)[0]
        elif at < end:
            at = _after_counted(code, at)


def _after_locals(code: bytes) -> int:
    groups, at = decode_unsigned(code, 0)
    for _ in range(groups):
        _, at = decode_unsigned(code, at)
        at += 1
    if at > len(code):
        raise WasmFormatError("a function's locals are cut off")
    return at


def _after_counted(code: bytes, at: int) -> int:
    """The position after a `br_table` or `select t`, the two whose length is in their immediates."""
    op = code[at]
    if op == 0x0E:
        count, at = decode_unsigned(code, at + 1)
        for _ in range(count + 1):
            label = _SKIP(code, at)
            if label is None:
                raise WasmFormatError("a br_table is cut off")
            at = label.end()
        return at
    if op == 0x1C:
        count, at = decode_unsigned(code, at + 1)
        if at + count > len(code):
            raise WasmFormatError("a select is cut off")
        return at + count
    raise WasmFormatError(f"opcode {op:#x} at byte {at} of a function is unknown, cut off or not supported")
