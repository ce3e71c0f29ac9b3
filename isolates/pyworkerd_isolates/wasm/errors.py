"""What the binary format code raises."""

from __future__ import annotations


class WasmFormatError(ValueError):
    """The bytes are not the WebAssembly that is asked for: malformed, cut off, or not supported here."""
