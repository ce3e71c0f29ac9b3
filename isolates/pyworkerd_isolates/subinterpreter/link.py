"""Frames between the host and a subinterpreter, over a pair of sockets: the host's end, which never blocks.

A frame is its length, eight bytes, and so many bytes. One without any bytes is a knock: somebody inside wants a step.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Final

from pyworkerd_isolates.errors import OutputTooLarge, Trap

if TYPE_CHECKING:
    import socket

LENGTH: Final = 8
PIECE: Final = 1 << 18
"""Bytes that are read at once."""


class Link:
    """One end. Every method may raise `Trap`: the other end is closed."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._unsent = memoryview(b"")
        self._received = bytearray()

    def fileno(self) -> int:
        """For whoever waits until there is something to read."""
        return self._end.fileno()

    @property
    def unsent(self) -> bool:
        """Whether there is something that could not be sent yet: `flush` when it may be."""
        return bool(self._unsent)

    def send(self, frame: bytes) -> None:
        """Send one frame, or as much of it as there is room for. The one before has been read."""
        self._unsent = memoryview(len(frame).to_bytes(LENGTH, "little") + frame)
        self.flush()

    def flush(self) -> None:
        """Send what could not be sent, as far as there is room."""
        try:
            while self._unsent:
                self._unsent = self._unsent[self._end.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError as error:
            raise _gone() from error

    def receive(self, most: int) -> bytes | None:
        """The next frame, if all of it is here. Raises `OutputTooLarge` for one that has more than `most` bytes."""
        while (frame := self._complete(most)) is None:
            try:
                piece = self._end.recv(PIECE)
            except BlockingIOError:
                return None
            except OSError as error:
                raise _gone() from error
            if not piece:
                raise _gone()
            self._received += piece
        return frame

    def _complete(self, most: int) -> bytes | None:
        received = self._received
        size = int.from_bytes(received[:LENGTH], "little")
        if len(received) < LENGTH or len(received) < LENGTH + size <= LENGTH + most:
            return None
        if size > most:
            raise OutputTooLarge(f"a step's output is limited to {most} bytes")
        frame = bytes(received[LENGTH : LENGTH + size])
        del received[: LENGTH + size]
        return frame

    def wait(self, seconds: float) -> None:
        """Until there is something to read, or room to send what is left, or so long."""
        poll = select.poll()
        poll.register(self._end, select.POLLIN | (select.POLLOUT if self._unsent else 0))
        poll.poll(seconds * 1e3)

    def close(self) -> None:
        """No more frames, either way. Harmless when called again."""
        self._unsent = memoryview(b"")
        self._end.close()


def _gone() -> Trap:
    return Trap("the isolate's interpreter has ended")
