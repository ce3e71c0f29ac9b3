"""`NAME = { queue = "jobs" }`: a queue to send to, as in Workers.

In the guest (`workers/queue.py`): `await env.NAME.send(body)`, `send_batch`, `metrics`. Who gets the messages is said
once, in `[[queues]]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pyworkerd.bindings.base import Access, Binding, text_of
from pyworkerd.queues.broker import Sender

from .capability import QueueCapability

if TYPE_CHECKING:
    from pyworkerd_config.model import Binding as Configured
    from pyworkerd_config.model import Place

    from pyworkerd.bindings.base import Grant, Host
    from pyworkerd.storage.layout import Location


class QueueBinding(Binding):
    """A queue by its name."""

    __slots__ = ("_location", "_queue")

    kind = "queue"
    shape = "queue"

    def __init__(
        self, name: str, queue: str, place: Place | None = None, location: Location | None = None
    ) -> None:
        super().__init__(name, place)
        self._queue = queue
        self._location = location
        """Where it is, if a program has opened it already; otherwise the host says so."""

    @classmethod
    def configure(cls, configured: Configured) -> Self:
        """The value is the name of a queue."""
        name = text_of(configured, "the name of the queue is not a text", 'write { queue = "jobs" }')
        return cls(configured.name, name, configured.place)

    async def prepare(self, host: Host) -> Grant:
        """Finds the queue; its file is opened by the first message."""
        if self._location is not None:
            return Access("queue", QueueCapability(Sender(host.shared, self._location, host.now), 0.0))
        queue, location = host.queue(self._queue)
        sender = Sender(host.shared, location, host.now)
        return Access("queue", QueueCapability(sender, float(queue.delivery_delay)))
