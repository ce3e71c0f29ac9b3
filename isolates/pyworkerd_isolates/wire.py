"""How bytes cross the sandbox wall: frames (one message with its blobs) and values (what RPC carries).

The same file runs on both sides: the host imports it as `pyworkerd_isolates.wire`, the guest as `_wire`. It
knows nothing of either and imports only the standard library.

A frame is a four-byte little-endian length, a JSON header `[[blob lengths], message]` of that length, and the
blobs one after another. JSON because the C scanner of every guest language reads it at memory speed; blobs
beside it because JSON would have to escape them.

A value is a frame whose message is the value and whose blobs are its byte strings. What JSON cannot say is
written as an object with the single key `$` whose value is `[tag, payload]`; `_READERS` lists the tags. A
dictionary that has a key `$` of its own, or any key that is not text, is written as tag `m`, so nothing a
program sends can be mistaken for a tag. The text is ASCII, which lets lone surrogates through, and strict
JSON: no NaN, and no integer that a JavaScript guest would round.
"""

from __future__ import annotations

import json.encoder
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from json import JSONDecoder, JSONEncoder
from math import isfinite
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    Bytes = bytes | bytearray | memoryview
    EncodeSpecial = Callable[[object], tuple[str, object] | None]
    DecodeSpecial = Callable[[str, object], object]
    Scan = Callable[[str, int], tuple[Any, int]]

MAX_HEADER = 1 << 20
"""Bytes of a frame's JSON header unless the caller says otherwise."""
MAX_BLOBS = 4096
"""Blobs of one frame unless the caller says otherwise; some hundred invocations share a step at most."""
MAX_VALUE = 32 << 20
"""Bytes of one value, as in Cloudflare's limit for one RPC message (32 MiB)."""
MAX_DEPTH = 256
"""Brackets open at once: far more than programs need, far fewer than a sandbox's stack takes."""
MAX_INTEGER_BITS = 14_284
"""The largest integer in a value: 4,300 decimal digits, CPython's own limit for reading them (`sys.int_info`)."""
_MAX_DIGITS = MAX_INTEGER_BITS // 4
_SAFE_INTEGER = (1 << 53) - 1  # Number.MAX_SAFE_INTEGER: beyond it a JavaScript guest would round
_HASHED_INTEGER = (1 << 63) - 1  # larger ones can be chosen to collide: hash(n) is n modulo 2**61 - 1


class WireError(Exception):
    """These bytes are not a frame, or not a value, within the limits."""


class RemoteError(Exception):
    """An exception that came over the wire, of no built-in kind. `name` is its type's, `message` its text."""

    def __init__(self, name: str, message: str) -> None:
        self.name, self.message = name, message
        super().__init__(f"{name}: {message}" if message else name)


# --- frames -------------------------------------------------------------------------------------------------


def _refuse(value: object) -> object:
    raise TypeError(f"{type(value)} cannot be part of a frame")


def _refuse_constant(name: str) -> object:
    raise WireError(f"{name} is not JSON")


def _make_encoder() -> Callable[[object, int], Sequence[str]]:
    """The C encoder, built once: `json.dumps` builds one for each call."""
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is not None:
        ascii_text = json.encoder.encode_basestring_ascii
        encoder: Callable[[object, int], Sequence[str]] = make(
            None, _refuse, ascii_text, None, ":", ",", False, False, False
        )
        return encoder
    slow = JSONEncoder(default=_refuse, separators=(",", ":"), check_circular=False, allow_nan=False)
    return lambda value, _level: (slow.encode(value),)


_chunks = _make_encoder()


@lru_cache(8)
def scanner(new_dict: Callable[[dict[Any, Any]], Any] | None) -> Scan:
    """The C scanner, built once for each `new_dict` (see `load_value`)."""
    decoder: Any = JSONDecoder(parse_constant=_refuse_constant, object_hook=new_dict)
    scan: Scan = decoder.scan_once
    return scan


_scan = scanner(None)
length_of, written_length = Struct("<I").unpack_from, Struct("<I").pack
_SHORT = 123
_HEADS = [f"{chr(length + 5)}\0\0\0[[]," for length in range(_SHORT)]
"""What frames without blobs begin with, by the length of their message: so far its length is ASCII too."""
_SHORT_HEADS = [head.encode("ascii") for head in _HEADS]


def encode(message: object, blobs: Sequence[Bytes] = ()) -> bytes:
    """A frame of one message (what JSON can say; tuples become lists) and its blobs.

    Raises TypeError or ValueError for a message that JSON cannot say, RecursionError for one that contains
    itself.
    """
    text = written(message)
    if not blobs:
        return alone(text)
    header = f"[[{','.join(map(str, map(len, blobs)))}],{text}]".encode("ascii")
    return b"".join((written_length(len(header)), header, *blobs))


def alone(text: str) -> bytes:
    """A frame of a message that is JSON already, without blobs."""
    if len(text) < _SHORT:
        return f"{_HEADS[len(text)]}{text}]".encode()
    header = f"[[],{text}]".encode("ascii")
    return written_length(len(header)) + header


def written(message: object) -> str:
    """What JSON can say as JSON, of ASCII characters."""
    return "".join(_chunks(message, 0))


def decode(
    data: Bytes,
    *,
    max_header: int = MAX_HEADER,
    max_blobs: int = MAX_BLOBS,
    max_depth: int = MAX_DEPTH,
    scan: Scan = _scan,
) -> tuple[Any, tuple[Any, ...]]:
    """The message and the blobs of a frame. The blobs are slices of `data`, so copies of bytes, views of a
    memoryview. `scan` reads the JSON.

    Nothing is believed: whatever does not add up raises `WireError`, and no other exception comes out. What
    the message means, and whether its parts have the right types, is for the caller to check.
    """
    size = len(data)
    if size < 4:
        raise WireError("a frame is cut short")
    start = length_of(data)[0] + 4
    if start > size or start - 4 > max_header:
        raise WireError("a frame is cut short or its header is too long")
    lengths, message = _read_header(bytes(data[4:start]), max_depth, scan)
    if not lengths and start == size:
        return message, ()
    if len(lengths) == 1 and type(lengths[0]) is int and lengths[0] == size - start and max_blobs:
        return message, (data[start:],)
    return message, _cut(data, start, lengths, max_blobs)


def _read_header(header: bytes, max_depth: int, scan: Scan) -> list[Any]:
    """Lengths and message. Raises `WireError` for anything else."""
    brackets = header.count(b"[") + header.count(b"{") if len(header) > max_depth else 0
    if brackets > max_depth and deepest(header) > max_depth:
        raise WireError(f"more than {max_depth} brackets are open at once")
    try:
        text = str(header, "utf-8")
        parsed, end = scan(text, 0)
    except (ValueError, StopIteration, RecursionError, MemoryError, OverflowError):
        raise WireError("a frame's header is not JSON") from None
    if end != len(text) or type(parsed) is not list or len(parsed) != 2 or type(parsed[0]) is not list:
        raise WireError("a frame's header is not a pair of lengths and message")
    return parsed


_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_OTHERS = bytes(set(range(256)) - set(b"[{]}"))


def deepest(text: bytes) -> int:
    """How many brackets of a JSON text are open at once, at most. Exact up to the first error in the text.

    To be asked before the text is parsed: in the sandbox the scanner uses up the native stack, which ends the
    isolate, before it sees reason to raise RecursionError.
    """
    steps = outside_strings(without_escapes(text)).translate(_STEPS, _OTHERS)
    return max(accumulate(memoryview(steps).cast("b")), default=0)


def without_escapes(text: bytes) -> bytes:
    """A JSON text in which every quote begins or ends a string."""
    return text.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in text else text


def outside_strings(text: bytes) -> bytes:
    """What is not in strings of a JSON text without escapes."""
    return b"".join(text.split(b'"')[::2])


def _cut(data: Bytes, start: int, lengths: list[Any], max_blobs: int) -> tuple[Bytes, ...]:
    size = len(data)
    if len(lengths) > max_blobs:
        raise WireError(f"a frame has more than {max_blobs} blobs")
    blobs = []
    for length in lengths:
        if type(length) is not int or not 0 <= length <= size - start:
            raise WireError("a blob's length is wrong")
        blobs.append(data[start : start + length])
        start += length
    if start != size:
        raise WireError("a frame is followed by more bytes")
    return tuple(blobs)


# --- values: writing ----------------------------------------------------------------------------------------

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_AS_THEY_ARE = frozenset((str, bool, type(None)))
_CONTAINERS = frozenset((list, dict))
_PLAIN_LEVELS, _PLAIN_ITEMS = 4, 16
"""So much is looked through before it is written: little, since it may be in vain."""


def dump_value(value: object, encode_special: EncodeSpecial | None = None) -> bytes:
    """A value as bytes: None, bool, int, float, str, bytes, list, dict, set, datetime and exceptions, nested.

    Subclasses of these lose their class. A datetime with a zone becomes an instant in UTC. `encode_special`
    is asked about each object of another type and answers with a tag (longer than one letter) and a value to
    stand for it, or None to refuse it.

    Raises TypeError with Cloudflare's text for what cannot be sent (tuples and bytearrays are among it),
    ValueError for a value that contains itself, that is nested too deeply, or whose integers are too large.
    """
    plain = dump_plain(value)
    if plain is not None:
        return plain
    writer = _Writer(encode_special)
    tree = writer.write(value, 1)
    return encode(tree, writer.blobs)


def dump_plain(value: Any) -> bytes | None:
    """A value as bytes, if it is small and of what JSON can say, as most are. None for what takes a closer look."""
    if value is None:
        return _NULL
    kind = type(value)
    if kind is int and -_SAFE_INTEGER <= value <= _SAFE_INTEGER:
        return alone(f"{value}")
    return alone(written(value)) if kind in _AS_THEY_ARE or _is_plain(value, _PLAIN_LEVELS) else None


def dump_plain_call(positional: Sequence[Any], named: dict[str, Any]) -> bytes | None:
    """What `dump_plain` makes of `[positional, named]`, the arguments of a call."""
    if named or len(positional) > _PLAIN_ITEMS or not _are_plain(positional, _PLAIN_LEVELS - 1):
        return dump_plain([list(positional), named])
    text = "".join(_chunks(positional, 0))
    size = len(text) + 5
    return f"{_HEADS[size]}[{text},{{}}]]".encode() if size < _SHORT else alone(f"[{text},{{}}]")


_NULL = alone("null")


def _is_plain(value: Any, levels: int) -> bool:  # noqa: PLR0911 (one for each kind)
    """Whether a small value, as most are, is written as it is. False for what takes a closer look."""
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return True
    if kind is int:
        return bool(-_SAFE_INTEGER <= value <= _SAFE_INTEGER)
    if kind is float:
        return isfinite(value)
    if not levels or kind not in _CONTAINERS or len(value) > _PLAIN_ITEMS:
        return False
    if kind is dict:
        for key in value:
            if type(key) is not str:
                return False
        return "$" not in value and _are_plain(value.values(), levels)
    return _are_plain(value, levels)


def _are_plain(items: Iterable[Any], levels: int) -> bool:
    for item in items:
        kind = type(item)
        if kind is int:
            if not -_SAFE_INTEGER <= item <= _SAFE_INTEGER:
                return False
        elif kind not in _AS_THEY_ARE and not _is_plain(item, levels - 1):
            return False
    return True


class _Writer:
    """Makes of a value what JSON can say. `depth` counts the brackets that are open around the value."""

    __slots__ = ("_open", "_special", "blobs")

    def __init__(self, special: EncodeSpecial | None) -> None:
        self.blobs: list[bytes] = []
        self._special = special
        self._open: set[int] = set()

    def write(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _AS_THEY_ARE:
            return value
        writer = _WRITERS.get(kind)
        if writer is not None:
            return writer(self, value, depth)
        if self._special is not None:
            special = self._special(value)
            if special is not None:
                return {"$": [special[0], self.write(special[1], depth + 2)]}
        for base, writer in _WRITERS.items():
            if isinstance(value, base):
                return writer(self, value, depth)
        raise TypeError(_refusal(value))

    def _enter(self, value: object, depth: int) -> None:
        if id(value) in self._open:
            raise ValueError("a value that contains itself cannot be sent over RPC.")
        if depth >= MAX_DEPTH:
            raise ValueError(
                f"a value with more than {MAX_DEPTH} brackets open at once cannot be sent over RPC."
            )
        self._open.add(id(value))

    def text(self, value: str, _depth: int) -> str:
        return str.__str__(value)

    def integer(self, value: int, _depth: int) -> Any:
        value = int.__index__(value)
        if -_SAFE_INTEGER <= value <= _SAFE_INTEGER:
            return value
        if value.bit_length() > MAX_INTEGER_BITS:
            raise ValueError(f"an integer of more than {MAX_INTEGER_BITS} bits cannot be sent over RPC.")
        return {"$": ["i", f"{value:x}"]}

    def float(self, value: float, _depth: int) -> Any:
        value = float.__float__(value)
        return value if isfinite(value) else {"$": ["f", str(value)]}

    def binary(self, value: bytes | memoryview, _depth: int) -> Any:
        self.blobs.append(bytes(value))
        return {"$": ["b", len(self.blobs) - 1]}

    def list(self, value: list[Any], depth: int) -> Any:
        self._enter(value, depth)
        if set(map(type, value)) <= _AS_THEY_ARE:
            items = value
        else:
            write, depth = self.write, depth + 1
            items = [write(item, depth) for item in value]
        self._open.discard(id(value))
        return items

    def dict(self, value: dict[Any, Any], depth: int) -> Any:
        plain = set(map(type, value)) <= {str} and "$" not in value
        self._enter(value, depth if plain else depth + 3)
        write = self.write
        written: Any
        if plain:
            written = {key: write(item, depth + 1) for key, item in value.items()}
        else:
            pairs = [[self._hashed(key, depth + 4), write(item, depth + 4)] for key, item in value.items()]
            written = {"$": ["m", pairs]}
        self._open.discard(id(value))
        return written

    def set(self, value: set[Any], depth: int) -> Any:
        self._enter(value, depth + 2)
        items = [self._hashed(item, depth + 3) for item in value]
        self._open.discard(id(value))
        return {"$": ["s", items]}

    def _hashed(self, value: object, depth: int) -> Any:
        if isinstance(value, int) and not -_HASHED_INTEGER <= value <= _HASHED_INTEGER:
            raise ValueError("an integer of more than 64 bits cannot be sent over RPC as a key or in a set.")
        return self.write(value, depth)

    def instant(self, value: datetime, _depth: int) -> Any:
        naive = value.utcoffset() is None
        moment = value.replace(tzinfo=UTC) if naive else value
        return {"$": ["n" if naive else "t", (moment - _EPOCH) // _MICROSECOND]}

    def exception(self, value: Exception, _depth: int) -> Any:
        if isinstance(value, RemoteError):
            return {"$": ["e", [value.name, value.message]]}
        only = value.args[0] if len(value.args) == 1 else None
        message = str.__str__(only) if isinstance(only, str) else str(value)
        return {"$": ["e", [type(value).__name__, message]]}


_WRITERS: dict[type, Callable[[_Writer, Any, int], Any]] = {
    str: _Writer.text,
    int: _Writer.integer,
    float: _Writer.float,
    bytes: _Writer.binary,
    memoryview: _Writer.binary,
    list: _Writer.list,
    dict: _Writer.dict,
    set: _Writer.set,
    datetime: _Writer.instant,
    Exception: _Writer.exception,
}


def _refusal(value: object) -> str:
    awaitable = "Awaitable " if hasattr(value, "__await__") else ""
    return f"{awaitable}{type(value)} cannot be sent over RPC."


# --- values: reading ----------------------------------------------------------------------------------------


def load_value(
    data: Bytes,
    decode_special: DecodeSpecial | None = None,
    *,
    new_dict: Callable[[dict[Any, Any]], Any] | None = None,
    max_size: int = MAX_VALUE,
) -> Any:
    """The value that `dump_value` wrote. An instant comes back as a datetime in UTC.

    `decode_special` makes an object of a tag that is not one of this module's, and of the value that stood
    for it. `new_dict`, where given, is called with each dictionary and answers with what shall take its
    place.

    Raises `WireError` and nothing else: also when `decode_special` raises (its exception is the cause).
    """
    size = len(data)
    if size > max_size:
        raise WireError(f"a value is larger than {max_size} bytes")
    if data == _NULL:
        return None
    if (
        9 < size < _SHORT + 9
        and type(data) is bytes
        and data.startswith(_SHORT_HEADS[size - 9])
        and data.find(b"$") < 0
        and data.find(b"\\") < 0
    ):
        text = str(data, "latin-1")
        try:
            value, end = scanner(new_dict)(text, 8)
        except (ValueError, StopIteration, WireError, MemoryError):
            end = 0  # what is wrong with it is told below
        if end == size - 1 and text[end] == "]" and text.isascii():
            return value
    if size >= 4 and length_of(data)[0] + 4 == size and _cannot_have_tags(header := bytes(data[4:])):
        lengths, value = _read_header(header, MAX_DEPTH, scanner(new_dict))
        if lengths:
            raise WireError("a frame names blobs that it has not")
        return value
    tree, blobs = decode(data, max_header=max_size, max_blobs=max_size)
    try:
        return _Reader(tuple(map(bytes, blobs)), decode_special, new_dict).read(tree)
    except (RecursionError, MemoryError):
        raise WireError("a value needs more memory than there is") from None


def _cannot_have_tags(text: bytes) -> bool:
    if text.find(b"$") < 0 and text.find(b"\\") < 0:  # to look for one byte is quickest, and `in` tries more
        return True
    return text.find(b'"$"') < 0 and text.find(b"\\u0024") < 0


class _Reader:
    """Makes of a JSON tree the value that it stands for."""

    __slots__ = ("_blobs", "_new_dict", "_special")

    def __init__(
        self,
        blobs: tuple[bytes, ...],
        special: DecodeSpecial | None,
        new_dict: Callable[[dict[Any, Any]], Any] | None,
    ) -> None:
        self._blobs = blobs
        self._special = special
        self._new_dict = new_dict

    def read(self, node: Any) -> Any:
        if type(node) is list:
            return [self.read(item) if type(item) in _CONTAINERS else item for item in node]
        if type(node) is not dict:
            return node
        if "$" in node:
            return self._tagged(node)
        read = {key: self.read(item) if type(item) in _CONTAINERS else item for key, item in node.items()}
        return read if self._new_dict is None else self._new_dict(read)

    def _tagged(self, node: dict[str, Any]) -> Any:
        form = node["$"]
        if len(node) != 1 or type(form) is not list or len(form) != 2 or type(form[0]) is not str:
            raise WireError("a tag is not written as a tag")
        tag, payload = form
        reader = _READERS.get(tag)
        if reader is not None:
            return reader(self, payload)
        if self._special is None:
            raise WireError(f"the tag {tag[:40]!r} is not known here")
        value = self.read(payload)
        try:
            return self._special(tag, value)
        except WireError:
            raise
        except Exception as error:
            raise WireError(f"{tag[:40]!r} stands for something that cannot be") from error

    def binary(self, payload: Any) -> bytes:
        if type(payload) is not int or not 0 <= payload < len(self._blobs):
            raise WireError("bytes stand for no blob")
        return self._blobs[payload]

    def integer(self, payload: Any) -> int:
        if type(payload) is not str or len(payload) > _MAX_DIGITS + 1 or not _HEXADECIMAL(payload):
            raise WireError("an integer is not written in hexadecimal digits")
        return int(payload, 16)

    def float(self, payload: Any) -> float:
        if type(payload) is not str or (payload not in ("nan", "inf", "-inf") and not _EXPONENTIAL(payload)):
            raise WireError("a float is none of nan, inf and -inf, and not written with an exponent")
        return float(payload)

    def moment(self, payload: Any) -> datetime:
        if type(payload) is not int:
            raise WireError("a moment is not a number of microseconds")
        try:
            return _EPOCH + timedelta(microseconds=payload)
        except OverflowError:
            raise WireError("a moment is out of range") from None

    def naive_moment(self, payload: Any) -> datetime:
        return self.moment(payload).replace(tzinfo=None)

    def set(self, payload: Any) -> Any:
        if type(payload) is not list:
            raise WireError("a set is not written as a list")
        return {self._hashable(item) for item in payload}

    def mapping(self, payload: Any) -> Any:
        if type(payload) is not list or any(type(pair) is not list or len(pair) != 2 for pair in payload):
            raise WireError("a mapping is not written as pairs")
        read = {self._hashable(key): self.read(item) for key, item in payload}
        return read if self._new_dict is None else self._new_dict(read)

    def _hashable(self, node: Any) -> Any:
        value = self.read(node)
        if type(value) is int and not -_HASHED_INTEGER <= value <= _HASHED_INTEGER:
            raise WireError("an integer of more than 64 bits is a key or in a set")
        try:
            hash(value)
        except TypeError:
            raise WireError(
                "an object, an array or a Map is a key of a Map or a member of a Set, which a dict or a set cannot have"
            ) from None
        return value

    def exception(self, payload: Any) -> Exception:
        if type(payload) is not list or len(payload) != 2 or any(type(part) is not str for part in payload):
            raise WireError("an exception is not a name and a message")
        name, message = payload
        kind = _EXCEPTIONS.get(name)
        return RemoteError(name, message) if kind is None else kind(message)


_HEXADECIMAL = re.compile(r"-?[1-9a-f][0-9a-f]*").fullmatch
_EXPONENTIAL = re.compile(r"-?[0-9](?:\.[0-9]{1,17})?e\+[0-9]{1,3}").fullmatch
_READERS: dict[str, Callable[[_Reader, Any], Any]] = {
    "b": _Reader.binary,  # index of a blob
    "i": _Reader.integer,  # hexadecimal digits, for what a double cannot hold: decimal ones take quadratic time
    "f": _Reader.float,  # nan, inf, -inf; what JavaScript's JSON would write with the digits of another integer
    "t": _Reader.moment,  # microseconds since 1970 in UTC
    "n": _Reader.naive_moment,  # the same, of a datetime that names no zone
    "s": _Reader.set,  # list of members
    "m": _Reader.mapping,  # list of pairs
    "e": _Reader.exception,  # name of the type, message
}
_EXCEPTIONS: dict[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (
        *(
            ArithmeticError,
            AssertionError,
            AttributeError,
            BufferError,
            EOFError,
            Exception,
            IndexError,
            KeyError,
        ),
        *(LookupError, NameError, NotImplementedError, OSError, OverflowError, PermissionError, RuntimeError),
        *(TimeoutError, TypeError, ValueError, ZeroDivisionError),
    )
}
"""Kinds that keep their class: each can be made of one message and means the same on both sides."""
