"""What the host holds in its own memory for one isolate: arguments and bodies on their way. Pure."""

from __future__ import annotations

from typing import Final

MAX_BYTES: Final = 32 * 1024 * 1024
"""Arguments, bodies in hand and bodies that stream of all calls of one isolate (Workers: 32 MiB for an RPC message)."""


class Room:
    """`promised` is what may come to be held, and is bounded; `held` is what is held now, and is accounted."""

    __slots__ = ("held", "limit", "promised")

    def __init__(self, limit: int = MAX_BYTES) -> None:
        self.limit = limit
        self.promised = 0
        self.held = 0

    def has(self, size: int) -> bool:
        """Whether so many bytes more can be promised."""
        return self.promised + size <= self.limit
