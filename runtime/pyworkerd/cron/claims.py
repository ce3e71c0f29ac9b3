"""Whose a tick is: of all processes that see it come, one runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from .plan import PUT_BACK

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from .plan import Job, Tick


class Claims(Protocol):
    """Where ticks are claimed. Shared by all processes that serve one configuration."""

    async def begin(self, jobs: Iterable[Job], now: datetime) -> None:
        """These are there from now on: what one that was not known was due before is nobody's to run.

        What was claimed more than `PUT_BACK` after now is forgotten.
        """

    async def claim(self, tick: Tick) -> bool:
        """Whether it is the caller's to run: true once for each tick of a job that has begun, and never for one that is
        older than another of the same job that was claimed. Raises `PyworkerdError` if nobody can tell.
        """

    async def aclose(self) -> None:
        """Let go of everything."""


class OwnClaims:
    """For a process that is alone."""

    def __init__(self) -> None:
        self._last: dict[Job, datetime] = {}

    async def begin(self, jobs: Iterable[Job], now: datetime) -> None:
        """See `Claims`."""
        known = {job: last for job, last in self._last.items() if last - now <= PUT_BACK}
        self._last = {job: known.get(job, now) for job in jobs}

    async def claim(self, tick: Tick) -> bool:
        """See `Claims`."""
        if self._last.get(tick.job, tick.moment) >= tick.moment:
            return False
        self._last[tick.job] = tick.moment
        return True

    async def aclose(self) -> None:
        """Nothing is held."""
