"""One end of a WebSocket, whoever is at the other: a client, a worker, a server outside, a program. No I/O.

Messages cross in pieces, so that nobody has to hold a whole one: `pull` and `push` move pieces, and waiting in them is
the back-pressure. Programs use `receive`, `send` and `close`, or iterate.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final, NamedTuple, Self

MAX_MESSAGE: Final = 32 * 1024 * 1024
"""Bytes of one message that `receive` puts together (Workers: 32 MiB)."""
NORMAL: Final = 1000
GOING_AWAY: Final = 1001
NO_CODE: Final = 1005
"""Closed, and no code was sent (RFC 6455 section 7.1.5). Never on the wire."""
LOST: Final = 1006
"""The connection went without a word (RFC 6455 section 7.1.5). Never on the wire."""
TOO_BIG: Final = 1009
FAILED: Final = 1011
MAX_REASON: Final = 123
"""Bytes of a reason (RFC 6455 section 5.5: a control frame carries 125, two of them the code)."""


class Piece(NamedTuple):
    """A message, or a part of one. Text in `str`, cut between characters; the parts of a message are of one kind."""

    data: str | bytes
    end: bool = True
    """Whether the message is complete with it."""


class Close(NamedTuple):
    """How a WebSocket ended."""

    code: int = NORMAL
    reason: str = ""
    clean: bool = True
    """Whether both ends agreed to it (RFC 6455 section 7.1.4)."""


UNWANTED: Final = Close(GOING_AWAY, "", clean=False)
"""Nobody will use it: its receiver has gone."""


class WebSocketClosed(Exception):
    """There is no more to receive, or nobody left to send to. Says how it ended."""

    def __init__(self, close: Close) -> None:
        self.close = close
        super().__init__(f"the WebSocket was closed with {close.code}{close.reason and f': {close.reason}'}")

    @property
    def code(self) -> int:
        """The close code (RFC 6455 section 7.4); 1006 if the connection was lost."""
        return self.close.code

    @property
    def reason(self) -> str:
        """What was said about it."""
        return self.close.reason


class WebSocket(ABC):
    """One end. One task receives at a time; any number may send, each message stays in one piece."""

    __slots__ = ()

    @abstractmethod
    async def pull(self) -> Piece:
        """The next piece. Raises `WebSocketClosed` after the last one, every time."""

    @abstractmethod
    async def push(self, piece: Piece) -> None:
        """Send a piece, when there is room for it. Raises `WebSocketClosed` once nobody will hear it."""

    @abstractmethod
    def end(self, close: Close) -> None:
        """This side is done: it closes, or agrees to the close that `pull` has raised. The first time counts.

        What the other end still sends is dropped; `pull` raises once that end has agreed or is lost.
        """

    @property
    def protocol(self) -> str:
        """The sub-protocol that both ends agreed on; empty for none."""
        return ""

    @property
    def inside(self) -> bool:
        """Whether a guest has made it, and is who sends on it."""
        return False

    def lead_inside(self) -> None:  # noqa: B027 - only those that a guest has made mind
        """A guest uses this end: what comes to whoever has made the socket comes from nobody outside."""

    # for programs ----------------------------------------------------------------------------------------------------

    async def receive(self, limit: int = MAX_MESSAGE) -> str | bytes:
        """The next message, whole. Raises `WebSocketClosed`; a message beyond `limit` bytes closes with 1009."""
        parts: list[str | bytes] = []
        size = 0
        try:
            while True:
                data, end = await self.pull()
                parts.append(data)
                size += len(data) if isinstance(data, bytes) else len(data.encode("utf-8", "replace"))
                if size > limit:
                    raise WebSocketClosed(Close(TOO_BIG, f"a message is limited to {limit} bytes"))  # noqa: TRY301
                if end:
                    return parts[0] if len(parts) == 1 else type(data)().join(parts)  # type: ignore[arg-type]
        except WebSocketClosed as closed:
            self.end(closed.close)
            raise

    async def send(self, message: str | bytes) -> None:
        """Send a message; waits while the other end is slower. Raises `WebSocketClosed`."""
        await self.push(Piece(message if isinstance(message, str) else bytes(message)))

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close, and wait for the other end to agree. Harmless when called again. Raises ValueError for a code that
        cannot be sent (RFC 6455 section 7.4) or a reason of more than 123 bytes.
        """
        self.end(checked(code, reason))
        try:
            while True:
                await self.pull()
        except WebSocketClosed:
            pass

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except WebSocketClosed:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        await self.close(NORMAL if kind is None else FAILED)


def may_be_sent(code: int) -> bool:
    """Whether a close frame may carry this code (RFC 6455 section 7.4, and what IANA has registered since)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def checked(code: int, reason: str) -> Close:
    """A close that a program asks for. Raises ValueError."""
    if not may_be_sent(code):
        raise ValueError(f"{code} is not a close code that can be sent: use 1000, or one from 3000 to 4999")
    if len(reason.encode()) > MAX_REASON:
        raise ValueError(f"the reason of a close is limited to {MAX_REASON} bytes")
    return Close(code, reason)
