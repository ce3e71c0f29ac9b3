"""Two deadlines and one timer. Moving a deadline is an assignment: the timer looks when it fires, and sleeps
again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Deadlines:
    """For one connection: what it reads, and what it writes, each at most once pending. Times are in
    seconds."""

    __slots__ = ("_loop", "_on_read", "_on_write", "_timer", "_timer_at", "read", "write")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_read: Callable[[], None], on_write: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._on_read = on_read
        self._on_write = on_write
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self.read: float | None = None
        """When `on_read` is called, on the loop's clock; set it to None to call it off."""
        self.write: float | None = None

    def set_read(self, seconds: float) -> None:
        """Call `on_read` that many seconds from now, unless this is called again or `read` set to None
        before."""
        self.read = deadline = self._loop.time() + seconds
        if self._timer is None or self._timer_at > deadline:
            self._arm(deadline)

    def set_write(self, seconds: float) -> None:
        """As `set_read`, for `on_write`."""
        self.write = deadline = self._loop.time() + seconds
        if self._timer is None or self._timer_at > deadline:
            self._arm(deadline)

    def stop(self) -> None:
        """Nothing is called any more."""
        self.read = self.write = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_at(deadline, self._wake_up)

    def _wake_up(self) -> None:
        # A loop may fire a timer up to its clock's resolution early; `_timer_at` counts as reached.
        now = max(self._loop.time(), self._timer_at)
        self._timer = None
        if self.read is not None and self.read <= now:
            self.read = None
            self._on_read()
        if self.write is not None and self.write <= now:
            self.write = None
            self._on_write()
        pending = [deadline for deadline in (self.read, self.write) if deadline is not None]
        if pending and self._timer is None:
            self._arm(min(pending))
