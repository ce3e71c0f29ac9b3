"""Where a worker's steps run: on the event loop's own thread, or on another. Pure.

A step on the loop's thread costs nothing extra, but while it runs nobody else is served. So a worker earns that place
by a run of short steps, and loses it, for longer each time, by a long one.
"""

from __future__ import annotations

from typing import Final

SHORT_MS: Final = 1.0
"""Invocations share a step as long as it stays about so short."""
PROOF_MS: Final = 2.0
"""A step of this length on the loop's thread delays others little. The first step of an isolate takes 0.5 to 1 ms."""
LONG_MS: Final = 4.0
PROOFS: Final = 8
"""Short steps in a row before a worker's steps run on the loop's thread."""
MAX_PROOFS: Final = 4096
MAX_INLINE_MS: Final = 100.0
"""CPU time that a step on the loop's thread may have at most: what one runaway loop may cost everybody else, once.
The default limit of an invocation (50 ms) stays below it, also in a step that others share.
"""


class Placement:
    """The record of one worker."""

    __slots__ = ("_needed", "_proofs", "average_ms")

    def __init__(self) -> None:
        self._proofs = 0
        self._needed = PROOFS
        self.average_ms = SHORT_MS
        """Moving average of CPU time per invocation event: how many may share a step."""

    def inline(self, budget_ms: float) -> bool:
        """Whether the next step, which may take so much CPU time, runs on the loop's own thread."""
        return self._proofs >= self._needed and budget_ms <= MAX_INLINE_MS

    def record(self, milliseconds: float, shares: int) -> None:
        """A step took so long and worked for so many invocations."""
        self.average_ms += (milliseconds / max(shares, 1) - self.average_ms) / 8
        if milliseconds >= LONG_MS:
            self._proofs = 0
            self._needed = min(self._needed * 4, MAX_PROOFS)
        elif milliseconds / max(shares, 1) < PROOF_MS:
            self._proofs += 1
        else:
            self._proofs = 0

    def share(self, limit: int) -> int:
        """How many new invocations may begin in one step: as many as stay short together."""
        return max(1, min(limit, int(SHORT_MS * 2 / max(self.average_ms, 0.01))))
