"""Calls that wait: charged before they are made, answered once, cancelled when nobody wants them."""

from __future__ import annotations

import asyncio
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import pytest
from pyworkerd.dispatch.bodies import Bodies
from pyworkerd.dispatch.budget import Budget
from pyworkerd.dispatch.calls import LEAST, Calls
from pyworkerd.dispatch.channels import Table
from pyworkerd.dispatch.clearing import AT_ONCE
from pyworkerd.dispatch.invocation import CallWork, Invocation
from pyworkerd.dispatch.sockets import Places, Sockets
from pyworkerd.dispatch.stubs import Stubs
from pyworkerd.dispatch.waiting import Waiting
from pyworkerd.errors import BadEffect, PyworkerdError, UpstreamError
from pyworkerd.messages import Body, Request, Response
from pyworkerd.observe.scope import begin
from pyworkerd.services.base import DEFAULT
from pyworkerd.websocket import Close
from pyworkerd_isolates import wire
from pyworkerd_isolates.limits import Limits
from pyworkerd_isolates.protocol import WINDOW, Abandon, Call, Data, Events, Fetch, StreamRef

from tests.runtime.dispatch import door
from tests.runtime.websocket.ends import End, pair

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


_on_the_way: WeakSet[asyncio.Task[Any]] = WeakSet()


class Door(door.Door):
    """An isolate's next step, as a list, and the worker's side of it."""

    def __init__(self, *capabilities: Any) -> None:
        super().__init__()
        self.errors: list[BaseException] = []
        self.channels = Table([None, *capabilities])
        self.places = Places(1)
        self.calls = 100
        self.limits = Limits()

    def report(self, error: BaseException) -> None:
        self.errors.append(error)

    def call_spans(self) -> None:
        """Nobody is told."""

    def describe(self, error: Exception) -> tuple[str, str, str | None]:
        return getattr(error, "code", "internal"), str(error), None

    async def rest(self) -> None:
        while self.tasks or self.clearing or len(_on_the_way) > 0:
            await super().rest()
            await asyncio.sleep(0)


class Capability:
    """Answers when it may."""

    def __init__(self, external: bool = False, error: BaseException | None = None) -> None:
        self.external, self.error = external, error
        self.gate = asyncio.Event()
        self.cancelled = False

    async def call(self, method: str, arguments: bytes) -> bytes:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.error is not None:
            raise self.error
        return arguments

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:
        data = await self.call("fetch", await request.body.read())
        return Response(200, (), Body(data)), request.url


class AskedCapability(Capability):
    """The same, asked without a task of the isolate's."""

    def ask(self, method: str, arguments: bytes, context: Context, reply: Callable[..., None]) -> Answer:
        assert "pyworkerd_test" in {variable.name for variable in context}
        return Answer(self.call(method, arguments), reply)

    def ask_fetch(
        self, request: Request, redirect: str, context: Context, reply: Callable[..., None]
    ) -> Answer:
        return Answer(self.fetch(request, redirect), reply)


class Answer:
    """One that is on its way."""

    def __init__(self, work: Coroutine[Any, Any, Any], reply: Callable[..., None]) -> None:
        self.reply = reply
        self.task = asyncio.get_running_loop().create_task(work)
        _on_the_way.add(self.task)
        self.task.add_done_callback(self.ended)

    def ended(self, task: asyncio.Task[Any]) -> None:
        _on_the_way.discard(task)
        if not task.cancelled():
            error = task.exception()
            self.reply(None if error else task.result(), error)

    def done(self) -> bool:
        return self.task.done()

    def cancel(self) -> None:
        self.task.cancel()


_here: ContextVar[bool] = ContextVar("pyworkerd_test")


@pytest.fixture(params=[Capability, AskedCapability])
def kind(request: pytest.FixtureRequest) -> type[Capability]:
    """Both ways of asking keep the same rules."""
    found: type[Capability] = request.param
    return found


def new(door: Door, subrequests: int = 10, limit: int = 3) -> tuple[Calls, Bodies, Invocation]:
    bodies = Bodies(door)
    work = CallWork("x", b"", DEFAULT)
    answer: Any = door.loop.create_future()
    _here.set(True)
    invocation = Invocation(
        1, work, answer, 0.0, Budget(50.0, 300_000), subrequests, 1000, copy_context(), begin()[0]
    )
    door.limits = Limits(pending=limit)
    calls = Calls(door, bodies, Sockets(door, door), Stubs(door, door), door)  # type: ignore[arg-type]
    return calls, bodies, invocation


def call(number: int, capability: int = 1) -> Call:
    return Call(number, 1, capability, "method", b"arguments")


def test_a_call_is_answered_once(kind: type[Capability]) -> None:
    async def main() -> None:
        capability = kind()
        door = Door(capability)
        calls, _, invocation = new(door)
        calls.begin(call(7), invocation)
        (held,) = invocation.held or ()
        assert isinstance(held, Waiting)
        assert (len(calls), invocation.touched_outside, held.effect.call) == (1, True, 7)
        capability.gate.set()
        await door.rest()
        assert door.told() == [["resolve", 7, "value", 0]]
        assert (len(calls), invocation.held) == (0, set())

    asyncio.run(main())


def test_results_that_wait_for_a_step_are_bounded_in_sum_and_accounted(kind: type[Capability]) -> None:
    async def main() -> None:
        capability = kind()
        capability.gate.set()
        door = Door(capability)
        calls, _, invocation = new(door)
        door.limits = Limits(memory_mb=1)
        for number in range(4):
            if number == 3:  # a step has taken them
                door.crowd.leaves([1])
                calls.renew()
            calls.begin(call(number)._replace(arguments=bytes(500_000)), invocation)
            await door.rest()
        assert [event[:3] for event in door.told()] == [
            ["resolve", 0, "value"],
            ["resolve", 1, "value"],
            ["reject", 2, "exceeded_subrequests"],
            ["resolve", 3, "value"],
        ]
        assert (door.crowd.size, door.room.held, door.room.promised) == (500_000, 500_000, 0)

    asyncio.run(main())


def test_responses_that_wait_for_a_step_are_bounded_as_results_are(kind: type[Capability]) -> None:
    closed: list[bool] = []

    class Source:
        def __aiter__(self) -> Source:
            return self

        async def aclose(self) -> None:
            closed.append(True)

    class Answering(kind):  # type: ignore[misc, valid-type]
        async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:
            await request.body.aclose()
            if request.url == "https://large.test/":
                return Response(200, (), Body(bytes(WINDOW))), request.url
            return Response(200, (("x", "y" * WINDOW),), Body(chunks=Source())), request.url  # type: ignore[arg-type]

    async def main() -> None:
        door = Door(Answering(external=True))
        calls, _, invocation = new(door)
        door.limits = Limits(memory_mb=1)
        for number, host in enumerate(("large", "headers", "large", "headers", "large")):
            if number == 4:  # a step has taken them
                door.crowd.leaves([1])
            calls.renew()
            fetch = Fetch(number, 1, 1, "GET", f"https://{host}.test/", (), None, "follow")
            calls.begin(fetch, invocation)
            await door.rest()
        assert [event[:3] for event in door.told()] == [
            ["resolve", 0, "response"],
            ["resolve", 1, "response"],
            ["resolve", 2, "response"],
            ["reject", 3, "exceeded_subrequests"],
            ["resolve", 4, "response"],
        ]
        assert (door.crowd.size, door.room.held, closed) == (WINDOW, WINDOW, [True])

    asyncio.run(main())


@pytest.mark.parametrize("error", [UpstreamError("no"), ValueError("a bug")])
def test_every_failure_is_an_answer(error: Exception, kind: type[Capability]) -> None:
    async def main() -> None:
        capability = kind(error=error)
        capability.gate.set()
        door = Door(capability)
        calls, _, invocation = new(door)
        calls.begin(call(7), invocation)
        await door.rest()
        assert door.told() == [["reject", 7, getattr(error, "code", "internal"), str(error), None]]

    asyncio.run(main())


@pytest.mark.parametrize("error", [type("Failed", (BaseException,), {})("outside"), asyncio.CancelledError()])
def test_a_call_that_is_broken_off_is_answered_as_well(error: BaseException) -> None:
    async def main() -> None:
        capability = Capability(error=error)
        capability.gate.set()
        door = Door(capability)
        calls, _, invocation = new(door)
        calls.begin(call(7), invocation)
        await door.rest()
        assert door.told() == [["reject", 7, "internal", "the call was broken off", None]]
        assert (len(calls), invocation.held) == (0, set())

    asyncio.run(main())


@pytest.mark.parametrize("what", ["abandon", "release", "end"])
def test_a_call_that_nobody_waits_for_is_cancelled(what: str, kind: type[Capability]) -> None:
    async def main() -> None:
        capability = kind()
        door = Door(capability)
        calls, _, invocation = new(door)
        calls.begin(call(7), invocation)
        await asyncio.sleep(0)
        {
            "abandon": lambda: calls.abandon(Abandon(7)),
            "release": lambda: calls.release(invocation),
            "end": calls.end,
        }[what]()
        await door.rest()
        assert (capability.cancelled, len(calls), door.told()) == (True, 0, [])

    asyncio.run(main())


def test_a_thousand_calls_of_a_dead_isolate_are_not_cancelled_in_one_turn() -> None:
    class Counts(Capability):
        ended = 0

        async def call(self, method: str, arguments: bytes) -> bytes:
            try:
                return await super().call(method, arguments)
            finally:
                self.ended += 1

    async def main() -> None:
        capability = Counts()
        door = Door(capability)
        door.calls = 1000
        calls, _, invocation = new(door, limit=1000)
        for number in range(1000):
            calls.begin(call(number), invocation)
        await asyncio.sleep(0)
        calls.end()
        assert len(calls) == 0
        before = most = 0
        while capability.ended < 1000:
            await asyncio.sleep(0)
            most, before = max(most, capability.ended - before), capability.ended
        assert most == AT_ONCE
        await door.rest()
        assert (door.room.held, door.told()) == (0, [])

    asyncio.run(main())


def test_what_was_abandoned_takes_room_until_it_has_ended_and_answers_nobody(kind: type[Capability]) -> None:
    """Else a step could begin as many as may wait, whatever is still to be cancelled of those before."""

    async def main() -> None:
        old, new_one = kind(), kind()
        door = Door(old, new_one)
        calls, _, invocation = new(door)
        for number in (1, 2, 3):
            calls.begin(call(number), invocation)
        await asyncio.sleep(0)
        for _ in range(AT_ONCE):
            door.clear(lambda: None)
        for number in (1, 2, 3):
            calls.abandon(Abandon(number))
        old.gate.set()
        calls.renew()
        calls.begin(call(4), invocation)
        assert [event[:3] for event in door.told()] == [["reject", 4, "exceeded_subrequests"]]
        door.events = Events()
        await door.rest()
        calls.renew()
        calls.begin(call(1, 2), invocation)
        new_one.gate.set()
        await door.rest()
        assert [event[:3] for event in door.told()] == [["resolve", 1, "value"]]

    asyncio.run(main())


def test_a_call_whose_number_was_used_before_ends_with_its_invocation(kind: type[Capability]) -> None:
    async def main() -> None:
        old, later = kind(), kind()
        door = Door(old, later)
        calls, _, invocation = new(door)
        calls.begin(call(1), invocation)
        await asyncio.sleep(0)
        calls.abandon(Abandon(1))
        calls.begin(call(1, 2), invocation)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (old.cancelled, len(calls)) == (True, 1)
        calls.release(invocation)
        await door.rest()
        assert (later.cancelled, len(calls), invocation.held, door.told()) == (True, 0, set(), [])

    asyncio.run(main())


def test_an_answer_that_was_on_its_way_is_not_taken_for_that_of_a_later_call(kind: type[Capability]) -> None:
    async def main() -> None:
        old, later = kind(), kind()
        door = Door(old, later)
        calls, _, invocation = new(door)
        calls.begin(call(1), invocation)
        await asyncio.sleep(0)
        old.gate.set()  # it goes on in the next turn, before it can be cancelled
        for _ in range(AT_ONCE):
            door.clear(lambda: None)
        calls.abandon(Abandon(1))
        calls.begin(call(1, 2), invocation)
        for _ in range(5):
            await asyncio.sleep(0)
        assert (door.told(), old.cancelled) == ([], False)
        later.gate.set()
        await door.rest()
        assert [event[:3] for event in door.told()] == [["resolve", 1, "value"]]

    asyncio.run(main())


def test_a_number_that_is_in_use_ends_the_isolate() -> None:
    async def main() -> None:
        door = Door(Capability())
        calls, _, invocation = new(door)
        calls.begin(call(7), invocation)
        with pytest.raises(BadEffect):
            calls.begin(call(7), invocation)
        calls.end()
        await door.rest()

    asyncio.run(main())


def test_a_capability_that_was_never_given_ends_the_isolate() -> None:
    async def main() -> None:
        door = Door()
        calls, _, invocation = new(door)
        with pytest.raises(BadEffect):
            calls.begin(call(7, 5), invocation)

    asyncio.run(main())


def test_what_an_invocation_may_not_ask_any_more_is_refused(kind: type[Capability]) -> None:
    async def main() -> None:
        door = Door(kind(), kind(external=True))
        calls, _, invocation = new(door, subrequests=1)
        calls.begin(call(1, 2), invocation)
        calls.begin(call(2, 2), invocation)
        calls.begin(call(3, 1), invocation)
        calls.begin(call(4, 1), invocation)
        calls.begin(call(5, 1), invocation)
        calls.renew()
        calls.begin(call(6, 1), None)
        calls.begin(call(8, 0), invocation)
        told = [(event[0], event[1], event[2]) for event in door.told()]
        assert told == [
            ("reject", 2, "exceeded_subrequests"),
            ("reject", 5, "exceeded_subrequests"),
            ("reject", 6, "exceeded_subrequests"),
            ("reject", 8, "exceeded_subrequests"),
        ]
        calls.end()
        await door.rest()

    asyncio.run(main())


def test_calls_that_are_abandoned_make_no_room_in_the_same_step() -> None:
    """Else a step could make and take back as many as it has effects, each a task on the loop's thread."""

    async def main() -> None:
        door = Door(Capability())
        calls, _, invocation = new(door)
        for _ in range(3):
            calls.begin(call(7), invocation)
            calls.abandon(Abandon(7))
        calls.begin(call(8), invocation)
        assert [event[:3] for event in door.told()] == [["reject", 8, "exceeded_subrequests"]]
        await door.rest()
        calls.renew()
        calls.begin(call(7), invocation)
        assert len(calls) == 1
        calls.end()
        await door.rest()

    asyncio.run(main())


def test_bodies_that_stream_are_promised_room() -> None:
    async def main() -> None:
        door = Door(Capability())
        calls, bodies, invocation = new(door)
        door.room.limit = 2 * WINDOW
        for number in (1, 2, 3):
            fetch = Fetch(number, 1, 1, "POST", "http://x/", (), StreamRef(number, None), "follow")
            calls.begin(fetch, invocation)
        assert [event[:3] for event in door.told()] == [["stop", 3], ["reject", 3, "exceeded_subrequests"]]
        bodies.data(Data(1, b"", True))
        bodies.data(Data(2, b"x" * 1000, True))
        calls.begin(Fetch(4, 1, 1, "POST", "http://x/", (), b"y" * 1000, "follow"), None)
        assert door.room.promised == 1000
        calls.end()
        await door.rest()
        assert (door.room.promised, door.room.held) == (0, 0)

    asyncio.run(main())


def test_whoever_goes_on_after_as_many_refusals_breaks_the_protocol() -> None:
    async def main() -> None:
        door = Door(Capability())
        calls, _, _ = new(door)
        for number in range(3):
            calls.begin(call(number), None)
        with pytest.raises(BadEffect, match="refused"):
            calls.begin(call(9), None)
        calls.renew()
        calls.begin(call(9), None)

    asyncio.run(main())


def test_calls_within_the_process_are_counted_for_the_request_and_all_that_it_causes() -> None:
    async def main() -> None:
        door = Door(Capability(), Capability(external=True))
        door.calls = 3
        calls, _, invocation = new(door)
        caused = Invocation(
            2,
            invocation.work,
            None,
            0.0,
            Budget(50.0, 300_000),
            10,
            0,
            copy_context(),
            invocation.scope.call()[0],
        )
        calls.begin(call(1), invocation)
        calls.begin(call(2), caused)
        calls.renew()
        for number in (1, 2):
            calls.abandon(Abandon(number))
        await door.rest()
        calls.renew()
        calls.begin(call(3), invocation)
        calls.begin(call(4), invocation)
        calls.begin(call(5, 2), invocation)
        assert [event[:3] for event in door.told()] == [["reject", 4, "exceeded_subrequests"]]
        calls.end()
        await door.rest()

    asyncio.run(main())


@pytest.mark.parametrize("refused", [True, False])
def test_a_body_that_is_not_sent_is_stopped(refused: bool) -> None:
    async def main() -> None:
        door = Door(Capability(error=UpstreamError("no")))
        calls, bodies, invocation = new(door)
        fetch = Fetch(7, 1, 1, "POST", "http://x/", (), StreamRef(3, None), "follow")
        calls.begin(fetch, None if refused else invocation)
        await asyncio.sleep(0)
        if not refused:
            calls.abandon(Abandon(7))
        await door.rest()
        assert ["stop", 3] in door.told()
        assert len(bodies) == 0

    asyncio.run(main())


def test_an_answer_that_comes_too_late_is_closed() -> None:
    async def main() -> None:
        class Closing(Body):
            closed = False

            async def aclose(self) -> None:
                Closing.closed = True

        class Late(Capability):
            async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:
                await self.gate.wait()
                return Response(200, (), Closing(chunks=aiter(Body(b"x")))), ""

        capability = Late()
        door = Door(capability)
        calls, bodies, invocation = new(door)
        calls.begin(Fetch(7, 1, 1, "GET", "http://x/", (), None, "follow"), invocation)
        await asyncio.sleep(0)
        invocation.done = True
        capability.gate.set()
        await door.rest()
        assert (Closing.closed, len(bodies), door.told()) == (True, 0, [])

    asyncio.run(main())


def test_a_response_is_handed_in(kind: type[Capability]) -> None:
    async def main() -> None:
        capability = kind()
        capability.gate.set()
        door = Door(capability)
        calls, _, invocation = new(door)
        calls.begin(Fetch(7, 1, 1, "POST", "http://x/", (), b"body", "follow"), invocation)
        await door.rest()
        ((name, number, form, status, *_),) = door.told()
        assert (name, number, form, status) == ("resolve", 7, "response", 200)
        assert PyworkerdError not in [type(error) for error in door.errors]

    asyncio.run(main())


def test_what_is_answered_or_refused_at_once_needs_no_task() -> None:
    class Quick(Capability):
        def ask(self, method: str, arguments: bytes, context: Context, reply: Callable[..., None]) -> None:
            if method == "refused":
                raise UpstreamError("no")
            reply(arguments, None)

    async def main() -> None:
        door = Door(Quick())
        calls, _, invocation = new(door)
        calls.begin(call(7), invocation)
        calls.begin(call(8)._replace(method="refused"), invocation)
        assert [event[:3] for event in door.told()] == [["resolve", 7, "value"], ["reject", 8, "upstream"]]
        assert (len(calls), invocation.held, door.room.held, door.tasks) == (0, set(), 0, set())

    asyncio.run(main())


@pytest.mark.parametrize("foreign", [False, True])
def test_what_another_program_answers_is_refused_if_it_takes_long_to_read(foreign: bool) -> None:
    hard = wire.dump_value([[] for _ in range(30_000)])

    class Hard(Capability):
        def ask(self, method: str, arguments: bytes, context: Context, reply: Callable[..., None]) -> None:
            reply(hard, None)

    async def main() -> None:
        capability: Any = Hard()
        capability.foreign = foreign
        door = Door(capability)
        calls, _, invocation = new(door)
        calls.begin(call(7), invocation)
        ((name, number, *rest),) = door.told()
        assert (name, number) == ("reject" if foreign else "resolve", 7)
        assert ("take about" in str(rest)) == foreign
        assert (len(calls), invocation.held) == (0, set())

    asyncio.run(main())


def test_only_what_is_larger_than_the_record_of_a_call_is_accounted() -> None:
    async def main() -> None:
        door = Door(Capability())
        calls, _, invocation = new(door)
        calls.begin(call(1)._replace(arguments=b"x" * LEAST), invocation)
        assert (door.room.promised, door.room.held) == (0, 0)
        calls.begin(call(2)._replace(arguments=b"x" * (LEAST + 1)), invocation)
        assert (door.room.promised, door.room.held) == (LEAST + 1, LEAST + 1)
        calls.end()
        await door.rest()
        assert (door.room.promised, door.room.held) == (0, 0)

    asyncio.run(main())


def test_what_cannot_be_asked_is_called() -> None:
    class Rarely(Capability):
        def ask(self, *_: Any) -> None:
            return None

        def ask_fetch(self, *_: Any) -> None:
            return None

    async def main() -> None:
        capability = Rarely()
        capability.gate.set()
        door = Door(capability)
        calls, _, invocation = new(door)
        calls.begin(call(7), invocation)
        calls.begin(Fetch(8, 1, 1, "GET", "http://x/", (), None, "follow"), invocation)
        await door.rest()
        assert [event[:3] for event in door.told()] == [["resolve", 7, "value"], ["resolve", 8, "response"]]

    asyncio.run(main())


class Upgrading(Capability):
    """Answers with a WebSocket."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[End] = []

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:
        await self.gate.wait()
        given, _ = pair()
        self.given.append(given)
        return Response(200, (("a", "b"),), web_socket=given), request.url


def test_an_answer_may_be_a_websocket_as_long_as_there_is_a_place() -> None:
    async def main() -> None:
        capability = Upgrading()
        door = Door(capability)
        calls, _, invocation = new(door)
        for number in (7, 8):
            calls.begin(Fetch(number, 1, 1, "GET", "http://x/", (), None, "follow"), invocation)
        capability.gate.set()
        await door.rest()
        told = door.told()
        assert told[0] == ["resolve", 7, "upgrade", [["a", "b"]], 2, "http://x/"]
        assert told[1][:3] == ["reject", 8, "exceeded_websockets"]
        assert capability.given[1].told == Close(1001, "", clean=False)

    asyncio.run(main())


def test_a_websocket_that_nobody_waits_for_is_closed() -> None:
    async def main() -> None:
        capability = Upgrading()
        door = Door(capability)
        calls, _, invocation = new(door)
        calls.begin(Fetch(7, 1, 1, "GET", "http://x/", (), None, "follow"), invocation)
        capability.gate.set()
        invocation.done = True
        await door.rest()
        await door.rest()
        assert door.told() == []
        assert capability.given[0].told == Close(1001, "", clean=False)

    asyncio.run(main())
