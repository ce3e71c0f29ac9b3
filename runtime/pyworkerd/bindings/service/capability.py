"""From a worker to a service. Nothing is serialised: a request stays an object, and RPC stays bytes."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol, cast

from pyworkerd.errors import ExceededDepth, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyworkerd.messages import Request, Response
    from pyworkerd.services.base import Service, Target

MAX_DEPTH: Final = 32
"""Services that may wait for each other in a row. Workers: at most 32 Worker invocations per request
(service bindings, limits). Counting the row instead of the sum ends every loop as well, and needs nothing
that branches share.
"""
REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))

_depth: ContextVar[int] = ContextVar("pyworkerd_service_depth", default=0)


@contextmanager
def one_deeper() -> Iterator[None]:
    """Around a call from service to service. Raises `ExceededDepth`.

    The depth travels in the context: whoever performs an invocation's effects has to do so in the context, or
    a copy of it, in which the invocation was asked for.
    """
    depth = _depth.get()
    if depth >= MAX_DEPTH:
        raise ExceededDepth(f"more than {MAX_DEPTH} services call each other in a row")
    token = _depth.set(depth + 1)
    try:
        yield
    finally:
        _depth.reset(token)


class FollowsRedirects(Protocol):
    """What a service outside the process has beside `Service`: it takes a redirect mode (fetch standard)."""

    async def fetch(self, request: Request, target: Target, *, redirect: str) -> Response:
        """See `services.network.NetworkService.fetch`."""


class ServiceCapability:
    """Sends requests and method calls to one service. Closing it does not close the service."""

    __slots__ = ("_service", "_target", "external")

    def __init__(self, service: Service, target: Target) -> None:
        self._service = service
        self._target = target
        self.external = bool(getattr(service, "external", False))
        """Whether the service says of itself that it leaves the process: a network or an external server."""

    async def call(self, method: str, arguments: bytes) -> bytes:
        """Pass the call on; neither arguments nor result are read here."""
        with one_deeper():
            return await self._service.call(method, arguments, self._target)

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:
        """Pass the request on. Only services outside the process follow redirects.

        In process a redirect is an answer like any other, also with "follow": its location is for the one
        who asked first, and who would be asked next is not for this binding to choose.
        """
        with one_deeper():
            if self.external:
                outside = cast("FollowsRedirects", self._service)
                response = await outside.fetch(request, self._target, redirect=redirect)
            else:
                response = await self._service.fetch(request, self._target)
        if redirect == "error" and response.status in REDIRECTS:
            await response.body.aclose()
            raise UpstreamError("the answer is a redirect, which this request does not allow")
        return response, response.url or request.url

    async def aclose(self) -> None:
        """Nothing to let go of."""
