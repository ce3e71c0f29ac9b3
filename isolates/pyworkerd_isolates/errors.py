"""What can go wrong in the sandbox, in one tree.

IsolateError
├── EngineError        an engine could not be built, checked or loaded (the machine's or the cache's fault)
├── ImageError         a worker's top level did not make an image (the worker's fault)
│   ├── TopLevelRaised   TopLevelEntropy   TopLevelTooSlow   TopLevelTooBig   BundleError
├── Trap               guest code stopped for good; its isolate is dead
│   ├── CpuExhausted   MemoryExhausted   StackExhausted   Refused
├── ProtocolError      what came out of a step was not well formed; its isolate is dead
│   └── OutputTooLarge
├── HeapError          what an isolate had in memory could not be put away (it goes on), or not be had back (it is dead)
│   └── HeapsFull
├── RecordingError     what was to be run again is no recording, or cannot be run here
└── ClosedIsolate      use after close: a bug of the caller
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .protocol import Log


class IsolateError(Exception):
    """The root of everything that this package raises on purpose."""


class EngineError(IsolateError):
    """An engine could not be built, checked or loaded."""


class ImageError(IsolateError):
    """A worker's top level did not make an image. `file` and `line` say where, when that is known."""

    def __init__(
        self, message: str, *, file: str | None = None, line: int | None = None, detail: str = ""
    ) -> None:
        self.file, self.line, self.detail = file, line, detail
        super().__init__(message)


class BundleError(ImageError):
    """The files of a worker cannot be a program: missing, too many, too large."""


class TopLevelRaised(ImageError):
    """The top level of the worker raised, or has a syntax error. `detail` is the guest's traceback."""


class TopLevelEntropy(ImageError):
    """The top level asked for random numbers. An image with them in it would give every isolate the same ones."""


class TopLevelTooSlow(ImageError):
    """The top level used more CPU time than the start-up limit."""


class TopLevelTooBig(ImageError):
    """The top level used more memory than the limit."""


class Trap(IsolateError):
    """Guest code stopped for good. Its isolate is dead; nothing else is touched."""

    said: Sequence[Log] = ()
    """What it logged in its last step, where that is known."""


class CpuExhausted(Trap):
    """The step ran past its deadline."""


class MemoryExhausted(Trap):
    """The guest could not go on without memory that it may not have."""


class StackExhausted(Trap):
    """The guest used up its native stack."""


class Refused(Trap):
    """The guest reached for a system call. There is no system inside."""


class ProtocolError(IsolateError):
    """What came out of a step was not well formed. Its isolate is dead."""


class OutputTooLarge(ProtocolError):
    """A step gave out more bytes, effects or log text than its limits allow."""


class HeapError(IsolateError):
    """What an isolate had in memory could not be put away, and it goes on; or not be had back, and it is dead."""


class HeapsFull(HeapError):
    """There is no room to put it away. `size` is how many bytes were wanted."""

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(f"there is no room for a heap of {size} bytes")


class RecordingError(IsolateError):
    """What was to be run again is no recording, or cannot be run here."""


class ClosedIsolate(IsolateError):
    """An isolate was used after it ended: a bug of the caller."""
