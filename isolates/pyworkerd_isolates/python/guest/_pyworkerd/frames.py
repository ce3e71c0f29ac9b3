"""Frames as a guest reads and writes them: what the host says is believed, and effects are JSON already.

The general way is `_wire`, which both sides have. This one takes half as long.
"""

import _wire

_WHOLE = 4096
"""Bytes of a frame that are read as text together, blobs and all: to cut the header out would take longer."""
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


def encode(message, blobs):
    """A frame of a message that is JSON already, of ASCII characters."""
    if not blobs:
        return _wire.alone(message)
    if len(blobs) == 1:
        (blob,) = blobs
        header = f"[[{len(blob)}],{message}]".encode("ascii")
        return b"".join((_written_length(len(header)), header, blob))
    lengths = ",".join([str(len(blob)) for blob in blobs])
    header = f"[[{lengths}],{message}]".encode("ascii")
    return b"".join((_written_length(len(header)), header, *blobs))
