"""An isolate's next step as a list, and a worker's side of it, for WebSockets."""

from __future__ import annotations

import asyncio
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from pyworkerd.dispatch.allowance import Allowance
from pyworkerd.dispatch.budget import Budget
from pyworkerd.dispatch.clearing import Clearing
from pyworkerd.dispatch.crowd import Crowd
from pyworkerd.dispatch.fairness import Account
from pyworkerd.dispatch.invocation import CallWork, Invocation
from pyworkerd.dispatch.room import Room
from pyworkerd.dispatch.sockets import Places, Sockets
from pyworkerd.dispatch.turns import Turns
from pyworkerd.observe.counters import WorkerCounters
from pyworkerd.observe.scope import begin
from pyworkerd.services.base import DEFAULT
from pyworkerd_isolates import wire
from pyworkerd_isolates.protocol import Events, SocketClose, SocketCredit, SocketSend

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["Door", "SocketClose", "SocketCredit", "SocketSend"]


class Door:
    """Door and keeper in one."""

    def __init__(self, places: int = 3, message_bytes: int = 1_000_000) -> None:
        self.loop = asyncio.get_running_loop()
        self.events = Events()
        self.tasks: set[asyncio.Task[None]] = set()
        self.places = Places(places)
        self.message_bytes = message_bytes
        self.allowance = Allowance(50.0, 7, 1000)
        self.counters = WorkerCounters()
        self.woken: list[int] = []
        self.room = Room()
        self.crowd = Crowd(self.loop, self.room.hold)
        self.sockets = Sockets(self, self)
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

    def rested(self, invocation: Invocation) -> None:
        self.woken.append(invocation.id)

    def invocation(self, number: int = 1) -> Invocation:
        answer: Any = self.loop.create_future()
        work = CallWork("x", b"", DEFAULT)
        return Invocation(
            number, work, answer, 0.0, Budget(50.0, 300_000), 10, 1000, copy_context(), begin()[0]
        )

    def told(self) -> list[Any]:
        """What the guest hears with its next step, with bytes in the place of their numbers."""
        message, blobs = wire.decode(self.events.frame())
        self.events = Events()
        for event in message:
            if event[0] == "ws_message":
                event[2] = b"" if event[2] is None else bytes(blobs[event[2]])
        return message

    async def rest(self) -> None:
        while self.tasks or self.clearing:
            await asyncio.sleep(0)
            done = {task for task in self.tasks if task.done()}
            self.tasks -= done
