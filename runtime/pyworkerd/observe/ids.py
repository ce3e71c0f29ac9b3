"""Random ids of traces and spans, as lower-case hexadecimal digits.

Each request needs 24 random bytes. The system is asked for many at once: a call of it costs more than the rest of what
is noted about a request. They tell nothing of each other, as if each had been asked for by itself.
"""

from __future__ import annotations

import os
from typing import Final

TRACE_DIGITS: Final = 32
SPAN_DIGITS: Final = 16
_BOTH: Final = TRACE_DIGITS + SPAN_DIGITS
_AT_ONCE: Final = 128
"""Requests for which the system is asked together."""


_supply: Final[list[str]] = []
"""Digits that nobody has had yet. Taking from a list is atomic: event loops on several threads share it."""


def new_ids() -> tuple[str, str]:
    """Of a trace and of its first span."""
    try:
        digits = _supply.pop()
    except IndexError:
        fresh = os.urandom(_AT_ONCE * _BOTH // 2).hex()
        digits, *rest = [fresh[at : at + _BOTH] for at in range(0, len(fresh), _BOTH)]
        _supply.extend(rest)
    return digits[:TRACE_DIGITS], digits[TRACE_DIGITS:]


def new_span_id() -> str:
    """Of one more span."""
    return new_ids()[1]


if hasattr(os, "register_at_fork"):
    # Or two processes would use the same ids.
    os.register_at_fork(after_in_child=_supply.clear)
