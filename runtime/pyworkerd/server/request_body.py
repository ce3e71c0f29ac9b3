"""A request body on its way: fed by the connection, pulled by the handler."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from pyworkerd.errors import BadRequest, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable


class RequestBody:
    """The async iterator behind `Request.body`. What has arrived is given out before a failure is raised."""

    __slots__ = (
        "_closed",
        "_ended",
        "_error",
        "_on_change",
        "_on_wanted",
        "_pieces",
        "_waiter",
        "raised",
        "received",
        "size",
    )

    def __init__(self, on_wanted: Callable[[], None], on_change: Callable[[], None]) -> None:
        self._on_wanted = on_wanted
        self._on_change = on_change
        self._pieces: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error: ClientError | None = None
        self._ended = False
        self._closed = False
        self.raised: ClientError | None = None
        """What its reader was told instead of the rest: a reader that fails then fails by the client's fault."""
        self.size = 0
        """Bytes that wait to be read."""
        self.received = 0
        """Bytes that have come."""

    @property
    def is_closed(self) -> bool:
        """Whether nobody will read any more of it."""
        return self._closed

    def feed(self, data: bytes) -> None:
        """A piece arrived."""
        self.received += len(data)
        if not self._closed:
            self._pieces.append(data)
            self.size += len(data)
            self._wake()

    def finish(self) -> None:
        """All of it arrived."""
        self._ended = True
        self._wake()

    def fail(self, error: ClientError) -> None:
        """No more will arrive. The first error stays; none counts once all of it is there."""
        if not self._ended and self._error is None:
            self._error = error
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> RequestBody:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._closed:
                raise BadRequest("the request body can no longer be read")
            if self._error is not None:
                self.raised = self._error
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            if self._waiter is not None:
                raise RuntimeError("a request body has one reader")
            self._on_wanted()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        piece = self._pieces.popleft()
        self.size -= len(piece)
        self._on_change()
        return piece

    async def aclose(self) -> None:
        """Nobody will read on."""
        self.close()

    def close(self) -> None:
        """As `aclose`, for the connection."""
        if not self._closed:
            self._closed = True
            self._pieces.clear()
            self.size = 0
            self._wake()
            self._on_change()
