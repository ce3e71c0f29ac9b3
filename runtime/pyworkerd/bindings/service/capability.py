"""From a worker to a service. Nothing is serialised: a request stays an object, and RPC stays bytes."""

from __future__ import annotations

from contextvars import Context, copy_context
from dataclasses import replace
from types import coroutine
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

from pyworkerd.bindings.arguments import bounded
from pyworkerd.errors import ExceededDepth, PyworkerdError, UpstreamError
from pyworkerd.observe.scope import Scope, begin, scope
from pyworkerd.observe.spans import Outside
from pyworkerd.services.stubs import release

from . import depth

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

    from pyworkerd.dispatch.channels import FetchReply
    from pyworkerd.messages import Request, Response
    from pyworkerd.services.base import Asks, CallReply, Pending, Service, Target

MAX_DEPTH: Final = 32
"""Services that may wait for each other in a row. Workers: at most 32 Worker invocations per request
(service bindings, limits). Counting the row instead of the sum ends every loop as well, and needs nothing
that branches share.
"""
REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))

T = TypeVar("T")
_set_depth, _set_scope = depth.current.set, scope.set


def one_deeper(work: Coroutine[Any, Any, T], span: Scope) -> Awaitable[T]:
    """Run a call from service to service one level deeper, as a span of its own. Raises `ExceededDepth`.

    Both travel in the context: whoever performs an invocation's effects has to do so in the context in
    which the invocation was asked for. Effects of one invocation may share it, so `work` gets a copy of its own.
    """
    try:
        context = deeper(copy_context(), span)
    except ExceededDepth:
        work.close()
        raise
    return _within(context, work)


def deeper(context: Context, span: Scope) -> Context:
    """A copy of a context, one level deeper and in this span. Raises `ExceededDepth`."""
    level = context.get(depth.current, 0)
    if level >= MAX_DEPTH:
        raise ExceededDepth(f"more than {MAX_DEPTH} services call each other in a row")
    copy = context.copy()
    copy.run(_set_depth, level + 1)
    copy.run(_set_scope, span)
    return copy


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

    foreign = True
    __slots__ = ("_asks", "_caller", "_cpu_ms", "_service", "_target", "external")

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
        asks = not self.external and hasattr(service, "ask_call")
        self._asks = cast("Asks", service) if asks else None

    async def call(self, method: str, arguments: bytes) -> bytes:
        """Pass the call on. Nothing is read here; the result may not be hard to read for the worker that asked."""
        call = self._service.call(method, arguments, self._target)
        value = await one_deeper(call, _scope().inner(self._caller))
        try:
            return bounded(value, "the result", self._cpu_ms)
        except PyworkerdError:
            release(value)
            raise

    def ask(self, method: str, arguments: bytes, context: Context, reply: CallReply) -> Pending | None:
        """`call`, if the service can be asked."""
        asks = self._asks
        if asks is None:
            return None
        span = (context.get(scope) or begin()[0]).inner(self._caller)
        return asks.ask_call(method, arguments, self._target, span, deeper(context, span), reply)

    def ask_fetch(
        self, request: Request, redirect: str, context: Context, reply: FetchReply
    ) -> Pending | None:
        """`fetch`, if the service can be asked."""
        if self._asks is None or redirect == "error":
            return None
        span, headers = (context.get(scope) or begin()[0]).call(request.headers, self._caller)
        if headers is not request.headers:
            request = replace(request, headers=headers)

        def answered(response: Response | None, error: Exception | None) -> None:
            reply(None if response is None else (response, response.url or request.url), error)

        return self._asks.ask_fetch(request, self._target, span, deeper(context, span), answered)

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
            with Outside(span, request.method, request.url) as leaving:
                response = await one_deeper(outside.fetch(request, self._target, redirect=redirect), span)
                leaving.status = response.status
        else:
            response = await one_deeper(self._service.fetch(request, self._target), span)
        if redirect == "error" and response.status in REDIRECTS:
            await response.body.aclose()
            raise UpstreamError("the answer is a redirect, which this request does not allow")
        return response, response.url or request.url

    async def aclose(self) -> None:
        """Nothing to let go of."""
