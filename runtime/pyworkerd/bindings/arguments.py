"""Arguments of a call, from a guest's bytes to checked Python values. Pure; nothing is believed.

What is wrong with them is raised as `WorkerException("TypeError", ...)`: in the guest it is a TypeError.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_isolates import wire

from pyworkerd.errors import WorkerException

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SMALL: Final = 65_536
"""Bytes of all arguments of a method that takes a few short ones, such as names and keys: a KV key in Workers
has at most 512, and escaped as JSON a byte becomes six at worst.
"""
MAX_TEXT: Final = 1 << 20
"""Bytes of arguments that are not byte strings, the same number as `wire.MAX_HEADER`: reading a megabyte of
brackets takes some ten milliseconds of everybody's time, and 30 MB of memory.
"""
MAX_CONTAINERS: Final = 1 << 15
"""Lists and dictionaries in the arguments, the tags of `wire` included: each takes up to 0.7 microseconds."""

READING_MS: Final = 32.0
"""How long a guest may take to read a value that another guest has written: the reader pays for it."""
READING_SHARE: Final = 1 / 3
"""Part of its CPU time (`limits.cpu_ms`) that this may be."""
_CONTAINER_MS: Final = 0.002
_VALUE_MS: Final = 0.00025
_NUMBER_BYTE_MS: Final = 0.001 / 24
_TEXT_BYTE_MS: Final = 0.001 / 128
"""What reading takes a guest at most: a list or a dictionary (an object of the SDK has some), whatever a comma ends, a
byte of a number, a byte of text. Measured in the sandbox, where Python is 2.4 times slower, and rounded up.
"""
_BYTE_MS: Final = _CONTAINER_MS + _VALUE_MS + _NUMBER_BYTE_MS
"""What no byte exceeds, whatever it is."""
_QUOTE_MS: Final = (_VALUE_MS + 2 * _NUMBER_BYTE_MS) / 4
"""What each quote takes at least, but for the first few: a comma or a colon stands between two texts, and a comma
between two pairs of them."""

LONG: Final = 16_384
"""Bytes of arguments that are not byte strings, up to which they are read where they are asked for: half a millisecond
at most."""
AT_ONCE_MS: Final = 12.0
"""How long a guest would take for what is read there none the less; the host takes less than half of it."""
MAX_KEYS: Final = 1 << 16
"""Keys of all dictionaries. Nobody else has the interpreter while they are read: ten thousand take a millisecond."""

Arguments = tuple[list[Any], dict[str, Any]]


class Read(bytes):
    """What stands for arguments that have been read already, on a thread: these, how many bytes they had, and how many
    of those were not of byte strings. As bytes it is empty."""

    values: Arguments
    size: int
    text: int


def decode(
    arguments: bytes,
    limit: int = SMALL,
    text: int = MAX_TEXT,
    special: Callable[[str, object], object] | None = None,
) -> Arguments:
    """The positional and the named arguments of a call, of at most `limit` bytes; `text` bytes without byte strings.
    `special` reads what is no plain value: see `wire.load_value`. What takes long is refused, unless it was `Read`."""
    read = arguments if type(arguments) is Read else None
    if (len(arguments) if read is None else read.size) > limit:
        raise type_error(f"the arguments are larger than {limit} bytes")
    header = int.from_bytes(arguments[:4], "little") if read is None else read.text
    if header > text:
        raise type_error(f"the arguments other than byte strings are larger than {text} bytes")
    if read is not None:
        return read.values
    if header > LONG and (needed := reading_ms(arguments, AT_ONCE_MS, beyond=True)) > AT_ONCE_MS:
        raise type_error(
            f"the arguments would take about {needed:.0f} ms to read, which is more than {AT_ONCE_MS:.0f}: pass fewer "
            "values, or a byte string"
        )
    try:
        value = wire.load_value(arguments, special, max_size=limit)
    except wire.WireError as error:
        raise type_error(f"the arguments cannot be read: {error}") from None
    return _checked(value)


def is_long(arguments: bytes) -> bool:
    """Whether arguments are to be `read_apart`. What lends something is not: stubs belong to the event loop."""
    return type(arguments) is bytes and int.from_bytes(arguments[:4], "little") > LONG


def read_apart(arguments: bytes) -> Read:
    """Read arguments, on a thread: others have the interpreter now and then. Raises what `decode` does."""
    size = int.from_bytes(arguments[:4], "little")
    if size > MAX_TEXT:
        raise type_error(f"the arguments other than byte strings are larger than {MAX_TEXT} bytes")
    text = arguments[4 : 4 + size]
    if _count(text, b"[{") > MAX_CONTAINERS or _count(text, b":") > MAX_KEYS:
        raise type_error(f"the arguments consist of more than {MAX_CONTAINERS} parts, or {MAX_KEYS} keys")
    try:
        tree, blobs = wire.decode(arguments, max_blobs=MAX_CONTAINERS, scan=_scan)
        values = wire._Reader(blobs, None, None).read(tree)  # noqa: SLF001 - `load_value` with a scanner of its own
    except (wire.WireError, RecursionError, MemoryError) as error:
        raise type_error(f"the arguments cannot be read: {error}") from None
    found = Read()
    found.values, found.size, found.text = _checked(values), len(arguments), size
    return found


def _integer(digits: str) -> int:
    return int(digits)


def _number(digits: str) -> float:
    return float(digits)


def _no_constant(name: str) -> object:
    raise wire.WireError(f"{name} is not JSON")


_decoder: Any = json.JSONDecoder(parse_int=_integer, parse_float=_number, parse_constant=_no_constant)
_scan: Final = _decoder.scan_once
"""The C scanner holds the interpreter's lock until it is through: but for what it calls, and these are in Python."""


def _checked(value: Any) -> Arguments:
    if type(value) is not list or len(value) != 2:
        raise type_error("the arguments are not [positional, named]")
    positional, named = value
    if type(positional) is not list or type(named) is not dict or not set(map(type, named)) <= {str}:
        raise type_error("the arguments are not [positional, named]")
    return positional, named


def easy_bytes(cpu_ms: float | None = None) -> int:
    """What has no more bytes than this is `bounded`, whatever it is."""
    most = READING_MS if cpu_ms is None else min(READING_MS, cpu_ms * READING_SHARE)
    return int(most / _BYTE_MS)


def bounded(value: bytes, what: str, cpu_ms: float | None = None) -> bytes:
    """An encoded value that a guest, or a program, is going to read: refused if reading it would take long.

    Raises `WorkerException("TypeError", ...)`. `what` names it: "the arguments", "the result". `cpu_ms` is the CPU time
    of the guest that will read it.
    """
    most = READING_MS if cpu_ms is None else min(READING_MS, cpu_ms * READING_SHARE)
    if len(value) * _BYTE_MS <= most:  # most are so small that nothing in them takes long
        return value
    if int.from_bytes(value[:4], "little") > MAX_TEXT:
        raise type_error(f"{what} other than byte strings are larger than {MAX_TEXT} bytes")
    needed = reading_ms(value, most, beyond=True)
    if needed > most:
        raise type_error(
            f"{what} would take about {needed:.0f} ms to read, which is more than {most:.1f}: pass fewer values, "
            "a byte string, or a body that streams (the reader's limits.cpu_ms counts)"
        )
    return value


def reading_ms(value: bytes, enough: float = 0.0, *, beyond: bool = False) -> float:
    """How long a guest takes to read an encoded value, at most. Exact only for more than `enough`: up to that, brackets
    and commas within texts count as if they were none. Where it is enough to know that it is `beyond` that, more texts
    than can be read in time are not looked at one by one: the event loop waits for this.
    """
    text = value[4 : 4 + int.from_bytes(value[:4], "little")]
    quick = _reading_ms(text, len(text))
    if quick <= enough:
        return quick
    plain = wire.without_escapes(text)
    if beyond and (least := (plain.count(b'"') - 4) * _QUOTE_MS) > enough:
        return least
    return _reading_ms(wire.outside_strings(plain), len(text))


def _reading_ms(outside: bytes, size: int) -> float:
    parts = outside.count(b"[") + outside.count(b"{")
    return (
        parts * _CONTAINER_MS
        + outside.count(b",") * _VALUE_MS
        + len(outside) * _NUMBER_BYTE_MS
        + (size - len(outside)) * _TEXT_BYTE_MS
    )


def _count(text: bytes, marks: bytes) -> int:
    """How many of these characters a JSON text has, those in its strings aside if they could be too many."""
    found = sum(map(text.count, marks))
    if found <= MAX_CONTAINERS:
        return found
    outside = wire.outside_strings(wire.without_escapes(text))
    return sum(map(outside.count, marks))


def bind(method: str, parameters: Mapping[str, type], arguments: Arguments) -> dict[str, Any]:
    """Arguments by parameter name: each parameter exactly once, each value of exactly its type."""
    positional, named = arguments
    if len(positional) > len(parameters):
        raise type_error(f"{method}() takes {len(parameters)} arguments but {len(positional)} were given")
    bound: dict[str, Any] = dict(zip(parameters, positional, strict=False))
    for key, value in named.items():
        if key not in parameters:
            raise type_error(f"{method}() got an unexpected argument {key[:40]!r}")
        if key in bound:
            raise type_error(f"{method}() got multiple values for argument {key!r}")
        bound[key] = value
    for key, kind in parameters.items():
        if key not in bound:
            raise type_error(f"{method}() is missing the argument {key!r}")
        if type(bound[key]) is not kind:
            found = type(bound[key]).__name__
            raise type_error(f"{method}(): {key!r} must be {kind.__name__}, not {found}")
    return bound


def type_error(message: str) -> WorkerException:
    """What the guest shall see as a TypeError."""
    return WorkerException("TypeError", message)
