"""A connection in memory: a transport without a socket and a loop whose clock is turned by hand, so that a run is a
function of its input. Used for fuzzing alone; tests use real sockets."""

from __future__ import annotations

import asyncio
from typing import Any


class Loop(asyncio.SelectorEventLoop):
    """asyncio's own loop, one turn at a time, at whatever time it is told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.failures: list[dict[str, Any]] = []
        super().__init__()
        self.set_exception_handler(lambda _, context: self.failures.append(context))

    def time(self) -> float:
        """By hand."""
        return self.now

    def turn(self, times: int = 1) -> None:
        """Run what is ready, without waiting for anything."""
        for _ in range(times):
            self.call_soon(self.stop)
            self.run_forever()

    def settle(self) -> None:
        """Turns until nothing is ready any more. AssertionError if that never happens."""
        for _ in range(10_000):
            self.turn()
            if not self._ready:  # type: ignore[attr-defined]
                return
        raise AssertionError("the loop never comes to rest")


class Wire(asyncio.Transport):
    """The server's end. `inbox` is what the client has sent and nobody has read, `sent` what the client has got."""

    def __init__(self, loop: Loop, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._loop, self._protocol = loop, protocol
        self.inbox: list[bytes] = []
        self.sent = bytearray()
        self.pending = bytearray()
        self.most_pending = 0
        self.stalled = False
        self.reading = True
        self.ended = self.closing = self.aborted = self.lost = False
        self._high = 64 * 1024
        self._told = False
        protocol.connection_made(self)

    # the client's side

    def feed(self, data: bytes) -> None:
        """The client sends; it arrives at once, if the server reads."""
        self.inbox.append(data)
        self.deliver()

    def deliver(self) -> None:
        """Hand over what has come, as long as it is read."""
        while self.inbox and self.reading and not self.closing:
            self._protocol.data_received(self.inbox.pop(0))

    def leave(self) -> None:
        """The client sends no more."""
        if not self.closing:
            self._protocol.eof_received()
            self.close()

    def reset(self) -> None:
        """The client is gone."""
        self.abort()

    def stall(self, stalled: bool) -> None:
        """Whether the client leaves unread what the server sends."""
        self.stalled = stalled
        if not stalled:
            self.sent += self.pending
            self.pending.clear()
            if self._told:
                self._told = False
                self._protocol.resume_writing()
            if self.closing:
                self._lose()

    def _lose(self) -> None:
        if not self.lost:
            self.lost = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    # the server's side

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Two addresses."""
        return {"peername": ("192.0.2.1", 1), "sockname": ("192.0.2.2", 80)}.get(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Only the high mark counts."""
        del low
        self._high = high or 0

    def get_write_buffer_size(self) -> int:
        """What the client has not taken."""
        return len(self.pending)

    def write(self, data: Any) -> None:
        """To the client, or to the buffer in front of it."""
        assert not self.ended, "the server wrote after its end"
        if self.closing:
            return
        (self.pending if self.stalled else self.sent).extend(data)
        self.most_pending = max(self.most_pending, len(self.pending))
        if len(self.pending) > self._high and not self._told:
            self._told = True
            self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        """As TCP."""
        return True

    def write_eof(self) -> None:
        """The server sends no more."""
        self.ended = True

    def pause_reading(self) -> None:
        """The server leaves unread what the client sends."""
        assert self.reading, "paused twice"
        self.reading = False

    def resume_reading(self) -> None:
        """It reads on, in the loop's next turn."""
        assert not self.reading, "resumed twice"
        self.reading = True
        self._loop.call_soon(self.deliver)

    def is_closing(self) -> bool:
        """Whether `close` or `abort` was called."""
        return self.closing

    def close(self) -> None:
        """Close when all is sent."""
        self.closing = True
        if not self.pending:
            self._lose()

    def abort(self) -> None:
        """Close now."""
        self.closing = self.aborted = True
        self.pending.clear()
        self._lose()
