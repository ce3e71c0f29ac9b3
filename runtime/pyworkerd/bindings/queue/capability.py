"""What a worker's isolates ask of a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyworkerd_isolates import wire

from pyworkerd.bindings import arguments as args
from pyworkerd.bindings.driven import Driven
from pyworkerd.errors import NoSuchMethod
from pyworkerd.queues.rules import MAX_BATCH_BYTES, drafts

if TYPE_CHECKING:
    from pyworkerd.messages import Request, Response
    from pyworkerd.queues.broker import Sender


_MOST: Final = 2 * MAX_BATCH_BYTES
"""Bytes of arguments: what is somewhat more than a batch may have is refused in the platform's words."""


class QueueCapability(Driven):
    """Stages 3 and 4 of the binding."""

    __slots__ = ("_delay_s", "_sender")

    external = False

    def __init__(self, sender: Sender, delay_s: float) -> None:
        self._sender, self._delay_s = sender, delay_s

    async def call(self, method: str, arguments: bytes) -> bytes:
        """`send(messages)` and `sendBatch(messages)`, each message [body, content type, delay]; `metrics()`."""
        positional, named = args.decode(arguments, _MOST, args.SMALL)
        if named:
            raise args.type_error(f"{method[:40]}() takes no named arguments")
        if method in ("send", "sendBatch") and len(positional) == 1:
            await self._sender.send(drafts(positional[0], method, self._delay_s))
            return wire.dump_value(None)
        if method == "metrics" and not positional:
            backlog = await self._sender.backlog()
            return wire.dump_value([backlog.messages, backlog.size, backlog.oldest])
        raise NoSuchMethod(f"this binding has no method {method[:40]!r} with {len(positional)} arguments")

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:  # noqa: ARG002
        """A queue is not fetched from."""
        await request.body.aclose()
        raise NoSuchMethod("a queue has no fetch()")

    async def aclose(self) -> None:
        """Let go of the queue."""
        await self._sender.aclose()
