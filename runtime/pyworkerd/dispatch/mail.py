"""Events that wait for an isolate's next steps, kept apart by the invocation that they are for. Pure.

A step is made for some invocations, which pay for it, and takes what waits for these. Events of one invocation keep
their order. What waits for nobody in particular goes with whatever step is next, and causes none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from pyworkerd_isolates.protocol import Events

Event: TypeAlias = Callable[[Events], None]


class Mail:
    """What waits for one isolate. Its methods change it, and nobody else."""

    __slots__ = ("_anyway", "waiting")

    def __init__(self) -> None:
        self.waiting: dict[int, list[Event]] = {}
        """By the number of the invocation that wants a step, who has waited longest first."""
        self._anyway: list[Event] = []

    def begin(self, invocation: int, event: Event) -> None:
        """The first that an invocation is told: nothing waits for it yet."""
        self.waiting[invocation] = [event]

    def send(self, invocation: int, event: Event) -> None:
        """Something happened for this invocation."""
        self.waiting.setdefault(invocation, []).append(event)

    def wake(self, invocations: Iterable[int]) -> None:
        """These want to go on, without an event."""
        for invocation in invocations:
            self.waiting.setdefault(invocation, [])

    def enclose(self, event: Event) -> None:
        """To be told with the next step."""
        self._anyway.append(event)

    def forget(self, invocation: int) -> None:
        """It has ended."""
        self.waiting.pop(invocation, None)

    def clear(self) -> None:
        """Nobody is left."""
        self.waiting.clear()
        self._anyway.clear()

    def take(self, numbers: Sequence[int], *, all_of_them: bool = False) -> Events:
        """The events of a step for these invocations; if they are all that there are, the guest need not be told."""
        events = Events()
        if not all_of_them:
            events.focus(numbers)
        if self._anyway:
            anyway, self._anyway = self._anyway, []
            for event in anyway:
                event(events)
        for number in numbers:
            for event in self.waiting.pop(number):
                event(events)
        return events
