"""The WebAssembly binary format without I/O: merge a component into an engine and an image, write and read
images.
"""

from __future__ import annotations

from .errors import WasmFormatError
from .image import image_of, memory_of
from .merge import Merged, check_engine, merge

__all__ = ["Merged", "WasmFormatError", "check_engine", "image_of", "memory_of", "merge"]
