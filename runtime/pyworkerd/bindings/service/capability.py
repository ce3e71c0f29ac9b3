"""From a worker to a service. Nothing is serialised: a request stays an object, and RPC stays bytes."""

from __future__ import annotations

from contextvars import Context, copy_context
from dataclasses import replace
from types import coroutine
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

from pyworkerd.bindings.arguments import bounded
from pyworkerd.errors import ExceededDepth, UpstreamError
from pyworkerd.observe.scope import Scope, begin, scope

from . import depth

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

    from pyworkerd.messages import Request, Response
    from pyworkerd.services.base import Service, Target

MAX_DEPTH: Final = 32
"""Services that may wait for each other in a row. Workers: at most 32 Worker invocations per request
(service bindings, limits). Counting the row instead of the sum ends every loop as well, and needs nothing
that branches share.
"""
REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))

T = TypeVar("T")


def one_deeper(work: Coroutine[Any, Any, T], span: Scope) -> Awaitable[T]:
    """Run a call from service to service one level deeper, as a span of its own. Raises `ExceededDepth`.

    Both travel in the context: whoever performs an invocation's effects has to do so in the context in
    which the invocation was asked for. Effects of one invocation may share it, so `work` gets a copy of its own.
    """
    level = depth.current.get()
    if level >= MAX_DEPTH:
        work.close()
        raise ExceededDepth(f"more than {MAX_DEPTH} services call each other in a row")
    context = copy_context()
    context.run(depth.current.set, level + 1)
    context.run(scope.set, span)
    return _within(context, work)


@coroutine
def _within(context: Context, work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Run a coroutine in a context, as part of the task that awaits it: a task of its own would take a turn longer."""
    step: Callable[[Any], Any] = work.send
    value: Any = None
    try:
        while True:
            try:
                waits_for = context.run(step, value)
            except StopIteration as stop:
                return cast("T", stop.value)
            try:
                step, value = work.send, (yield waits_for)
            except BaseException as error:  # noqa: BLE001  (it is thrown into the coroutine, whatever it is)
                step, value = work.throw, error
    finally:
        del step, value  # an error holds this frame with its traceback: the frame must not hold the error


def _scope() -> Scope:
    """Of the caller; a new one where it has none."""
    return scope.get() or begin()[0]


class FollowsRedirects(Protocol):
    """What a service outside the process has beside `Service`: it takes a redirect mode (fetch standard)."""

    async def fetch(self, request: Request, target: Target, *, redirect: str) -> Response:
        """See `services.network.NetworkService.fetch`."""


class ServiceCapability:
    """Sends requests and method calls to one service. Closing it does not close the service."""

    __slots__ = ("_caller", "_cpu_ms", "_service", "_target", "external")

    def __init__(
        self, service: Service, target: Target, caller: str = "", cpu_ms: float | None = None
    ) -> None:
        self._service = service
        self._cpu_ms = cpu_ms
        """Of the worker that asks."""
        self._target = target
        self._caller = caller
        """The worker whose capability this is."""
        self.external = bool(getattr(service, "external", False))
        """Whether the service says of itself that it leaves the process: a network or an external server."""

    async def call(self, method: str, arguments: bytes) -> bytes:
        """Pass the call on. Nothing is read here; the result may not be hard to read for the worker that asked."""
        call = self._service.call(method, arguments, self._target)
        return bounded(
            await one_deeper(call, _scope().call(caller=self._caller)[0]), "the result", self._cpu_ms
        )

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:
        """Pass the request on. Only services outside the process follow redirects.

        In process a redirect is an answer like any other, also with "follow": its location is for the one
        who asked first, and who would be asked next is not for this binding to choose.
        """
        span, headers = _scope().call(request.headers, self._caller)
        headers = span.headers + headers if self.external else headers
        if headers is not request.headers:
            request = replace(request, headers=headers)
        if self.external:
            outside = cast("FollowsRedirects", self._service)
            work = outside.fetch(request, self._target, redirect=redirect)
        else:
            work = self._service.fetch(request, self._target)
        response = await one_deeper(work, span)
        if redirect == "error" and response.status in REDIRECTS:
            await response.body.aclose()
            raise UpstreamError("the answer is a redirect, which this request does not allow")
        return response, response.url or request.url

    async def aclose(self) -> None:
        """Nothing to let go of."""
