"""permessage-deflate (RFC 7692) as an extension of wsproto's. No I/O.

wsproto has one of its own; this one differs in what a server of untrusted clients needs: it keeps no window between
messages, so that an idle socket costs nothing; it takes a control frame between the fragments of a compressed message
(RFC 6455 section 5.4); and it leaves short messages as they are.

How far a piece of input can swell is for the caller to bound, by giving small ones: see `protocol.SLICE`.
"""

from __future__ import annotations

import zlib
from typing import Final

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

from .offers import BITS, NAME

_MEMORY: Final = 5
"""With this and a window of `offers.BITS`, a compressor takes 32 KiB instead of 256 (the `websockets` library: 5)."""
_TAIL: Final = b"\x00\x00\xff\xff"
"""What the sender leaves out at the end of a message (RFC 7692 section 7.2.1)."""
SHORT: Final = 128
"""Bytes below which compressing costs more than it saves."""
_PLAIN: Final = RsvBits(False, False, False)
_ALLOWED: Final = RsvBits(True, False, False)


class Deflate(Extension):
    """Of one connection. Neither side keeps its window from one message to the next."""

    name = NAME

    def __init__(self, send_bits: int = BITS, receive_bits: int = 15) -> None:
        self._send_bits, self._receive_bits = send_bits, receive_bits
        self._control = False
        """The frame that comes in is a control frame."""
        self._compressed = False
        """The message that comes in is compressed."""
        self._decompressor: zlib._Decompress | None = None
        self._compressor: zlib._Compress | None = None

    def enabled(self) -> bool:
        """It was agreed on, or would not have been made."""
        return True

    def offer(self) -> bool | str:
        """Offers are made by `handshake`."""
        return False

    # in --------------------------------------------------------------------------------------------------------------

    def frame_inbound_header(
        self,
        proto: FrameDecoder | FrameProtocol,  # noqa: ARG002 - wsproto's signature
        opcode: Opcode,
        rsv: RsvBits,
        payload_length: int,  # noqa: ARG002
    ) -> CloseReason | RsvBits:
        """Only the first frame of a message may be marked (RFC 7692 section 6). May be called twice for a frame."""
        self._control = opcode.iscontrol()
        if self._control or opcode is Opcode.CONTINUATION:
            return CloseReason.PROTOCOL_ERROR if rsv.rsv1 else _PLAIN
        self._compressed = rsv.rsv1
        return _ALLOWED

    def frame_inbound_payload_data(
        self,
        proto: FrameDecoder | FrameProtocol,  # noqa: ARG002
        data: bytes,
    ) -> bytes | CloseReason:
        """The same bytes, or what they stand for."""
        if self._control or not self._compressed:
            return data
        return self._decompress(data)

    def frame_inbound_complete(
        self,
        proto: FrameDecoder | FrameProtocol,  # noqa: ARG002
        fin: bool,
    ) -> bytes | CloseReason | None:
        """The end of a frame; at the end of a message, what was still held back."""
        if self._control or not fin or not self._compressed:
            return None
        rest = self._decompress(_TAIL)
        self._decompressor = None
        self._compressed = False
        return rest

    def _decompress(self, data: bytes) -> bytes | CloseReason:
        out = []
        try:
            while data:
                if self._decompressor is None:
                    self._decompressor = zlib.decompressobj(-self._receive_bits)
                out.append(self._decompressor.decompress(data))
                data = self._decompressor.unused_data
                if self._decompressor.eof:
                    # A final block ends zlib's stream, not the message (RFC 7692 section 7.2.3.4).
                    self._decompressor = None
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        return b"".join(out)

    # out -------------------------------------------------------------------------------------------------------------

    def frame_outbound(
        self,
        proto: FrameDecoder | FrameProtocol,  # noqa: ARG002
        opcode: Opcode,
        rsv: RsvBits,
        data: bytes,
        fin: bool,
    ) -> tuple[RsvBits, bytes]:
        """A frame to send: compressed with the rest of its message, or as it is."""
        first = opcode in (Opcode.TEXT, Opcode.BINARY)
        if first and not (fin and len(data) < SHORT):
            # The fastest level: this runs on the thread that serves everybody.
            self._compressor = zlib.compressobj(1, zlib.DEFLATED, -self._send_bits, _MEMORY)
        if opcode.iscontrol() or self._compressor is None:
            return rsv, data
        data = self._compressor.compress(data)
        if fin:
            data += self._compressor.flush(zlib.Z_SYNC_FLUSH)[: -len(_TAIL)]
            self._compressor = None
        return (_ALLOWED if first else rsv), data
