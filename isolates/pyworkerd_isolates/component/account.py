"""What the host holds for one program: bodies that wait, and header fields. No I/O."""

from __future__ import annotations

from typing import Final

from pyworkerd_isolates.errors import OutputTooLarge

MOST: Final = 8 << 20
"""Bytes; as much as a step may give out (`Limits.output_bytes`)."""


class Account:
    """Bytes that are held. Going past `MOST` ends the isolate."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held = 0

    def hold(self, size: int) -> None:
        """So many more, or fewer."""
        self.held += size
        if self.held > MOST:
            raise OutputTooLarge(f"the program has more than {MOST} bytes held for it")
