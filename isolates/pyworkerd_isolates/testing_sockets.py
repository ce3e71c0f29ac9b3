"""The other end of a worker's WebSocket, for `testing.Driver`: it keeps the books, and agrees to every close."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import ProtocolError
from .protocol import CHUNK, PIECE, SOCKET_WINDOW

if TYPE_CHECKING:
    from .protocol import Events, SocketClose, SocketSend


class Socket:
    """`send` and `close` it, look at `messages` and `closed`; what it does reaches the guest with the next step."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.messages: list[str | bytes] = []
        """What the guest has sent, whole messages only."""
        self.closed: tuple[int, str] | None = None
        """How the guest closed it."""
        self.accepted = False
        self.autopull = True
        """Give credit for what the guest sends; without it `pull` does."""
        self.credit = 0
        self._parts: list[bytes] = []
        self._text: bool | None = None
        self._pending: list[tuple[bytes, bool]] = []
        self._ending: tuple[int, str, bool] | None = None
        self._over = False
        self._owed = 0
        self._granted = 0

    # what the test does ----------------------------------------------------------------------------------------------

    def send(self, message: str | bytes) -> None:
        """Send the guest a message."""
        text = isinstance(message, str)
        self._pending.append((message.encode() if isinstance(message, str) else message, text))

    def close(self, code: int = 1000, reason: str = "", clean: bool = True) -> None:
        """Close it, after what was sent before."""
        self._ending = self._ending or (code, reason, clean)

    def pull(self) -> None:
        """Give the guest credit for all that it has sent."""
        self._granted, self._owed = self._owed, 0

    # what the driver does --------------------------------------------------------------------------------------------

    def fill(self, events: Events) -> None:
        """Put into the batch what there is credit for."""
        if self._over:
            return
        while self._pending and self.credit > PIECE:
            data, text = self._pending.pop(0)
            size = min(CHUNK, self.credit - PIECE, len(data))
            self.credit -= size + PIECE
            events.ws_message(self.number, data[:size], text, size == len(data))
            if data[size:]:
                self._pending.insert(0, (data[size:], text))
        if self.autopull and self._owed >= SOCKET_WINDOW // 2:
            self.pull()
        if self._granted:
            events.ws_credit(self.number, self._granted)
            self._granted = 0
        if self._ending is not None and not self._pending:
            events.ws_closed(self.number, *self._ending)
            self._ending = None
            self._over = True

    def sends(self, effect: SocketSend) -> None:
        """A piece from the guest. Raises `ProtocolError` for more than it has credit for, and after its close."""
        self._owed += len(effect.data) + PIECE
        if self._owed > SOCKET_WINDOW:
            raise ProtocolError(f"the guest sent more on WebSocket {self.number} than it has credit for")
        if self.closed is not None or self._text not in (None, effect.text):
            raise ProtocolError(f"what the guest sent on WebSocket {self.number} is no message")
        self._parts.append(effect.data)
        self._text = None if effect.end else effect.text
        if effect.end:
            data = b"".join(self._parts)
            self._parts.clear()
            self.messages.append(data.decode() if effect.text else data)

    def closes(self, effect: SocketClose) -> None:
        """The guest closes: it hears that this end agrees."""
        if self.closed is not None:
            raise ProtocolError(f"the guest closes WebSocket {self.number} twice")
        self.closed = (effect.code, effect.reason)
        self._pending.clear()
        self.close(effect.code, effect.reason)

    def pulls(self, credit: int) -> None:
        """The guest has room for more."""
        self.accepted = True
        self.credit += credit
        if self.credit > SOCKET_WINDOW:
            raise ProtocolError(f"the guest gave more credit for WebSocket {self.number} than a window")
