"""What a queue's provider does. Each method is durable when it returns, and safe in several processes at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .rules import Draft


class Message(NamedTuple):
    """A message as a consumer gets it. Number and attempts together name one delivery."""

    number: int
    sent: float
    """Seconds since 1970."""
    attempts: int
    """Deliveries, this one included."""
    format: str
    body: bytes


class Outlook(NamedTuple):
    """How a queue stands for a consumer."""

    ready: int
    """Messages that can be taken now, counted up to what was asked for."""
    since: float | None
    """Since when the first of them can be."""
    later: float | None
    """When the next one can be that cannot be now: delayed, or in somebody's hands."""
    batches: int
    """Batches in somebody's hands."""
    size: int = 0
    """Bytes of what is counted as ready."""


class Backlog(NamedTuple):
    """All messages that are not acknowledged."""

    messages: int
    size: int
    """Bytes of their bodies."""
    oldest: float | None
    """When the oldest was sent."""


class Retry(NamedTuple):
    """A delivery that is to come again."""

    message: Message
    delay_s: float


class QueueStore(Protocol):
    """Times are seconds since 1970."""

    async def send(self, drafts: Sequence[Draft], now: float) -> None:
        """Keep messages. Raises `StorageFull` if there is no room, and then none is kept."""

    async def outlook(self, most: int, now: float) -> Outlook:
        """See `Outlook`."""

    async def take(self, most: int, now: float, until: float, batch: str, concurrency: int) -> list[Message]:
        """Take up to so many messages, which nobody else gets before `until`, as one batch of this name.

        It has `rules.MAX_BATCH_BYTES` at most, or one message. None while `concurrency` batches are in hands already.
        Messages older than the retention are dropped.
        """

    async def hold(self, batch: str, until: float) -> None:
        """What is left of a batch stays in the same hands for longer."""

    async def settle(self, done: Sequence[Message], retries: Sequence[Retry], now: float) -> None:
        """Forget what was done, and let the others come again. A delivery that somebody else has had since is left
        alone.
        """

    async def give_back(self, messages: Sequence[Message]) -> None:
        """They were not delivered: they are where they were, and this attempt is none."""

    async def backlog(self) -> Backlog:
        """See `Backlog`."""

    async def peek(self, most: int) -> list[Message]:
        """The oldest messages, as they are: nobody has been given them by this."""

    async def purge(self) -> int:
        """Forget all messages. Returns how many there were."""

    async def aclose(self) -> None:
        """Let go of everything."""
