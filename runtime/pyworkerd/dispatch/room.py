"""What the host holds in its own memory for one isolate: arguments, bodies and messages on their way. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES: Final = 32 * 1024 * 1024
"""Arguments, bodies in hand and bodies that stream of all calls of one isolate, and what waits on its WebSockets
(Workers: 32 MiB for an RPC message)."""


class Room:
    """`promised` is what may come to be held, and is bounded; `held` is what is held now, and is accounted.

    `changed` is told of every change of what is held, so that the account is right while the isolate rests as well.
    """

    __slots__ = ("_changed", "held", "limit", "promised")

    def __init__(self, limit: int = MAX_BYTES, changed: Callable[[int], None] | None = None) -> None:
        self.limit = limit
        self.promised = 0
        self.held = 0
        self._changed = changed

    def has(self, size: int) -> bool:
        """Whether so many bytes more can be promised."""
        return self.promised + size <= self.limit

    def hold(self, size: int) -> None:
        """So many bytes more are held; negative: fewer."""
        self.held += size
        if self._changed is not None:
            self._changed(size)
