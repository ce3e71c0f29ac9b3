"""Where a worker's steps begin: on the event loop's own thread, or on another. Pure.

A step on the loop's thread costs nothing extra, but while it runs nobody else is served. It may stay there for a
moment and then goes on elsewhere, so one long step does little harm; many do. So a worker has that place until it has
had a long step, and gets it back after a run of short ones, for which it needs more each time.
"""

from __future__ import annotations

from typing import Final

SHORT_MS: Final = 1.0
"""Invocations share a step as long as it stays about so short."""
LONG_MS: Final = 3.0
"""A step that takes so long should have begun elsewhere. The first step of an isolate takes 0.5 to 1 ms."""
PROOFS: Final = 8
"""Short steps in a row after which a worker's steps begin on the loop's thread again, the first time."""
MAX_PROOFS: Final = 4096


class Placement:
    """The record of one worker."""

    __slots__ = ("_missing", "_owed", "average_ms", "inline")

    def __init__(self) -> None:
        self._owed = 0
        """Short steps that the last loss of the place cost."""
        self._missing = 0
        """How many of them are still to come."""
        self.inline = True
        """Whether the next step begins on the loop's own thread."""
        self.average_ms = SHORT_MS
        """Moving average of CPU time per invocation event: how many may share a step."""

    def record(self, milliseconds: float, shares: int) -> None:
        """A step took so much CPU time and worked for so many invocations."""
        self.average_ms += (milliseconds / (shares or 1) - self.average_ms) / 8
        if milliseconds >= LONG_MS:
            if self.inline:
                self._owed = min(self._owed * 4, MAX_PROOFS) or PROOFS
            self._missing, self.inline = self._owed, False
        elif not self.inline:
            self._missing -= 1
            self.inline = not self._missing

    def share(self, limit: int) -> int:
        """How many new invocations may begin in one step: as many as stay short together."""
        return max(1, min(limit, int(SHORT_MS * 2 / max(self.average_ms, 0.01))))
