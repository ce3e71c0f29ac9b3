"""What comes in from outside for one isolate and waits for its next steps: bounded in sum, however many send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

CROWD: Final = 2 * 1024 * 1024
"""Bytes that wait, beyond which others wait outside: thousands of sockets and bodies share an isolate's memory."""


class Crowd:
    """Bytes by the invocation whose step takes them."""

    __slots__ = ("_hold", "_loop", "_room", "size", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop, hold: Callable[[int], None]) -> None:
        self._loop = loop
        self._hold = hold
        """Where it is accounted: `Room.hold`."""
        self.waiting: dict[int, int] = {}
        """Changed here alone."""
        self.size = 0
        """Bytes of all. Changed here alone."""
        self._room: asyncio.Future[None] | None = None

    def joins(self, owner: int, size: int) -> None:
        """So many bytes wait for a step of this invocation."""
        self.waiting[owner] = self.waiting.get(owner, 0) + size
        self.size += size
        self._hold(size)

    def full(self) -> asyncio.Future[None] | None:
        """Done when there is room again; None if there is some now. It is shared: shield it."""
        if self.size < CROWD:
            return None
        if self._room is None:
            self._room = self._loop.create_future()
        return self._room

    def leaves(self, owners: Iterable[int]) -> None:
        """A step has taken what waited for these, or nobody will."""
        if not self.waiting:
            return
        before = self.size
        for owner in owners:
            self.size -= self.waiting.pop(owner, 0)
        if self.size != before:
            self._hold(self.size - before)
        if self._room is not None and self.size < CROWD:
            room, self._room = self._room, None
            if not room.done():
                room.set_result(None)

    def disperse(self) -> None:
        """The isolate is dead."""
        self.leaves(tuple(self.waiting))
