"""Text of others, made safe for a terminal: nothing in it is obeyed, reordered or hidden. And the clock. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

_KEPT: Final = frozenset("\t\u00a0\u200c\u200d\u202f\u3000")
"""Not printable for Python, but only text: tabs, the spaces of French and Japanese, joiners of Persian and emoji."""


def printable(text: str) -> str:
    """The same text with every character that a terminal would obey written as an escape. Line ends stay.

    That is C0 and C1 controls, bidirectional overrides (CVE-2021-42574), line separators and lone surrogates.
    """
    if text.isprintable():
        return text
    return "\n".join(line if line.isprintable() else _escaped(line) for line in text.split("\n"))


@lru_cache(64)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%H:%M:%S")


def clock(time: float) -> str:
    """The time of day in UTC, to the millisecond. `time` is in seconds since the epoch."""
    milliseconds = int(time * 1000)
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03}"


def one_line(text: str) -> str:
    """The same without line ends, for places where a line of its own would mean something."""
    return printable(text).replace("\n", "\\n")


def _escaped(line: str) -> str:
    return "".join(
        char if char.isprintable() or char in _KEPT else char.encode("unicode_escape").decode("ascii")
        for char in line
    )
