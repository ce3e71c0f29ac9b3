"""Functions of the embedding program, called by guests."""

from __future__ import annotations

import asyncio
import logging
import threading
from functools import partial
from typing import Any, NoReturn

import pytest
from pyworkerd.bindings import arguments as args
from pyworkerd.bindings.callable import CallableBinding
from pyworkerd.bindings.callable.capability import CallableCapability
from pyworkerd.bindings.callable.functions import THREADS
from pyworkerd.errors import AccessDenied, NoSuchMethod, WorkerException
from pyworkerd.messages import Request
from pyworkerd_isolates import wire

from tests.runtime.bindings.hosts import arguments, ask, built


def called(function: Any, *positional: Any, **named: Any) -> Any:
    async def main() -> Any:
        async with built([CallableBinding("NAME", function)]) as environment:
            assert environment.entries == (("NAME", "callable", 1),)
            assert not environment.table.find(1).external
            return await ask(environment, "call", *positional, **named)

    return asyncio.run(main())


def add(a: int, b: int = 1) -> int:
    return a + b


async def add_later(a: int, b: int = 1) -> int:
    await asyncio.sleep(0)
    return a + b


class Adder:
    async def __call__(self, a: int, b: int = 1) -> int:
        return a + b


@pytest.mark.parametrize(
    "function", [add, add_later, Adder(), partial(add), partial(add_later), lambda a, b=1: add_later(a, b)]
)
def test_any_sort_of_function(function: Any) -> None:
    assert called(function, 1) == 2
    assert called(function, 1, b=4) == 5


def test_a_coroutine_function_runs_on_the_loop_and_any_other_on_a_thread() -> None:
    async def on_loop() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert called(on_loop) is True
    assert called(lambda: threading.current_thread() is threading.main_thread()) is False


@pytest.mark.parametrize("function", [add, add_later])
def test_wrong_arguments_are_type_errors(function: Any) -> None:
    for positional, named in ((), {}), ((1, 2, 3), {}), ((1,), {"c": 2}):
        with pytest.raises(WorkerException, match="argument") as caught:
            called(function, *positional, **named)
        assert caught.value.type_name == "TypeError"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyError("key"), "key"),
        (ValueError("no"), "no"),
        (StopIteration(), ""),
        (OSError(2, "gone"), "[Errno 2] gone"),
        (SystemExit("this thread"), "this thread"),
        (type("Failed", (BaseException,), {})("a test"), "a test"),
    ],
)
def test_exceptions_pass_by_type_and_message(
    error: BaseException, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> NoReturn:
        raise error

    with (
        caplog.at_level(logging.DEBUG, "pyworkerd.bindings.callable"),
        pytest.raises(WorkerException) as caught,
    ):
        called(fail)
    assert (caught.value.type_name, caught.value.message) == (type(error).__name__, message)
    assert caught.value.traceback == ""
    assert "in fail" in caplog.text


def test_what_is_no_exception_of_a_coroutine_function_passes_unless_it_ends_the_program() -> None:
    async def fail(exits: bool) -> NoReturn:
        raise SystemExit(3) if exits else type("Failed", (BaseException,), {})("a test")

    with pytest.raises(WorkerException, match="a test"):
        called(fail, False)
    with pytest.raises(SystemExit):
        called(fail, True)


def test_an_error_of_the_runtime_passes_as_it_is() -> None:
    async def fail() -> NoReturn:
        raise AccessDenied("not there")

    with pytest.raises(AccessDenied, match="not there"):
        called(fail)


@pytest.mark.parametrize("result", [(1, 2), object(), [object()]])
def test_a_result_that_cannot_be_sent(result: Any) -> None:
    with pytest.raises(WorkerException, match="cannot be sent over RPC") as caught:
        called(lambda: result)
    assert caught.value.type_name == "TypeError"


def test_a_result_that_is_too_large() -> None:
    with pytest.raises(WorkerException, match="larger than") as caught:
        called(lambda: bytes(wire.MAX_VALUE))
    assert caught.value.type_name == "ValueError"


def test_large_byte_strings_pass_and_many_parts_do_not() -> None:
    data = bytes(2 * args.MAX_TEXT)
    assert called(len, data) == len(data)
    with pytest.raises(WorkerException, match="would take about"):
        called(len, [[]] * args.MAX_CONTAINERS)


def test_there_is_one_method_and_no_fetch() -> None:
    async def main() -> None:
        capability = CallableCapability(add)
        for method in ("", "__call__", "_run", "aclose", "fetch"):
            with pytest.raises(NoSuchMethod):
                await capability.call(method, arguments(1))
        with pytest.raises(NoSuchMethod):
            await capability.fetch(Request("GET", "http://x/"), "follow")
        await capability.aclose()

    asyncio.run(main())


def test_a_guest_that_keeps_all_threads_busy_keeps_nobody_else_waiting() -> None:
    free = threading.Event()

    async def main() -> None:
        stuck, other = CallableCapability(free.wait), CallableCapability(add)
        calls = [asyncio.ensure_future(stuck.call("call", arguments())) for _ in range(2 * THREADS)]
        assert wire.load_value(await other.call("call", arguments(1))) == 2
        assert await asyncio.to_thread(add, 1) == 2
        assert not any(call.done() for call in calls)
        free.set()
        await asyncio.gather(*calls)
        await stuck.aclose()
        await other.aclose()

    try:
        asyncio.run(main())
    finally:
        free.set()


def test_an_abandoned_call_is_cancelled() -> None:
    ended = []

    async def wait() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(True)

    async def main() -> None:
        call = asyncio.ensure_future(CallableCapability(wait).call("call", arguments()))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(main())
    assert ended == [True]
