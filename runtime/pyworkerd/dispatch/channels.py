"""The one door out of the sandbox.

Whatever an isolate causes outside of itself, other than answering its caller, passes through a `Channels`. If every
method of it raises, a guest can reach nothing but its caller: a test does precisely that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from pyworkerd_isolates.protocol import Held, Named, Part

from pyworkerd.errors import AccessDenied, BadEffect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextvars import Context

    from pyworkerd.messages import Request, Response
    from pyworkerd.services.base import CallReply, Pending

    FetchReply: TypeAlias = Callable[[tuple[Response, str] | None, Exception | None], None]
    """Takes response and URL, or why there are none. It raises nothing and starts nothing else."""


class Capability(Protocol):
    """Something that a worker may use. Its methods run on the event loop and raise `PyworkerdError` for the guest."""

    external: bool
    """Whether it leaves the process: such calls count as subrequests."""

    async def call(self, method: str, arguments: bytes) -> bytes:
        """Perform a method. `arguments` is an encoded `[positional, named]`, written by the guest: hostile."""

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:
        """Send a request. Returns the response and the URL that it came from at last."""


class Asked(Protocol):
    """What a capability may be besides: one that is asked without a task, which costs as much as all else that the host
    does for a call. What is done happens in `context`. The reply may come before these return; none follows when the
    pending answer is cancelled. They return None where `call` or `fetch` has to be used, and raise what those raise.

    Where such a capability says that it is `foreign`, another program writes what its `ask` answers: whoever asked sees
    to it that its guest gets nothing that it takes long to read (`bindings.arguments.bounded`).
    """

    def ask(self, method: str, arguments: bytes, context: Context, reply: CallReply) -> Pending | None:
        """See `Capability.call`."""

    def ask_fetch(
        self, request: Request, redirect: str, context: Context, reply: FetchReply
    ) -> Pending | None:
        """See `Capability.fetch`."""


@runtime_checkable
class Divided(Protocol):
    """A capability with parts, such as the objects of a namespace."""

    def part(self, id_: str, name: str | None) -> Capability:
        """One of them, by its id and perhaps its name. Raises `PyworkerdError` for what it is not."""


@runtime_checkable
class Computing(Protocol):
    """A capability that asks nobody: it computes, and what that takes is CPU time of the invocation. So it
    is no call that `limits.calls` counts."""

    def prepare(self) -> None:
        """Load what it needs. On a thread, and nobody pays for it."""

    def cost_ms(self, method: str, arguments: bytes) -> float:
        """CPU time that it takes, about. Only what costs next to nothing is computed on the event loop."""

    def compute(self, method: str, arguments: bytes) -> bytes:
        """See `Capability.call`. Blocks."""


class Channels(Protocol):
    """The way out of one worker's isolates. A capability is named by its index in the worker's own table, and perhaps
    by an id within it. What one isolate was lent has a way of its own, `stubs.Stubs`, which is one of these as well."""

    def find(self, named: Named) -> Capability:
        """The capability. Raises `PyworkerdError`, `BadEffect` if it was never given."""

    def computing(self, named: Named) -> Computing | None:
        """The same, if it computes and `find` has found it."""


class NoChannels:
    """No way out at all."""

    def find(self, named: Named) -> Capability:  # noqa: ARG002
        """Refused."""
        raise AccessDenied("this worker has no capabilities")

    def computing(self, named: Named) -> None:
        """Nothing does."""


def _way_to_parts(whole: object) -> Callable[[str, str | None], Capability] | None:
    return whole.part if isinstance(whole, Divided) else None


def _as_computing(capability: object) -> Computing | None:
    return capability if isinstance(capability, Computing) else None


class Table:
    """A worker's own table of capabilities. Index 0 is its outbound network, None where it has none."""

    def __init__(self, capabilities: Sequence[Capability | None]) -> None:
        self._capabilities = tuple(capabilities)
        self._by_index: dict[object, Capability] = {
            index: found for index, found in enumerate(capabilities) if found is not None
        }
        self._parts = tuple(map(_way_to_parts, capabilities))
        """How to come to their parts; asking a protocol for each call takes longer than all else here."""
        self._computing = tuple(map(_as_computing, capabilities))

    def find(self, named: Named) -> Capability:
        """The capability of this index, or a part of one. Raises `AccessDenied` or `BadEffect` if there is none."""
        usual = self._by_index.get(named)
        if usual is not None:
            return usual
        if type(named) is Held:
            raise BadEffect("the worker named a stub where none can be used")
        index = named.capability if type(named) is Part else named
        assert type(index) is int
        found = self._capabilities[index] if 0 <= index < len(self._capabilities) else None
        if found is None:
            if index == 0:
                raise AccessDenied("this worker has no outbound network (global_outbound = false)")
            raise BadEffect(f"the worker named capability {index}, which it was never given")
        if type(named) is not Part:
            return found
        part = self._parts[index]
        if part is None:
            raise BadEffect(f"the worker named a part of capability {index}, which has none")
        return part(named.id, named.name)

    def computing(self, named: Named) -> Computing | None:
        """See `Channels`."""
        return self._computing[named] if type(named) is int else None
