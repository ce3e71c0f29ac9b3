"""Calls: the only way out. They name a capability by its index, wait, and are forgotten when nobody waits any more."""

from __future__ import annotations

import builtins

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyworkerd_isolates import wire
from pyworkerd_isolates.protocol import Call, Fetch
from pyworkerd_isolates.testing import LATER, Reply, arguments_of

WORKER = """
import asyncio
from workers import Response, WorkerEntrypoint, env, fetch, Request

class Default(WorkerEntrypoint):
    async def call(self, *arguments, **named):
        return await self.env.CALL(*arguments, **named)

    async def service(self, name, *arguments):
        return await getattr(self.env.OTHER, name)(*arguments)

    async def code(self, text):
        return await eval(text)

    async def caught(self, text):
        try:
            return await eval(text)
        except Exception as error:
            return [type(error).__name__, str(error), getattr(error, "code", None)]

    async def impatient(self):
        try:
            await asyncio.wait_for(self.env.CALL(), 1)
        except TimeoutError:
            return "gave up"

    async def twice(self):
        asked = self.env.OTHER.add(1)
        return [await asked, await asked]

    async def driven(self):
        tasks = [asyncio.create_task(self.env.OTHER.add(n)) for n in range(3)]
        tasks[2].cancel()
        return [*await asyncio.gather(*tasks[:2], self.env.OTHER.add(3)), tasks[2].cancelled()]

    async def forgets(self):
        self.env.OTHER.add(1)
        self.env.OTHER.add(2).close()

    async def asks_for(self, count):
        for number in range(count):
            getattr(self.env.OTHER, f"method{number}")
        return [len(vars(self.env.OTHER)), self.env.OTHER.method0 is self.env.OTHER.method0]

    async def many(self, count):
        results = await asyncio.gather(*[self.env.CALL(n) for n in range(count)], return_exceptions=True)
        failed = [str(each) for each in results if isinstance(each, Exception)]
        return [count - len(failed), failed[0] if failed else ""]
"""
BINDINGS = [
    ("CALL", "callable", 3),
    ("OTHER", "fetcher", 4),
    ("LIMITER", "rate_limit", 5),
    ("HELLO", "hello", 6),
]


@pytest.fixture
def driver(start):
    return start(WORKER, bindings=BINDINGS, answer=lambda _: LATER)


def test_a_call_names_its_capability_and_its_invocation(driver):
    run = driver.call("call", 1, "two", three=[3])
    (call,) = driver.calls.values()
    assert (call.capability, call.invocation, call.method) == (3, run.number, "call")
    assert arguments_of(call) == ([1, "two"], {"three": [3]})
    driver.resolve(call.call, {"answer": b"\x00"})
    driver.settle()
    assert run.value == {"answer": b"\x00"}


@pytest.mark.parametrize(
    ("code", "capability", "method", "arguments"),
    [
        ("env.OTHER.add(1, 2)", 4, "add", [1, 2]),
        ("env.LIMITER.limit({'key': 'k'})", 5, "limit", ["k"]),
        ("env.LIMITER.limit(key='k')", 5, "limit", ["k"]),
        ("env.HELLO.greet('you')", 6, "greet", ["you"]),
    ],
)
def test_each_shape_calls_its_method(driver, code, capability, method, arguments):
    driver.call("code", code)
    (call,) = driver.calls.values()
    assert isinstance(call, Call)
    assert (call.capability, call.method, arguments_of(call)[0]) == (capability, method, arguments)


def test_the_network_is_capability_0_and_a_service_its_own(driver):
    driver.answer = lambda _: Reply(201, (("x", "y"),), b"body")
    for code, capability in [
        ("fetch('http://a.example/x')", 0),
        ("env.OTHER.fetch('http://a.example/x')", 4),
    ]:
        driver.call("caught", code)
        request = driver.seen[-1]
        assert isinstance(request, Fetch)
        assert (request.capability, request.method, request.url) == (capability, "GET", "http://a.example/x")


def test_a_worker_without_network_is_told_so(start):
    driver = start(WORKER, meta={"outbound": False})
    name, message, code = driver.call("caught", "fetch('http://a.example/')").value
    assert (name, code) == ("CallError", "access_denied")
    assert "global_outbound" in message
    assert driver.seen == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("no"), ["ValueError", "no", None]),
        (KeyError("gone"), ["KeyError", "\"'gone'\"", None]),
        (PermissionError("denied"), ["PermissionError", "denied", None]),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), None),
        (type("Custom", (Exception,), {})("mine"), ["CallError", "Custom: mine", "error"]),
        (type("SystemExit", (Exception,), {})("sly"), ["CallError", "SystemExit: sly", "error"]),
        (type("open", (Exception,), {})("sly"), ["CallError", "open: sly", "error"]),
    ],
)
def test_an_error_comes_as_its_own_kind_where_there_is_one(driver, error, told):
    run = driver.call("caught", "env.CALL()")
    driver.resolve(next(iter(driver.calls)), error)
    driver.settle()
    if told is None:
        told = ["CallError", f"UnicodeDecodeError: {error}", "error"]
    assert run.value == told


def test_a_caller_that_gives_up_abandons_its_call(driver):
    run = driver.call("impatient")
    assert run.value == "gave up"
    assert driver.abandoned == [1]


def mutated(value, position, byte):
    """An answer that was well formed once."""
    frame = bytearray(wire.dump_value(value))
    frame[position % len(frame)] = byte
    return bytes(frame)


VALUES = st.recursive(
    st.none() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(
    answer=st.binary()
    | st.builds(wire.dump_value, VALUES)
    | st.builds(mutated, VALUES, st.integers(0, 1000), st.integers(0, 255))
)
@example(answer=b"")
@example(answer=b"\x02\0\0\0{}")
@example(answer=wire.encode({"$": ["Response", [200, [], None, "", "", False, 1]]}))
@example(answer=wire.encode({"$": ["Request", [1, {}, [], 0, {"x": 1}]]}))
@example(answer=wire.encode({"$": ["i", "9" * 4300]}))
@example(answer=wire.encode([[]] * 5000))
def test_whatever_a_call_is_answered_with_concerns_its_caller_alone(driver, answer):
    run, other = driver.begin_call("caught", "env.CALL()"), driver.begin_call("call")
    driver.settle()
    first, second = driver.calls
    driver.calls.pop(first)
    driver.events.resolve_value(first, answer)
    driver.resolve(second, "mine")
    driver.settle()
    assert other.value == "mine"
    assert run.done


def test_an_answer_that_cannot_be_read_says_so(driver):
    run = driver.call("caught", "env.CALL()")
    driver.events.resolve_value(next(iter(driver.calls)), b"\x02\0\0\0{}")
    driver.settle()
    name, message, code = run.value
    assert (name, code) == ("CallError", "bad_effect")
    assert message.startswith("the answer cannot be read: ")


def test_no_name_of_an_exception_harms_whoever_shares_the_isolate(driver):
    for name in dir(builtins):
        run, other = driver.begin_call("caught", "env.CALL()"), driver.begin_call("call")
        driver.settle()
        first, second = driver.calls
        driver.calls.pop(first)
        driver.events.reject(first, "worker_exception", "told", name)
        driver.resolve(second, "mine")
        driver.settle()
        assert other.value == "mine", name
        assert run.value, name


def test_a_late_answer_is_ignored(driver):
    driver.call("impatient")
    driver.events.resolve_value(1, wire.dump_value("late"))
    driver.events.reject(1, "error", "late", None)
    driver.events.reject(999, "error", "never asked", None)
    driver.settle()
    assert driver.call("impatient").value == "gave up"


def test_more_calls_than_may_wait_are_refused_where_they_are_made(driver):
    run = driver.call("many", 1005)
    assert len(driver.calls) == 1000
    for number in list(driver.calls):
        driver.resolve(number, number)
    driver.settle()
    assert run.value == [1000, "more than 1000 calls wait at once"]


def test_a_hundred_calls_at_once_take_two_steps(driver):
    driver.answer = lambda call: arguments_of(call)[0][0]
    assert driver.call("many", 100).value == [100, ""]
    assert driver.isolate.steps == 2


@pytest.mark.parametrize(
    "code",
    [
        "env.OTHER.fetch('http://a.example/' + 'x' * 20_000)",
        "env.OTHER.fetch('http://a.example/', method='X' * 300)",
        "env.OTHER.fetch('http://a.example/', headers={'x': 'y' * 140_000})",
        "env.OTHER.fetch('http://a.example/', headers={f'x{n}': 'y' for n in range(300)})",
        "getattr(env.OTHER, 'x' * 300)()",
    ],
)
def test_what_the_host_would_not_take_is_an_error_where_it_is_asked(driver, code):
    name, _, _ = driver.call("caught", code).value
    assert name == "ValueError"
    assert driver.seen == []


def test_a_refused_upload_leaves_no_stream_open(driver):
    code = "env.OTHER.fetch('http://a.example/' + 'x' * 20_000, method='POST', body=iter([b'x']))"
    assert driver.call("caught", code).value[0] == "ValueError"
    assert driver.fetch().failure is not None
    assert all(run.done for run in driver.runs.values())


@pytest.mark.parametrize("code", ["env.CALL((1, 2))", "env.CALL(bytearray(1))", "env.CALL(object())"])
def test_what_cannot_be_sent(driver, code):
    name, message, _ = driver.call("caught", code).value
    assert name == "TypeError"
    assert "cannot be sent over RPC" in message


def test_a_capability_says_little_of_itself(driver):
    assert driver.call("caught", "env.OTHER._hidden()").value[0] == "AttributeError"
    assert driver.call("code", "asyncio.sleep(0, bool(env.OTHER))").value is True


def test_what_a_call_will_return_is_a_coroutine(driver):
    driver.answer = lambda call: arguments_of(call)[0][0]
    assert driver.call("driven").value == [0, 1, 3, True]
    failure = driver.call("twice").failure
    assert (failure.type_name, failure.message) == ("RuntimeError", "cannot reuse already awaited coroutine")


def test_a_call_that_nobody_awaits_is_not_made_and_is_told_of(driver):
    run = driver.call("forgets")
    assert driver.seen == []
    assert ["the call of 'add' was never awaited" in log.message for log in run.logs] == [True]


def test_methods_are_kept_but_not_without_bound(driver):
    kept, same = driver.call("asks_for", 1000).value
    assert (kept, same) == (64, True)


def test_an_answer_wakes_only_whom_the_step_is_for(driver):
    asking, other = driver.begin_call("call"), driver.begin_call("call")
    driver.step()
    (call, _) = driver.calls
    driver.resolve(call, "answered")
    driver.events.focus([other.number])
    wake = driver.step().wake
    assert (asking.done, wake.time, wake.invocations) == (False, 0.0, (asking.number,))
    driver.settle()
    assert asking.value == "answered"
