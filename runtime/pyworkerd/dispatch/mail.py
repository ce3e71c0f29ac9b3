"""Events that wait for an isolate's next steps, kept apart by the invocation that they are for. Pure.

A step is made for some invocations, which pay for it, and takes what waits for these. Events of one invocation keep
their order. What waits for nobody in particular goes with whatever step is next, and causes none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from pyworkerd_isolates.protocol import Events

Event: TypeAlias = Callable[[Events], None]


class Mail:
    """Iterate it for the numbers of those that are waited for, who has waited longest first."""

    __slots__ = ("_anyway", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[int, list[Event]] = {}
        self._anyway: list[Event] = []

    def __len__(self) -> int:
        """How many invocations want a step."""
        return len(self._waiting)

    def __iter__(self) -> Iterator[int]:
        return iter(self._waiting)

    def send(self, invocation: int, event: Event) -> None:
        """Something happened for this invocation."""
        self._waiting.setdefault(invocation, []).append(event)

    def wake(self, invocations: Iterable[int]) -> None:
        """These want to go on, without an event."""
        for invocation in invocations:
            self._waiting.setdefault(invocation, [])

    def enclose(self, event: Event) -> None:
        """To be told with the next step."""
        self._anyway.append(event)

    def forget(self, invocation: int) -> None:
        """It has ended."""
        self._waiting.pop(invocation, None)

    def clear(self) -> None:
        """Nobody is left."""
        self._waiting.clear()
        self._anyway.clear()

    def take(self, invocations: Iterable[int], *, all_of_them: bool = False) -> Events:
        """The events of a step for these invocations; if they are all that there are, the guest need not be told."""
        numbers = list(invocations)
        events = Events()
        if not all_of_them:
            events.focus(numbers)
        anyway, self._anyway = self._anyway, []
        for event in anyway:
            event(events)
        for number in numbers:
            for event in self._waiting.pop(number):
                event(events)
        return events
