"""What a serving process writes to its standard error, on its way to the supervisor's: line by line."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .output import Output

MAX_LINE: Final = 1024 * 1024
"""A longer line is written in pieces. The longest entry of a log is far shorter: `observe.logs.SHOWN`, as JSON."""
_READ: Final = 64 * 1024


class Lines:
    """Cuts a stream of bytes at its line ends. Pure."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> bytes:
        """The lines that are complete now."""
        self._rest += data
        end = self._rest.rfind(b"\n") + 1
        if not end and len(self._rest) > MAX_LINE:
            return self.end()
        whole = bytes(self._rest[:end])
        del self._rest[:end]
        return whole

    def end(self) -> bytes:
        """What is left, as a line."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest + b"\n" if rest else b""


class Relay:
    """Reads one pipe for as long as somebody has its other end, and waits while the output is full."""

    def __init__(self, descriptor: int, output: Output) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._output = output
        self._lines = Lines()
        self._loop = asyncio.get_running_loop()
        self.closed = asyncio.Event()
        self._loop.add_reader(descriptor, self._readable)

    def _readable(self) -> None:
        try:
            data = os.read(self._descriptor, _READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._output.put(self._lines.feed(data))
        if self._output.full and not self.closed.is_set():
            self._loop.remove_reader(self._descriptor)
            self._output.when_there_is_room(self._resume)

    def _resume(self) -> None:
        if not self.closed.is_set():
            self._loop.add_reader(self._descriptor, self._readable)

    def close(self) -> None:
        """Write what is left of a line. Harmless when called again."""
        if not self.closed.is_set():
            self.closed.set()
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._output.put(self._lines.end())
