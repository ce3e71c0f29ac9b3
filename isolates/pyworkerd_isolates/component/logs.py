"""What a program prints: each line is an entry of the log. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_LINE: Final = 16_384
"""Bytes of one entry; a longer line is several."""
ENTRY: Final = 64
"""Bytes that an entry counts for besides its text, as in the guests of other languages."""


class Lines:
    """Standard output and standard error of one program. `say` is given each entry; after `most` bytes no more."""

    __slots__ = ("_invocation", "_left", "_say", "_waiting")

    def __init__(self, say: Callable[[list[object]], None], invocation: int, most: int) -> None:
        self._say, self._invocation, self._left = say, invocation, most
        self._waiting = {"stdout": bytearray(), "stderr": bytearray()}

    @property
    def left(self) -> int:
        """Bytes that are still taken."""
        return max(self._left, 0)

    def stdout(self, data: bytes) -> None:
        """Written to standard output."""
        self._write("stdout", "info", data)

    def stderr(self, data: bytes) -> None:
        """Written to standard error."""
        self._write("stderr", "error", data)

    def _write(self, name: str, level: str, data: bytes) -> None:
        if self._left <= 0:
            return
        waiting = self._waiting[name]
        waiting += data
        *lines, rest = bytes(waiting).split(b"\n")
        waiting[:] = rest
        for line in lines:
            self.entry(level, name, line)
        while len(waiting) > MAX_LINE:
            self.entry(level, name, bytes(waiting[:MAX_LINE]))
            del waiting[:MAX_LINE]

    def entry(self, level: str, source: str, data: bytes) -> None:
        """One entry."""
        for at in range(0, max(len(data), 1), MAX_LINE):
            if self._left <= 0:
                return
            piece = data[at : at + MAX_LINE]
            self._left -= len(piece) + ENTRY
            self._say(["log", self._invocation, level, source[:256], piece.decode("utf-8", "replace")])

    def finish(self) -> None:
        """What is left is a line as well."""
        for name, level in (("stdout", "info"), ("stderr", "error")):
            waiting = self._waiting[name]
            if waiting:
                self.entry(level, name, bytes(waiting))
                waiting.clear()
