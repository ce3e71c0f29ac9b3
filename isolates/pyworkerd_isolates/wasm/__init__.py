"""The WebAssembly binary format without I/O: `image` writes and reads images, `merge` makes an engine of a component.

`merge` is needed once per machine and is not imported here: every start would pay for it.
"""

from __future__ import annotations

from .errors import WasmFormatError
from .image import image_of, memory_of

__all__ = ["WasmFormatError", "image_of", "memory_of"]
