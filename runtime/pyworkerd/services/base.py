"""What every service is: something that answers requests and, where it has them, methods."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pyworkerd.messages import Request, Response

if TYPE_CHECKING:
    from pyworkerd.observe.scope import Scope


@dataclass(frozen=True, slots=True)
class Target:
    """Where inside a service a call is meant to go, and with which `ctx.props`."""

    entrypoint: str | None = None
    """Name of an exported class; None is the default export."""
    props: Any = field(default_factory=dict)
    object: str | None = None
    """Id of a Durable Object, whose class the entrypoint is; None for what is none."""
    name: str | None = None
    """The name that its id was made of, where that is known. Whoever makes a target has checked it."""


DEFAULT = Target()


Reply = Callable[[Response | None, Exception | None], None]
"""Takes the answer to a request, or why there is none. It raises nothing and starts nothing else."""


CallReply = Callable[[bytes | None, Exception | None], None]
"""The same for a call: takes what it returned."""


Surroundings = Callable[[], Context]
"""Makes the context in which something is done."""


class Pending(Protocol):
    """A request or a call that was asked and not answered yet."""

    def done(self) -> bool:
        """Whether it was answered meanwhile."""

    def cancel(self) -> None:
        """Tell the service that its caller has gone; no reply follows."""


class Ask(Protocol):
    """What a handler or a service may have as `ask`: `fetch` without a task, for what is asked most."""

    def __call__(
        self, request: Request, span: Scope, surroundings: Surroundings, reply: Reply
    ) -> Pending | None:
        """Ask. The reply may come before this returns.

        What is done on the request's behalf happens in the context that `surroundings` makes. Most requests are
        answered without any, and it is not made for them.

        None if this request has to be fetched. Raises what `fetch` raises.
        """


class Asks(Protocol):
    """What a service may be besides: one that answers other services without a task."""

    def ask_fetch(
        self, request: Request, target: Target, span: Scope, context: Context, reply: Reply
    ) -> Pending | None:
        """See `Ask`. No guest runs before this returns."""

    def ask_call(
        self, method: str, arguments: bytes, target: Target, span: Scope, context: Context, reply: CallReply
    ) -> Pending | None:
        """The same for `call`."""


class Service(Protocol):
    """A named thing that requests can be sent to. All of it runs on the runtime's event loop."""

    name: str

    async def fetch(self, request: Request, target: Target = DEFAULT) -> Response:
        """Answer one request. Cancelling the call tells the service that its caller has gone.

        Raises `PyworkerdError`; any other exception is a bug of the runtime.
        """

    async def call(self, method: str, arguments: bytes, target: Target = DEFAULT) -> bytes:
        """Call a method. Arguments and result are `pyworkerd_isolates.wire` values, passed through unread."""

    async def aclose(self) -> None:
        """Let go of everything. No call follows."""
