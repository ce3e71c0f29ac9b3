"""Decoding of chunked bodies (RFC 9112 section 7.1), strictly: one reading, whatever parser reads the
heads."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Final

from pyworkerd.errors import BadRequest, BodyTooLarge, HeadersTooLarge

from .semantics import BAD_OCTET, TRAILERS

if TYPE_CHECKING:
    from .limits import HttpLimits

# Sixteen hexadecimal digits are 64 bits; more have overflowed somebody's integer.
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_SIZE_LINE_BEGUN: Final = re.compile(rb"[0-9A-Fa-f]{0,16}|[0-9A-Fa-f]{1,16}(?:;[\t\x20-\x7e\x80-\xff]*)?\r?")


class _Stage(Enum):
    SIZE = "size"
    DATA = "data"
    DATA_END = "data end"
    TRAILERS = "trailers"
    DONE = "done"


class ChunkedReader:
    """Takes bytes, gives the body's data; `rest` holds what follows the body once `done`."""

    __slots__ = ("_extensions", "_left", "_limits", "_stage", "_total", "rest")

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._stage = _Stage.SIZE
        self._left = 0
        self._total = 0
        self._extensions = 0
        self.rest = b""
        """Bytes not yet understood; after the end, what belongs to the next request."""

    @property
    def done(self) -> bool:
        """Whether the body and its trailers are complete."""
        return self._stage is _Stage.DONE

    def receive(self, data: bytes, out: list[bytes]) -> None:
        """Append decoded pieces to `out`. Raises a `ClientError`; pieces before the fault are in `out` by
        then."""
        data = self.rest + data if self.rest else data
        position = 0
        try:
            while position < len(data):
                before = position, self._stage
                position = self._step(data, position, out)
                if before == (position, self._stage) or self._stage is _Stage.DONE:
                    return
        finally:
            self.rest = data[position:]

    def _step(self, data: bytes, position: int, out: list[bytes]) -> int:
        if self._stage is _Stage.DATA:
            return self._read_data(data, position, out)
        if self._stage is _Stage.SIZE:
            return self._read_size(data, position)
        if self._stage is _Stage.DATA_END:
            return self._read_data_end(data, position)
        return self._read_trailers(data, position)

    def _read_size(self, data: bytes, position: int) -> int:
        limit = position + self._limits.chunk_line
        match = _SIZE_LINE.match(data, position, limit)
        if match is None:
            if len(data) >= limit or _SIZE_LINE_BEGUN.fullmatch(data, position) is None:
                raise BadRequest("a chunk's size line is malformed or too long")
            return position
        self._extensions += len(match[2] or b"")
        if self._extensions > self._limits.chunk_extensions:
            raise BadRequest("chunk extensions are too long")
        self._left = int(match[1], 16)
        self._total += self._left
        if self._total > self._limits.body:
            raise BodyTooLarge(self._limits.body)
        if self._left:
            self._stage = _Stage.DATA
            return match.end()
        self._stage = _Stage.TRAILERS
        # The line's own CRLF stays, so that an empty trailer section ends in CRLF CRLF like any other.
        return match.end() - 2

    def _read_data(self, data: bytes, position: int, out: list[bytes]) -> int:
        piece = data[position : position + self._left]
        self._left -= len(piece)
        out.append(piece)
        if not self._left:
            self._stage = _Stage.DATA_END
        return position + len(piece)

    def _read_data_end(self, data: bytes, position: int) -> int:
        end = data[position : position + 2]
        if end == b"\r\n":
            self._stage = _Stage.SIZE
            return position + 2
        if end != b"\r":
            raise BadRequest("a chunk is longer than its size")
        return position

    def _read_trailers(self, data: bytes, position: int) -> int:
        limit = position + self._limits.trailers
        end = data.find(b"\r\n\r\n", position, limit)
        stop = end + 4 if end >= 0 else min(len(data), limit)
        if BAD_OCTET.search(data, position, stop) is not None:
            raise BadRequest("a control character or a bare CR or LF in the trailers")
        if end < 0:
            if len(data) >= limit:
                raise HeadersTooLarge(f"the trailers are larger than {self._limits.trailers} bytes")
            return position
        if TRAILERS.fullmatch(data, position, stop) is None:
            raise BadRequest("a trailer line is malformed")
        if data.count(b"\r\n", position, stop) - 2 > self._limits.fields:
            raise HeadersTooLarge(f"more than {self._limits.fields} trailer fields")
        self._stage = _Stage.DONE
        return stop
