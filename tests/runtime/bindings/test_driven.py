"""A coroutine without a task: it begins at once, goes on when it can, and is cancelled where it waits."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

from pyworkerd.bindings.driven import Driven, Driver
from pyworkerd.errors import BadCall, StorageError
from pyworkerd.messages import Body, Request, Response

if TYPE_CHECKING:
    import pytest

here: ContextVar[str] = ContextVar("pyworkerd_test_driven")

Replies = list[tuple[Any, Exception | None]]


class Store(Driven):
    """Waits for its gate, twice."""

    def __init__(self) -> None:
        self.gates: list[asyncio.Future[str]] = []
        self.closed: list[str] = []

    async def wait(self) -> str:
        gate: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        return await gate

    async def call(self, method: str, arguments: bytes) -> bytes:
        if method == "refused":
            raise BadCall("no")
        try:
            return f"{await self.wait()} {await self.wait()} {here.get()}".encode() if method else arguments
        except asyncio.CancelledError:
            self.closed.append(await self.wait())
            raise

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:
        return Response(200, (), Body(await self.call(request.method, b""))), redirect


def asked(store: Store, method: str) -> tuple[Any, Replies]:
    replies, context = Replies(), copy_context()
    context.run(here.set, "inside")
    return store.ask(method, b"x", context, lambda *reply: replies.append(reply)), replies


async def turns(number: int = 3) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def test_what_need_not_wait_is_answered_before_the_call_returns() -> None:
    pending, replies = asked(Store(), "")
    assert (replies, pending.done()) == ([(b"x", None)], True)
    pending, ((answer, error),) = asked(Store(), "refused")
    assert (answer, str(error), pending.done()) == (None, "no", True)
    pending.cancel()


def test_it_begins_at_once_and_goes_on_as_soon_as_it_can_in_the_context_that_was_given() -> None:
    async def main() -> None:
        store = Store()
        pending, replies = asked(store, "m")
        store.gates[0].set_result("a")
        await turns()
        assert (len(store.gates), replies, pending.done()) == (2, [], False)
        store.gates[1].set_result("b")
        await turns()
        assert replies == [(b"a b inside", None)]

    asyncio.run(main())


def test_cancelled_it_may_clean_up_and_nothing_is_replied() -> None:
    async def main() -> None:
        store = Store()
        pending, replies = asked(store, "m")
        pending.cancel()
        pending.cancel()
        await turns()
        store.gates[1].set_result("closed")
        await turns()
        assert (store.closed, replies, pending.done()) == (["closed"], [], True)

    asyncio.run(main())


def test_cancelled_when_what_it_waits_for_has_just_come_it_goes_no_further() -> None:
    async def main() -> None:
        store = Store()
        pending, replies = asked(store, "m")
        store.gates[0].set_result("a")
        pending.cancel()
        await turns()
        store.gates[1].set_result("closed")
        await turns()
        assert (store.closed, replies) == (["closed"], [])

    asyncio.run(main())


def test_who_is_cancelled_by_somebody_else_is_told() -> None:
    async def main() -> None:
        store = Store()
        _, replies = asked(store, "m")
        store.gates[0].cancel()
        await turns()
        store.gates[1].set_result("closed")
        await turns()
        ((answer, error),) = replies
        assert answer is None
        assert isinstance(error, StorageError)

    asyncio.run(main())


def test_a_failure_is_replied(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        replies, gate = Replies(), asyncio.get_running_loop().create_future()

        async def work() -> None:
            await gate

        Driver(work(), copy_context(), lambda *reply: replies.append(reply))
        gate.set_exception(ValueError("a bug"))
        await turns()
        ((answer, error),) = replies
        assert (answer, str(error)) == (None, "a bug")

    asyncio.run(main())
    assert not caplog.records


def test_who_lets_others_go_first_goes_on_afterwards() -> None:
    async def main() -> None:
        replies = Replies()
        Driver(asyncio.sleep(0, "x"), copy_context(), lambda *reply: replies.append(reply))
        assert replies == []
        await turns()
        assert replies == [("x", None)]

    asyncio.run(main())


def test_a_body_that_is_still_on_its_way_needs_a_task() -> None:
    replies = Replies()
    streamed = Request("", "http://x/", (), Body(chunks=aiter(Body(b"x"))))
    assert Store().ask_fetch(streamed, "follow", copy_context(), lambda *r: replies.append(r)) is None
    Store().ask_fetch(Request("", "http://x/"), "follow", copy_context(), lambda *r: replies.append(r))
    (((response, redirect), error),) = replies
    assert (response.body.data, redirect, error) == (b"", "follow", None)
