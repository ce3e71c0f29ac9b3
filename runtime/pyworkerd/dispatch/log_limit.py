"""How much an invocation may log. Pure."""

from __future__ import annotations

from typing import Final

LOG_ENTRY: Final = 64
"""Bytes that an entry is reckoned at besides its message, as the guest reckons: empty ones are not free."""
_NO_MORE: Final = "[the log limit of this invocation is reached (limits.log_kb)]"


def admit(message: str, left: int) -> tuple[str | None, int]:
    """What is logged of a message where so many bytes are left, None if nothing; and what is left then.

    The message that uses up the limit is cut, and says so.
    """
    if left <= 0:
        return None, left
    size = len(message.encode("utf-8", "replace")) + LOG_ENTRY
    if left <= size:
        return f"{message[: max(left - LOG_ENTRY, 0)]} {_NO_MORE}", left - size
    return message, left - size
