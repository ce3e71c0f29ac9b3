"""The host's record of one run of a handler."""

from __future__ import annotations

import asyncio
from contextvars import copy_context

import pytest
from pyworkerd.dispatch.budget import Budget
from pyworkerd.dispatch.invocation import CallWork, FetchWork, Invocation
from pyworkerd.messages import Body, Request
from pyworkerd.observe.scope import begin
from pyworkerd.services.base import DEFAULT


async def nothing() -> Body:
    return Body(chunks=_Empty())


class _Empty:
    def __aiter__(self) -> _Empty:
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration


def new() -> tuple[Invocation, asyncio.Future[object]]:
    future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    work = CallWork("x", b"", DEFAULT)
    return Invocation(
        1, work, future, 0.0, Budget(50.0, 300_000), 50, 1000, copy_context(), begin()[0]
    ), future  # type: ignore[arg-type]


def test_an_answer_is_given_once_and_not_kept() -> None:
    async def main() -> None:
        invocation, future = new()
        assert not invocation.answered()
        invocation.succeed(b"one")
        assert (invocation.answered(), invocation.succeeded(), invocation.answer) == (True, True, None)
        invocation.succeed(b"two")
        invocation.fail(ValueError())
        assert await future == b"one"

    asyncio.run(main())


def test_a_failure_is_not_a_success() -> None:
    async def main() -> None:
        invocation, future = new()
        invocation.fail(ValueError("first"))
        invocation.fail(ValueError("second"))
        invocation.succeed(b"late")
        assert (invocation.answered(), invocation.succeeded()) == (True, False)
        with pytest.raises(ValueError, match="first"):
            await future

    asyncio.run(main())


def test_a_caller_who_left_wants_no_answer() -> None:
    async def main() -> None:
        invocation, future = new()
        future.cancel()
        invocation.succeed(b"late")
        assert (invocation.answered(), invocation.succeeded(), future.cancelled()) == (True, False, True)

    asyncio.run(main())


def test_it_holds_things_until_they_end() -> None:
    async def main() -> None:
        invocation, _ = new()
        invocation.let_go("never held")
        invocation.hold("a")
        invocation.hold("b")
        invocation.let_go("a")
        assert invocation.held == {"b"}
        invocation.again(7.0)
        assert (invocation.held, invocation.since, invocation.isolate) == (None, 7.0, None)

    asyncio.run(main())


def test_its_timer_ends_with_it() -> None:
    async def main() -> None:
        invocation, _ = new()
        timer = invocation.timer = asyncio.get_running_loop().call_later(1000, print)
        invocation.finish()
        invocation.finish()
        assert (timer.cancelled(), invocation.done, invocation.timer) == (True, True, None)

    asyncio.run(main())


def test_what_streams_cannot_be_repeated() -> None:
    async def main() -> None:
        assert FetchWork(Request("POST", "u", (), Body(b"x")), DEFAULT).repeatable
        assert not FetchWork(Request("POST", "u", (), await nothing()), DEFAULT).repeatable
        assert CallWork("x", b"", DEFAULT).repeatable

    asyncio.run(main())
