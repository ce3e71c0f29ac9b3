"""How a worker is to be run, and what that means for its pool. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, Protocol, Self

from pyworkerd_config.model import Limits
from pyworkerd_isolates.pool import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyworkerd_config.model import ObjectClass

    from pyworkerd.messages import Request, Response
    from pyworkerd.observe.logs import LogSink
    from pyworkerd.replay.recorder import Recorder
    from pyworkerd.services.base import Target

    from .tails import Tails

ISOLATE_COST: Final = 512 * 1024
"""What one live isolate is reckoned at before its memory grows: measured 0.2 to 0.35 MiB, with a margin."""


UNFROZEN_COST: Final = 1024 * 1024
"""The same where its top level has run in it, and is not shared with others: measured 0.9 MiB."""


IDLE_S: Final = 10.0
"""How long a Durable Object stays in memory when nobody asks for it (workerd: 10 s)."""


@dataclass(frozen=True, slots=True)
class ClassOptions:
    """How the Durable Objects of one class are to be run."""

    unique_key: str
    stays: bool = False
    """They are not evicted when they are idle, and do not hibernate."""
    hibernate: bool = True
    """What they have in memory is put away when they are idle, and not lost."""
    idle_s: float = IDLE_S
    """How long they stay in memory when nobody asks for them."""
    most: int | None = None
    """How many of them may store something."""

    @classmethod
    def of(cls, configured: ObjectClass, key: str) -> Self:
        """What was said about a class, whose ids are made from this key."""
        return cls(
            key,
            configured.prevent_eviction,
            configured.hibernate,
            configured.idle_ms / 1000,
            configured.max_objects,
        )


class Front(Protocol):
    """Something in front of a worker: its static files."""

    def passes(self, request: Request) -> bool:
        """Whether a request is for the worker, as far as that is known at once."""

    async def before(self, request: Request) -> Response | None:
        """The answer to a request, or None if it is for the worker; its body is untouched then."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What of its configuration is not its program."""

    limits: Limits = field(default_factory=Limits)
    reuse: Literal["isolate", "request"] = "isolate"
    outbound: bool = True
    sinks: tuple[LogSink, ...] = ()
    objects: Mapping[str, ClassOptions] = field(default_factory=dict)
    """What was said about classes of Durable Objects."""
    front: Front | None = None
    """Who is asked for the default entrypoint before the worker is."""
    tails: Tails | None = None
    """Who is told what its invocations did."""
    caches: int | None = None
    """Index of the capability that the Cache API asks."""
    recorder: Recorder | None = None
    """What writes down some of its invocations."""
    hidden: frozenset[str] = frozenset()
    """Names of bindings whose values nobody is to read."""
    crypto: int | None = None
    """Index of the capability that `crypto.subtle` asks; None where the language has none."""

    def meta(self, name: str) -> dict[str, object]:
        """What an isolate is told of its worker, which has this name, besides its bindings."""
        return {
            "worker": name,
            "outbound": self.outbound,
            "cache": self.caches,
            "crypto": self.crypto,
            "log_bytes": self.limits.log_kb * 1024,
        }

    async def in_front(self, request: Request, target: Target) -> Response | None:
        """The answer of who is in front, if anybody is, and has one."""
        if self.front is None or target.entrypoint is not None:
            return None
        return await self.front.before(request)

    def policy(self, *, fresh: bool = False) -> Policy:
        """What its pool may have; `fresh`: an isolate for each request, whatever is said."""
        limits = self.limits
        queue, queue_s = limits.queue, limits.queue_ms / 1000
        if not limits.queue_ms:
            queue, queue_s = 0, 1.0  # whoever cannot begin at once does not wait at all
        common = partial(Policy, queue=queue, queue_s=queue_s, cost=ISOLATE_COST)
        if fresh or self.reuse == "request":
            return common(isolates=limits.concurrency, concurrency=1, fresh=True)
        return common(isolates=limits.isolates, concurrency=limits.concurrency)
