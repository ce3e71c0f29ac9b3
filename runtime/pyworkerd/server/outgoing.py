"""What one client has still to take, how long it may stand still with it, and how its connection ends.

Under TLS two transports hold bytes: the one above it, and the *wire* below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from .resetting import reset

if TYPE_CHECKING:
    import asyncio

    from .deadlines import Deadlines
    from .shared import Shared

STRETCH: Final = 256 * 1024
"""Bytes that are sent before others get their turn, where neither source nor client makes it wait. Our own figure: as
many as a worker may be ahead of its reader."""


class Outgoing:
    """The sending side of a connection."""

    __slots__ = ("_closing", "_deadlines", "_left", "_shared", "_since", "_wire", "full", "transport")

    def __init__(self, shared: Shared, deadlines: Deadlines, wire: asyncio.Transport | None) -> None:
        self._shared, self._deadlines, self._wire = shared, deadlines, wire
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        """Set once the connection is made."""
        self.full: asyncio.Future[None] | None = None
        """Done when there is room again; None while there is."""
        self._left = 0
        self._since = 0
        self._closing = False

    def unsent(self) -> int:
        """Bytes that this process holds."""
        below = 0 if self._wire is None else self._wire.get_write_buffer_size()
        return self.transport.get_write_buffer_size() + below

    def has_to_wait(self, size: int) -> bool:
        """So many bytes of a body were sent. Whether it is time to give the event loop its turn: a transport whose
        client reads as fast as we write is never full, and one whose client has gone tells us in the next turn."""
        self._since += size
        if self._since < STRETCH and not self.transport.is_closing():
            return False
        self._since = 0
        return True

    def pause(self) -> None:
        """More than `response_buffer` waits."""
        if self.full is None:
            self.full = self._shared.loop.create_future()
        self._time()

    def go_on(self) -> None:
        """There is room again, or nobody to send to."""
        full, self.full = self.full, None
        if not self._closing:
            self._deadlines.write = None
        if full is not None and not full.done():
            full.set_result(None)

    def end(self) -> None:
        """Nothing more is written: the transport closes once everything has left it, and TLS once the client has said
        goodbye too. Both are timed.
        """
        self._closing = True
        if self.unsent():
            self._time()
        elif self._wire is not None:
            self._left = 0
            self._deadlines.set_write(self._shared.options.linger_timeout)

    def took_long(self) -> None:
        """A slow reader is served as long as it takes something; a stalled one is dropped."""
        unsent = self.unsent()
        if unsent < self._left:
            self.end() if self._closing else self._time()
        elif not unsent and self._wire is not None:
            self._wire.close()  # everything is on its way, and a reset would overtake it
        else:
            self._shared.counters.timeouts += 1
            self.abort(incomplete=True)

    def abort(self, *, incomplete: bool) -> None:
        """Close at once. What is not complete is reset, so that no client takes a part of a response for all of it."""
        if incomplete or self.unsent():
            reset(self.transport)
        else:
            self.transport.abort()

    def _time(self) -> None:
        self._left = self.unsent()
        self._deadlines.set_write(self._shared.options.write_timeout)
