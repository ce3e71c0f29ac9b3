"""What a server does with each of its connections, whatever protocol they speak."""

from __future__ import annotations

from typing import Protocol


class Member(Protocol):
    """A connection of a server, from `Shared.join` to `Shared.leave`."""

    def begin_drain(self) -> None:
        """Come to an orderly end."""

    def cancel(self) -> None:
        """Come to an end now, and tell whoever works for it."""

    def abort(self) -> None:
        """Reset."""
