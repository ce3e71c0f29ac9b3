"""From a worker to a service: nothing is rewritten on the way, and no loop is endless."""

from __future__ import annotations

import asyncio
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.bindings.registry import configure
from pyworkerd.bindings.service.capability import MAX_DEPTH, ServiceCapability
from pyworkerd.bindings.service.depth import depth
from pyworkerd.errors import ConfigurationError, ExceededDepth, UpstreamError, WorkerException
from pyworkerd.messages import Body, Request, Response
from pyworkerd.observe.scope import Scope, begin, scope
from pyworkerd.services.base import DEFAULT, Service, Target
from pyworkerd_config import Binding

from tests.runtime.bindings.hosts import Echo, Outside, StaticHost, built

if TYPE_CHECKING:
    from pyworkerd.services.base import CallReply, Pending, Reply

REQUEST = Request("POST", "http://auth/login", (("x-a", "b"),), Body(b"body"))


def test_requests_and_responses_pass_as_the_same_objects() -> None:
    async def main() -> None:
        echo = Echo()
        binding = configure(Binding("AUTH", "service", "auth"))
        async with built([binding], StaticHost(services={"auth": echo})) as environment:
            assert environment.entries == (("AUTH", "fetcher", 1),)
            assert not environment.table.find(1).external
            response, url = await environment.table.find(1).fetch(REQUEST, "follow")
        assert response is echo.response
        assert url == "http://auth/login"
        ((request, target),) = echo.requests
        assert request is REQUEST
        assert target == Target(None, {})
        assert not echo.closed

    asyncio.run(main())


UNREAD = (3).to_bytes(4, "little") + b"not even a value"


def test_method_calls_pass_unread_to_the_entrypoint_with_its_props() -> None:
    async def main() -> None:
        echo = Echo()
        options = {"entrypoint": "Admin", "props": {"tenant": 7}}
        binding = configure(Binding("AUTH", "service", "auth", options))
        async with built([binding], StaticHost(services={"auth": echo})) as environment:
            assert await environment.table.find(1).call("login", UNREAD) == UNREAD
        assert echo.calls == [("login", UNREAD, Target("Admin", {"tenant": 7}))]

    asyncio.run(main())


def test_a_service_that_does_not_exist() -> None:
    async def main() -> None:
        async with built([configure(Binding("AUTH", "service", "auth"))]):
            pass

    with pytest.raises(ConfigurationError, match="'auth'"):
        asyncio.run(main())


@pytest.mark.parametrize(
    ("value", "options"), [("", {}), (None, {}), ("auth", {"entrypoint": ""}), ("auth", {"entrypoint": 3})]
)
def test_what_cannot_be_configured(value: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="write "):
        configure(Binding("AUTH", "service", value, options))


def sent(service: Service, redirect: str) -> tuple[Response, str]:
    return asyncio.run(ServiceCapability(service, DEFAULT).fetch(REQUEST, redirect))


@pytest.mark.parametrize("redirect", ["follow", "manual"])
def test_in_process_a_redirect_is_an_answer(redirect: str) -> None:
    echo = Echo(response=Response(302, (("location", "/elsewhere"),)))
    response, _ = sent(echo, redirect)
    assert response.status == 302
    assert len(echo.requests) == 1


def test_a_redirect_that_is_not_allowed() -> None:
    with pytest.raises(UpstreamError, match="redirect"):
        sent(Echo(response=Response(302)), "error")
    assert sent(Echo(response=Response(304)), "error")[0].status == 304


@pytest.mark.parametrize("redirect", ["follow", "manual", "error"])
def test_a_service_outside_is_told_the_redirect_mode(redirect: str) -> None:
    outside = Outside(response=Response(url="http://auth/moved"))
    assert ServiceCapability(outside, DEFAULT).external
    assert sent(outside, redirect)[1] == "http://auth/moved"
    assert outside.redirect == redirect


class Chain(Echo):
    """A service that asks another one before it answers, and knows how often it was asked."""

    next: ServiceCapability
    width = 1

    async def fetch(self, request: Request, target: Target = DEFAULT) -> Response:
        self.requests.append((request, target))
        await asyncio.sleep(0)
        answers = await asyncio.gather(*(self.next.fetch(request, "follow") for _ in range(self.width)))
        return answers[0][0]

    async def call(self, method: str, arguments: bytes, target: Target = DEFAULT) -> bytes:
        self.calls.append((method, arguments, target))
        return await self.next.call(method, arguments)


def test_a_loop_of_services_ends() -> None:
    one, two = Chain("one"), Chain("two")
    one.next, two.next = ServiceCapability(two, DEFAULT), ServiceCapability(one, DEFAULT)
    with pytest.raises(ExceededDepth, match="32 services"):
        asyncio.run(one.fetch(REQUEST))
    assert len(one.requests) + len(two.requests) == MAX_DEPTH + 1
    with pytest.raises(ExceededDepth):
        asyncio.run(one.call("m", b""))
    assert len(one.calls) + len(two.calls) == MAX_DEPTH + 1


def test_a_row_of_services_may_be_as_long_as_the_limit() -> None:
    services: list[Chain] = [Chain(str(number)) for number in range(MAX_DEPTH)]
    for service, following in zip(services, [*services[1:], Echo()], strict=True):
        service.next = ServiceCapability(following, DEFAULT)
    assert asyncio.run(services[0].fetch(REQUEST)).status == 200


class Slow(Echo):
    async def fetch(self, request: Request, target: Target = DEFAULT) -> Response:
        await asyncio.sleep(0)
        return await super().fetch(request, target)


def test_calls_side_by_side_are_not_a_row() -> None:
    async def main() -> None:
        capability = ServiceCapability(Slow(), DEFAULT)
        # As the dispatcher does it: the effects of one invocation are tasks that share one context.
        shared = copy_context()
        loop = asyncio.get_running_loop()
        calls = [
            loop.create_task(capability.fetch(REQUEST, "follow"), context=shared)
            for _ in range(5 * MAX_DEPTH)
        ]
        assert {response.status for response, _ in await asyncio.gather(*calls)} == {200}

    asyncio.run(main())


class Stuck(Echo):
    async def fetch(self, request: Request, target: Target = DEFAULT) -> Response:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.closed = True
            raise
        return self.response


def test_the_service_hears_of_a_call_that_is_cancelled() -> None:
    async def main() -> None:
        stuck = Stuck()
        call = asyncio.ensure_future(ServiceCapability(stuck, DEFAULT).fetch(REQUEST, "follow"))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert stuck.closed

    asyncio.run(main())


class Failing(Echo):
    async def fetch(self, request: Request, target: Target = DEFAULT) -> Response:
        await asyncio.sleep(0)
        raise WorkerException("ValueError", "no")


def test_what_the_service_raises_passes_on() -> None:
    with pytest.raises(WorkerException, match="ValueError: no"):
        sent(Failing(), "follow")


class Asked(Echo):
    """Answers at once without a task, or goes on to another one; remembers how deep it was."""

    next: ServiceCapability | None = None
    levels: list[int]
    spans: list[Scope]

    def _note(self, span: Scope, context: Context) -> None:
        self.levels = [*getattr(self, "levels", ()), context.run(depth)]
        self.spans = [*getattr(self, "spans", ()), span]
        assert context.run(scope.get) is span

    def ask_call(
        self, method: str, arguments: bytes, target: Target, span: Scope, context: Context, reply: CallReply
    ) -> Pending | None:
        self.calls.append((method, arguments, target))
        self._note(span, context)
        if self.next is not None:
            return self.next.ask(method, arguments, context, reply)
        reply(arguments, None)
        return None

    def ask_fetch(
        self, request: Request, target: Target, span: Scope, context: Context, reply: Reply
    ) -> Pending | None:
        self.requests.append((request, target))
        self._note(span, context)
        reply(self.response, None)
        return None


Replies = list[tuple[Any, Exception | None]]


def kept(replies: Replies) -> Any:
    return lambda answer, error: replies.append((answer, error))


def test_a_service_that_can_be_asked_is_asked_one_deeper_and_in_a_span_of_its_own() -> None:
    asked, replies, context = Asked(), Replies(), copy_context()
    outer = begin()[0]
    context.run(scope.set, outer)
    capability = ServiceCapability(asked, Target("Admin"), "shop")
    capability.ask("login", UNREAD, context, kept(replies))
    capability.ask_fetch(REQUEST, "follow", context, kept(replies))
    assert replies == [(UNREAD, None), ((asked.response, REQUEST.url), None)]
    assert (asked.calls, asked.requests) == (
        [("login", UNREAD, Target("Admin"))],
        [(REQUEST, Target("Admin"))],
    )
    assert (asked.levels, context.run(depth), context.run(scope.get)) == ([1, 1], 0, outer)
    assert [(span.root, span.caller) for span in asked.spans] == [(outer, "shop")] * 2
    assert len({span.span_id for span in (outer, *asked.spans)}) == 3


def test_a_loop_of_services_that_are_asked_ends() -> None:
    one = Asked()
    one.next = ServiceCapability(one, DEFAULT)
    with pytest.raises(ExceededDepth, match="32 services"):
        one.next.ask("m", b"", copy_context(), kept([]))
    assert one.levels == list(range(1, MAX_DEPTH + 1))


def test_what_it_answers_is_another_programs() -> None:
    assert ServiceCapability(Asked(), DEFAULT).foreign, (
        "or a result that takes long to read would be passed on"
    )


def test_what_has_to_be_watched_is_not_asked() -> None:
    reply = kept([])
    assert ServiceCapability(Echo(), DEFAULT).ask("m", b"", copy_context(), reply) is None
    assert ServiceCapability(Outside(), DEFAULT).ask_fetch(REQUEST, "follow", copy_context(), reply) is None
    asked = Asked()
    assert ServiceCapability(asked, DEFAULT).ask_fetch(REQUEST, "error", copy_context(), reply) is None
    assert not asked.requests
