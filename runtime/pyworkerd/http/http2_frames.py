"""Looks at the frames of an HTTP/2 connection before the library does: cuts them into bounded portions, and counts
those that make a server work for nothing. No I/O.

A frame costs its sender nine bytes and this process some 30 microseconds, so a flood of frames is a flood of work:
PING, SETTINGS, empty DATA and others (CVE-2019-9511 to 9518), streams that are opened and reset at once
(CVE-2023-44487), header blocks that never end (CVE-2024-27316 and its like).
"""

from __future__ import annotations

from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""RFC 9113 section 3.4."""
BURST: Final = 1000
"""Frames that ask for nothing, at once. nghttp2's limit for streams that are reset; so is the rate."""
RATE: Final = 33
"""Such frames per second, for as long as anybody likes."""

MAX_FRAME: Final = 16_384
"""Largest frame, in both directions: the least that RFC 9113 section 6.5.2 allows."""

_HEADER: Final = 9
_DATA, _HEADERS, _GOAWAY, _CONTINUATION = 0x0, 0x1, 0x7, 0x9
_END_STREAM, _END_HEADERS, _PADDED = 0x1, 0x4, 0x8


FRAME_SIZE_ERROR, ENHANCE_YOUR_CALM = 0x6, 0xB
"""RFC 9113 section 7."""


class FloodError(Exception):
    """More than is borne. `code` is what GOAWAY says."""

    def __init__(self, reason: str, code: int = ENHANCE_YOUR_CALM) -> None:
        self.code = code
        super().__init__(reason)


class Frames:
    """The bytes of one connection on their way to the library."""

    __slots__ = ("_block", "_buffer", "_left", "_limit", "_preface", "_skips", "_spent", "_then", "leaving")

    def __init__(self, block_limit: int, now: float) -> None:
        """`block_limit`: bytes of one compressed header block. `now`: seconds of a clock that only moves on."""
        self._limit = block_limit
        self._then = now
        self._buffer = b""
        self._preface = len(PREFACE)
        self._left = 0
        self._block = 0
        self._spent = 0.0
        self._skips = False
        self.leaving = False
        """Whether the client said that it opens no more streams (GOAWAY)."""

    def feed(self, data: bytes) -> None:
        """Bytes from the client."""
        self._buffer += data

    @property
    def buffered(self) -> int:
        """Bytes that were not given out."""
        return len(self._buffer)

    @property
    def is_stuck(self) -> bool:
        """Whether the next frame's header has to come first."""
        return not self._left and not self._preface and len(self._buffer) < _HEADER

    @property
    def in_head(self) -> bool:
        """Whether a header block has begun and not ended."""
        return self._block > 0

    def credit(self, frames: int) -> None:
        """Something was sent that may well be answered by so many frames, window updates for one."""
        self._spent = max(0.0, self._spent - frames)

    def take(self, most: int, now: float) -> bytes:
        """The bytes of at most so many frames, as far as they are there. Raises `FloodError`.

        Without GOAWAY, which is noted in `leaving`: the library takes it for the end, and the streams that are open
        have to be finished (RFC 9113 section 6.8).
        """
        self.credit(int((now - self._then) * RATE))
        self._then = max(self._then, now - ((now - self._then) * RATE % 1) / RATE)
        buffer, at, kept = self._buffer, 0, []
        if self._preface:
            at = min(self._preface, len(buffer))
            self._preface -= at
            kept.append(buffer[:at])
        while at < len(buffer):
            if self._left:
                step = min(self._left, len(buffer) - at)
                self._left -= step
                if not self._skips:
                    kept.append(buffer[at : at + step])
                at += step
            elif not most or len(buffer) - at < _HEADER:
                break
            else:
                most -= 1
                header = buffer[at : at + _HEADER]
                self._begin(header)
                if not self._skips:
                    kept.append(header)
                at += _HEADER
        self._buffer = buffer[at:]
        return b"".join(kept)

    def _begin(self, header: bytes) -> None:
        length, kind, flags = int.from_bytes(header[:3], "big"), header[3], header[4]
        if length > MAX_FRAME:  # the library would gather all of it before it looked at its length
            raise FloodError("a frame that is too large", FRAME_SIZE_ERROR)
        self._left = length
        self._skips = kind == _GOAWAY
        self.leaving = self.leaving or self._skips
        if kind in (_HEADERS, _CONTINUATION):
            self._block += length + _HEADER
            if self._block > self._limit + _HEADER:
                raise FloodError("a header block that is too large")
            if flags & _END_HEADERS:
                self._block = 0
            idle = kind == _CONTINUATION
        elif kind == _DATA:
            idle = not flags & _END_STREAM and (not length or bool(flags & _PADDED))
        else:
            idle = True
        if idle:
            self._spent += 1
            if self._spent > BURST:
                raise FloodError("too many frames that ask for nothing")
