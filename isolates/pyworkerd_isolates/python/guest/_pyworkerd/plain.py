"""Small plain values as bytes, and such bytes as values: what most calls carry, without a walk through it.

What is written here is what `_wire` writes; what is neither small nor plain is left to it. One number, two, and one
text have ways of their own: each operation of Python takes a hundred instructions here.
"""

import json.encoder

import _wire

UNREAD = object()
"""Stands for a value that `_wire.load_value` has to read."""
_LONG = 240
"""Bytes of a message that takes the general way."""
_HEADS = [bytes((length + 4, 0, 0, 0)) + b"[[]," for length in range(_LONG)]
"""What a frame without blobs begins with, by the length of its message and of the bracket that ends it."""
_CALL_HEADS = [head + b"[[" for head in _HEADS]
_NO_ARGUMENTS = _HEADS[8] + b"[[],{}]]"
_MOST = (1 << 53) - 1
_LEAST = -_MOST
_HIGH = (1 << 30) - 1
_LOW = -_HIGH
"""Numbers of one digit, as CPython keeps them, are compared in a third of the time."""
_escaped = json.encoder.encode_basestring_ascii
_WRONG = (ValueError, StopIteration, _wire.WireError, MemoryError)


def dump(value):
    """`_wire.dump_value` of a small plain value; None for any other."""
    if type(value) is int and _LEAST <= value <= _MOST:
        text = b"%d]" % value
        return _HEADS[len(text)] + text
    return _wire.dump_plain(value)


def dump_call(positional, named):
    """The same of `[[*positional], named]`, the arguments of a call."""
    if not named:
        count = len(positional)
        if count == 1:
            (value,) = positional
            kind = type(value)
            if kind is int and (_LOW <= value <= _HIGH or _LEAST <= value <= _MOST):
                text = b"[[%d],{}]]" % value
                return _HEADS[len(text)] + text
            if kind is str and len(value) < _LONG:
                text = f"[[{_escaped(value)}],{{}}]]".encode()
                if len(text) < _LONG:
                    return _HEADS[len(text)] + text
        elif count == 2:
            first, second = positional
            if (
                type(first) is int
                and type(second) is int
                and (_LOW <= first <= _HIGH or _LEAST <= first <= _MOST)
                and (_LOW <= second <= _HIGH or _LEAST <= second <= _MOST)
            ):
                text = b"[[%d,%d],{}]]" % positional
                return _HEADS[len(text)] + text
        elif not count:
            return _NO_ARGUMENTS
    return _wire.dump_plain_call(positional, named)


def load(data, scan):
    """The value that somebody else wrote, if it is small and has no tags; else `UNREAD`. `scan` reads the JSON."""
    size = len(data)
    if not 9 < size < _LONG or not data.startswith(_HEADS[size - 8]) or data[-1] != 93:
        return UNREAD
    text = data[8:-1]
    if text.isdigit() and (text[0] != 48 or size == 10):
        return int(text)
    return None if text == b"null" else _scanned(text, scan)


def load_arguments(data, scan):
    """The positional arguments of a call that has no others, in the same way; else `UNREAD`."""
    size = len(data)
    if not 15 < size < _LONG or not data.startswith(_CALL_HEADS[size - 8]) or not data.endswith(b"],{}]]"):
        return UNREAD
    text = data[10:-6]
    if text.isdigit() and (text[0] != 48 or size == 17):
        return [int(text)]
    return _scanned(data[9:-5], scan)


def _scanned(text, scan):
    text = str(text, "latin-1")
    try:
        value, end = scan(text, 0)
    except _WRONG:  # what is wrong with it, the general way tells
        return UNREAD
    if end != len(text) or not text.isascii():
        return UNREAD
    # Only objects can be tags.
    if text.find("{") >= 0 and (text.find("$") >= 0 or text.find("\\") >= 0):
        return UNREAD
    return value
