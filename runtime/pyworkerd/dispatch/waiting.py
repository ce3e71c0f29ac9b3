"""The record of a call that has no answer yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyworkerd_isolates.protocol import Call, Fetch

    from .invocation import Invocation


class Waiting:
    """What was asked, for whom, and how many bytes of it the host holds meanwhile. Whoever performs it derives from
    this. Two are never equal, though a guest may use the number of a call again.
    """

    __slots__ = ("effect", "invocation", "size")
    foreign = False
    """Whether another program writes what it returns."""

    def __init__(self, effect: Call | Fetch, invocation: Invocation, size: int) -> None:
        self.effect, self.invocation, self.size = effect, invocation, size

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        raise NotImplementedError
