"""Frames as a guest reads and writes them: what the host says is believed, and effects are JSON already.

The general way is `_wire`, which both sides have. This one takes half as long.
"""

from struct import Struct, error

import _wire

ANSWER, CALLED, _CALL, _RETURNED, _REPLIED, ASKED = range(0x80000001, 0x80000007)
FOCUS = 1 << 31
_MAX_ADDRESS = 8192
"""Short frames, see `pyworkerd_isolates.short` on the host."""
_three = Struct("<III")
taken_apart, packed = _three.unpack_from, _three.pack
_four = Struct("<IIII")
request_at, packed_four, _packed_return = _four.unpack_from, _four.pack, Struct("<II").pack
_WHOLE = 4096
"""Bytes of a frame that are read as text together, blobs and all: to cut the header out would take longer."""
_SHORT = 256
_HEADS = [f"{chr(length)}\0\0\0" for length in range(_SHORT)]
"""Lengths as `latin-1` writes them."""
_scan = _wire.scanner(None)
_length_of, _written_length = _wire.length_of, _wire.written_length


def decode(data):
    """The message and the blobs of the host's frame. Nothing is checked."""
    size = len(data)
    end = size if size <= _WHOLE else _length_of(data)[0] + 4
    (lengths, message), end = _scan(str(data if end == size else data[:end], "latin-1"), 4)
    blobs = []
    for length in lengths:
        start, end = end, end + length
        blobs.append(data[start:end])
    return message, blobs


def encode(wake, effects, blobs):
    """A frame of `[wake, [effects]]`, of which both are JSON already, of ASCII characters."""
    if not blobs:
        lengths, rest = "", b""
    elif len(blobs) == 1:
        (rest,) = blobs
        lengths = len(rest)
    else:
        lengths, rest = ",".join([str(len(blob)) for blob in blobs]), b"".join(blobs)
    header = f"[[{lengths}],[{wake},[{effects}]]]"
    size = len(header)
    if size < _SHORT:
        return f"{_HEADS[size]}{header}".encode("latin-1") + rest
    return b"".join((_written_length(size), header.encode("ascii"), rest))


def short(effects):
    """A frame of these effects, of which there are some; None if there is no short one for them."""
    effect = effects[0]
    if type(effect) is not tuple:
        return None
    try:
        if len(effects) > 1:
            return _replies(effects)
        if len(effect) == 3:
            invocation, head, body = effect
            return packed_four(_REPLIED, invocation, len(head), len(body)) + head + body
        if len(effect) == 2:
            invocation, value = effect
            return _packed_return(_RETURNED, invocation) + value
        call, invocation, address, arguments = effect
        size = len(address)
        if size <= _MAX_ADDRESS:
            return b"".join((packed_four(_CALL, call, invocation, size), address, arguments))
    except error:  # a number of more than four bytes
        pass
    return None


def _replies(effects):
    parts = []
    for effect in effects:
        if type(effect) is not tuple or len(effect) != 3:
            return None
        invocation, head, body = effect
        parts += (packed_four(_REPLIED, invocation, len(head), len(body)), head, body)
    return b"".join(parts)
