"""The control channel: messages, and descriptors with them, over one end of a pair of Unix sockets. Never blocks."""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import socket
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from .messages import FROM_PROCESS, FROM_SUPERVISOR, ControlError, Decoder, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .messages import Message

WAITING_BYTES: Final = 64 * 1024 * 1024
"""Of messages that the other side has not taken: twice the longest message. What comes then is not sent."""
MAX_DESCRIPTORS: Final = 253
"""With one message (Linux, SCM_MAX_FD)."""
_READ: Final = 256 * 1024


class Channel:
    """One end. `received` is called with each message, `ended` once, with what went wrong or None.

    Descriptors that came are in `descriptors`, in the order in which they were sent; whoever is told to expect them
    takes them from there. After `ended` nothing is called any more.
    """

    def __init__(
        self,
        end: socket.socket,
        *,
        supervisor: bool,
        received: Callable[[Any], None],
        ended: Callable[[ControlError | None], None],
    ) -> None:
        end.setblocking(False)
        self._socket = end
        self._loop = asyncio.get_running_loop()
        self._decoder = Decoder(FROM_PROCESS if supervisor else FROM_SUPERVISOR)
        self._takes_descriptors = not supervisor
        self._received, self._ended = received, ended
        self._waiting: deque[tuple[memoryview, Sequence[int]]] = deque()
        self._size = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self.descriptors: deque[int] = deque()
        self._closed = False
        self._loop.add_reader(end, self._readable)

    # sending -----------------------------------------------------------------------------------------

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> bool:
        """Send it as soon as the other side takes it. False if that is not going to happen.

        `descriptors` are copied now and stay the caller's.
        """
        if self._closed or self._size > WAITING_BYTES:
            return False
        frame = encode(message)
        self._waiting.append((memoryview(frame), [os.dup(each) for each in descriptors]))
        self._size += len(frame)
        self._write()
        return not self._closed

    def _write(self) -> None:
        while self._waiting:
            data, descriptors = self._waiting[0]
            try:
                sent = self._send(data, descriptors)
            except BlockingIOError:
                self._empty.clear()
                self._loop.add_writer(self._socket, self._write)
                return
            except OSError:
                self._lose()  # that the other side has gone shows when reading
                return
            _close_all(descriptors)
            self._size -= sent
            if sent < len(data):
                self._waiting[0] = (data[sent:], ())
            else:
                self._waiting.popleft()
        self._lose()

    def _lose(self) -> None:
        """Nothing waits any more, or nothing of it can be sent."""
        for _, descriptors in self._waiting:
            _close_all(descriptors)
        self._waiting.clear()
        self._size = 0
        self._empty.set()
        self._loop.remove_writer(self._socket)

    def _send(self, data: memoryview, descriptors: Sequence[int]) -> int:
        if not descriptors:
            return self._socket.send(data)
        rights = array.array("i", descriptors)
        return self._socket.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])

    async def flush(self) -> None:
        """Wait until everything has been sent, or cannot be."""
        await self._empty.wait()

    # receiving ---------------------------------------------------------------------------------------

    def _readable(self) -> None:
        try:
            data = self._receive()
            messages = self._decoder.feed(data)
        except BlockingIOError:
            return
        except ControlError as error:
            self._end(error)
            return
        except OSError:
            data, messages = b"", []
        for message in messages:
            if self._closed:
                return
            self._received(message)
        if not data:
            self._end(None)

    def _receive(self) -> bytes:
        if not self._takes_descriptors:
            return self._socket.recv(_READ)
        space = socket.CMSG_SPACE(MAX_DESCRIPTORS * array.array("i").itemsize)
        data, ancillary, _, _ = self._socket.recvmsg(_READ, space)
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                got = array.array("i")
                got.frombytes(payload[: len(payload) - len(payload) % got.itemsize])
                for each in got:
                    os.set_inheritable(each, False)
                    self.descriptors.append(each)
        return data

    # the end -----------------------------------------------------------------------------------------

    def _end(self, error: ControlError | None) -> None:
        if not self._closed:
            self.close()
            self._ended(error)

    def fileno(self) -> int:
        """Descriptor of the socket; -1 once it is closed."""
        return self._socket.fileno()

    def close(self) -> None:
        """Nothing is sent or received any more. Harmless when called again."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._socket)
        self._lose()
        _close_all(self.descriptors)
        self.descriptors.clear()
        self._socket.close()


def _close_all(descriptors: Sequence[int] | deque[int]) -> None:
    for each in descriptors:
        with contextlib.suppress(OSError):
            os.close(each)
