"""A queue in the hands of the program that embeds the runtime; also a binding to give to workers.

jobs = runtime.queue("jobs")
worker = await runtime.load("worker.py", bindings={"JOBS": jobs})
for message in await jobs.receive():
    print(message.body)
    await jobs.ack(message)
"""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyworkerd_isolates import wire

from pyworkerd.queues.broker import Sender
from pyworkerd.queues.rules import drafts
from pyworkerd.queues.store import Message, Retry

from . import QueueBinding

if TYPE_CHECKING:
    from pyworkerd.bindings.shared import Shared
    from pyworkerd.queues.store import Backlog
    from pyworkerd.storage.layout import Location

BATCHES: Final = 1_000
"""A program may have as many batches in hand."""


class Received(NamedTuple):
    """A message that the program has in hand."""

    body: Any
    attempts: int
    """Deliveries, this one included."""
    sent: float
    """Seconds since 1970."""
    message: Message


class Queue:
    """Open until the runtime is closed, or `aclose`. Refusals are `BadCall`; a store that cannot is `StorageError`."""

    def __init__(self, location: Location, shared: Shared) -> None:
        self._location = location
        self._sender = Sender(shared, location, time.time)

    def __repr__(self) -> str:
        return f"<{self._location.label}>"

    def as_binding(self, name: str) -> QueueBinding:
        """The same queue, for a worker to send to."""
        return QueueBinding(name, self._location.label, None, self._location)

    async def send(self, body: Any, *, content_type: str = "json", delay_seconds: float = 0) -> None:
        """Keep a message; it is on disk when this returns. `content_type` is json, text, bytes or v8 (whatever crosses
        RPC). Raises TypeError or ValueError for a body that is not of its type.
        """
        plain = json.loads(json.dumps(body)) if content_type == "json" else body
        message = [wire.dump_value(plain), content_type, delay_seconds]
        await self._sender.send(drafts([message], "send", 0.0))

    async def receive(self, most: int = 10, seconds: float = 30.0) -> list[Received]:
        """Take messages. Who does not `ack` or `retry` one within so many seconds gives it back."""
        now = time.time()
        taken = await self._sender.store.take(most, now, now + seconds, secrets.token_hex(8), BATCHES)
        return [Received(wire.load_value(m.body), m.attempts, m.sent, m) for m in taken]

    async def ack(self, *received: Received) -> None:
        """They are done."""
        await self._sender.store.settle([each.message for each in received], [], time.time())

    async def retry(self, *received: Received, delay_seconds: float = 0) -> None:
        """They shall come again."""
        retries = [Retry(each.message, delay_seconds) for each in received]
        await self._sender.store.settle([], retries, time.time())

    async def backlog(self) -> Backlog:
        """All that is not acknowledged: messages, bytes, and when the oldest was sent."""
        return await self._sender.backlog()

    async def aclose(self) -> None:
        """Let go of the queue; workers that have it keep it."""
        await self._sender.aclose()
