"""One timer for many times: the earliest."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from pyworkerd.dispatch.reaper import Reaper

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """A loop whose time is told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: dict[float, Callable[[], None]] = {}

    def call_at(self, at: float, callback: Callable[[], None]) -> Timer:
        self.timers[at] = callback
        return Timer(self, at)

    def pass_to(self, now: float) -> None:
        self.now = now
        for at in [at for at in self.timers if at <= now]:
            self.timers.pop(at)()


class Timer:
    def __init__(self, clock: Clock, at: float) -> None:
        self._clock, self._at = clock, at

    def cancel(self) -> None:
        self._clock.timers.pop(self._at, None)


def test_it_looks_once_at_the_earliest_time_that_it_was_told() -> None:
    clock, looks = Clock(), list[float]()
    reaper = Reaper(clock, lambda: looks.append(clock.now))  # type: ignore[arg-type]
    for at in (7.0, 5.0, 6.0):
        reaper.by(at)
    assert (reaper.at, list(clock.timers)) == (5.0, [5.0])
    clock.pass_to(5.0)
    assert (looks, reaper.at) == ([5.0], inf)
    reaper.by(8.0)
    clock.pass_to(9.0)
    assert looks == [5.0, 8.0 + 1.0]


def test_what_looks_may_say_when_to_look_again() -> None:
    clock, looks = Clock(), list[float]()

    def look() -> None:
        looks.append(clock.now)
        reaper.by(clock.now + 1)

    reaper = Reaper(clock, look)  # type: ignore[arg-type]
    reaper.by(1.0)
    for now in (1.0, 2.0, 3.0):
        clock.pass_to(now)
    assert looks == [1.0, 2.0, 3.0]


def test_one_that_is_closed_looks_no_more() -> None:
    clock, looks = Clock(), list[float]()
    reaper = Reaper(clock, lambda: looks.append(clock.now))  # type: ignore[arg-type]
    reaper.by(1.0)
    reaper.close()
    reaper.close()
    clock.pass_to(2.0)
    assert (looks, reaper.at) == ([], inf)
