"""What every service is: something that answers requests and, where it has them, methods."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pyworkerd.messages import Request, Response


@dataclass(frozen=True, slots=True)
class Target:
    """Where inside a service a call is meant to go, and with which `ctx.props`."""

    entrypoint: str | None = None
    """Name of an exported class; None is the default export."""
    props: Any = field(default_factory=dict)


DEFAULT = Target()


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
