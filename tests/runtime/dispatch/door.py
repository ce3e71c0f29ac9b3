"""What an isolate's parts ask of it, without an isolate: its next step as a list."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pyworkerd.dispatch.clearing import Clearing
from pyworkerd.dispatch.crowd import Crowd
from pyworkerd.dispatch.fairness import Account
from pyworkerd.dispatch.room import Room
from pyworkerd.dispatch.turns import Turns
from pyworkerd_isolates import wire
from pyworkerd_isolates.protocol import Events

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import Context


class Door:
    """An isolate's next step, as a list."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.events = Events()
        self.room = Room()
        self.crowd = Crowd(self.loop, self.room.hold)
        self.tasks: set[asyncio.Task[None]] = set()
        self.clearing = Clearing(Turns(), Account())
        self.clear = self.clearing.add

    def send(self, invocation: int | None, event: Callable[[Events], None]) -> None:
        event(self.events)

    def spawn(self, work: Coroutine[Any, Any, None], context: Context | None = None) -> asyncio.Task[None]:
        task = self.loop.create_task(work, context=context)
        self.tasks.add(task)
        return task

    def report(self, error: BaseException) -> None:
        raise AssertionError from error

    def told(self) -> list[Any]:
        """What the guest hears with its next step."""
        message, _ = wire.decode(self.events.frame())
        return message

    async def rest(self) -> None:
        """Until nothing is under way."""
        while self.tasks or self.clearing:
            await asyncio.sleep(0)
            done = {task for task in self.tasks if task.done()}
            self.tasks -= done
