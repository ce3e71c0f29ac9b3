"""One end of an open WebSocket as a state machine without I/O: bytes in, events out; pieces and closes to bytes.

wsproto reads and writes the frames (RFC 6455 section 5); this module makes of it what the house needs: pieces, and one
event for the end, which says whether the other side closed or failed to follow the protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from wsproto import connection, events
from wsproto.connection import ConnectionState
from wsproto.frame_protocol import CloseReason

from .base import FAILED, MAX_REASON, Close, Piece, may_be_sent

if TYPE_CHECKING:
    from .deflate import Deflate

SLICE: Final = 4 * 1024
"""Bytes to give to `receive` at once: frames may be as small as six bytes, and each takes as long as a large one."""
DEFLATED_SLICE: Final = 256
"""The same where messages may be compressed: deflate makes at most 1,032 times as much of it, so a quarter of a MiB."""
_REASON: Final = "the other end did not follow the protocol"


class Ping(NamedTuple):
    """To be answered with a pong of the same payload; only the last one has to be (RFC 6455 section 5.5.3)."""

    payload: bytes


class Pong(NamedTuple):
    """The other end is there."""


class Ended(NamedTuple):
    """Nothing follows. `answer` is to be sent: the other half of the close handshake, or why this end gives up."""

    close: Close
    answer: bytes


Event = Piece | Ping | Pong | Ended

PONG: Final = Pong()


class Protocol:
    """Give it at most `slice` bytes at a time; every event of a slice comes at once."""

    __slots__ = ("_connection", "_ended", "slice")

    def __init__(self, *, client: bool, deflate: Deflate | None = None) -> None:
        kind = connection.ConnectionType.CLIENT if client else connection.ConnectionType.SERVER
        self._connection = connection.Connection(kind, [] if deflate is None else [deflate])
        self._ended = False
        self.slice = SLICE if deflate is None else DEFLATED_SLICE

    def receive(self, data: bytes) -> list[Event]:
        """Bytes from the other end. Nothing comes out after `Ended`."""
        if self._ended:
            return []
        found: list[Event] = []
        self._connection.receive_data(data)
        for event in self._connection.events():
            if isinstance(event, events.Message):
                if event.data or event.message_finished:
                    found.append(Piece(event.data, event.message_finished))
            elif isinstance(event, events.Ping):
                found.append(Ping(bytes(event.payload)))
            elif isinstance(event, events.Pong):
                found.append(PONG)
            elif isinstance(event, events.CloseConnection):
                found.append(self._end(event))
                break
        return found

    def _end(self, event: events.CloseConnection) -> Ended:
        self._ended = True
        state = self._connection.state
        if state in (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING):
            # wsproto says with the same event that it cannot go on (RFC 6455 section 7.1.7).
            code = int(event.code)
            answer = (
                self._connection.send(events.CloseConnection(code)) if state is ConnectionState.OPEN else b""
            )
            return Ended(Close(code, _REASON, clean=False), answer)
        if state is ConnectionState.REMOTE_CLOSING:
            answer = self._connection.send(events.CloseConnection(event.code))
        else:
            answer = b""
        return Ended(Close(int(event.code), event.reason or "", clean=True), answer)

    def send(self, piece: Piece) -> bytes:
        """A piece as a frame."""
        data, end = piece
        if isinstance(data, str):
            return self._connection.send(events.TextMessage(data, message_finished=end))
        return self._connection.send(events.BytesMessage(data, message_finished=end))

    def ping(self) -> bytes:
        """A ping, to see whether somebody is there."""
        return self._connection.send(events.Ping())

    def pong(self, payload: bytes) -> bytes:
        """The answer to a ping; nothing once this end has closed."""
        if self._connection.state is not ConnectionState.OPEN:
            return b""
        return self._connection.send(events.Pong(payload))

    def close(self, close: Close) -> bytes:
        """A close frame. A code that is never sent becomes one that is: none at all, or 1011 where something failed."""
        if not may_be_sent(close.code) and close.clean:
            return self._connection.send(events.CloseConnection(CloseReason.NO_STATUS_RCVD))
        reason = close.reason.encode("utf-8", "replace")[:MAX_REASON].decode("utf-8", "ignore")
        code = close.code if may_be_sent(close.code) else FAILED
        return self._connection.send(events.CloseConnection(code, reason))
