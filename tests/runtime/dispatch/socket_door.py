"""An isolate's next step as a list, and a worker's side of it, for WebSockets."""

from __future__ import annotations

from contextvars import copy_context
from typing import Any

from pyworkerd.dispatch.allowance import Allowance
from pyworkerd.dispatch.budget import Budget
from pyworkerd.dispatch.invocation import CallWork, Invocation
from pyworkerd.dispatch.sockets import Places, Sockets
from pyworkerd.observe.counters import WorkerCounters
from pyworkerd.observe.scope import begin
from pyworkerd.services.base import DEFAULT
from pyworkerd_isolates import wire
from pyworkerd_isolates.protocol import Events

from tests.runtime.dispatch import door


class Door(door.Door):
    """Door and keeper in one."""

    def __init__(self, places: int = 3, message_bytes: int = 1_000_000) -> None:
        super().__init__()
        self.places = Places(places)
        self.message_bytes = message_bytes
        self.allowance = Allowance(50.0, 7, 1000)
        self.counters = WorkerCounters()
        self.woken: list[int] = []
        self.sockets = Sockets(self, self)

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
