"""The one instance of an isolate that is an object, and the gate before it."""

from __future__ import annotations

import pytest
from pyworkerd_isolates.testing import LATER

ID = "0a" * 32
SOURCE = """
import asyncio
from workers import DurableObject, Response

class Room(DurableObject):
    made = 0

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        Room.made += 1
        self.seen = []
        {constructor}

    async def load(self):
        {load}

    async def fetch(self, request):
        return Response(f"{{self.ctx.id}} {{Room.made}} {{env_text(self.env)}}")

    async def note(self, what):
        self.seen.append(what)
        return list(self.seen)

    async def ask_first(self, what):
        self.seen.append("asks")
        await self.env.ELSE()
        self.seen.append(what)
        return list(self.seen)

    async def block(self, what):
        async def inside():
            self.seen.append("closed")
            await self.env.ELSE()
            await asyncio.sleep(1)
            self.seen.append("open")
            return what
        return await self.ctx.block_concurrency_while(inside)

    async def abort(self):
        print("before")
        self.ctx.abort("enough")
        print("never")

    async def kept(self):
        self.ctx.wait_until(self.note("later"))

def env_text(env):
    return " ".join(sorted(env))
"""


def source(constructor="pass", load="pass"):
    return SOURCE.format(constructor=constructor, load=load)


@pytest.fixture
def room(start):
    def begin(constructor="pass", load="pass", answer=lambda _: LATER):
        bindings = [("ELSE", "callable", 1)]
        return start(source(constructor, load), bindings=bindings, answer=answer, is_object=("Room", ID))

    return begin


def test_there_is_one_instance_and_it_knows_who_it_is(room):
    driver = room()
    assert driver.fetch().text == f"{ID} 1 ELSE"
    assert driver.fetch().text == f"{ID} 1 ELSE"
    assert driver.call("note", "a").value == ["a"]
    assert driver.call("note", "b").value == ["a", "b"]


@pytest.mark.parametrize("method", ["fetch", "alarm", "web_socket_message", "_private", "missing", "ctx"])
def test_what_is_no_method_is_not_called(room, method):
    assert room().call(method).failure.reason == "no_method"


def test_nobody_enters_before_the_constructor_has_opened_the_gate(room):
    load = "await self.env.ELSE(); self.seen.append('loaded')"
    driver = room("self.ctx.block_concurrency_while(self.load)", load)
    first, second = driver.begin_call("note", 1), driver.begin_call("note", 2)
    driver.step()
    third = driver.begin_call("note", 3)
    driver.step()
    assert [run.done for run in (first, second, third)] == [False] * 3
    driver.resolve(1, None)
    fourth = driver.begin_call("note", 4)
    driver.settle()
    assert driver.aborted is None
    values = [run.value for run in (first, second, third, fourth)]
    assert values[0] == ["loaded", 1]
    assert values[3] == ["loaded", 1, 2, 3, 4]


def test_a_load_that_never_waits_closes_nothing(room):
    driver = room("self.ctx.block_concurrency_while(self.load)", "self.seen.append('loaded')")
    assert driver.call("note", 1).value == ["loaded", 1]


def test_while_it_is_closed_nothing_runs_for_others(room):
    driver = room()
    asking = driver.begin_call("ask_first", "answered")
    driver.step()
    blocking = driver.begin_call("block", "result")
    driver.step()
    driver.resolve(1, None)  # the answer to the first one's question
    waiting = driver.begin_call("note", "entered")
    driver.step()
    assert not asking.done
    assert not waiting.done
    driver.resolve(2, None)
    driver.settle()
    assert driver.aborted is None
    assert blocking.value == "result"
    assert asking.done
    assert waiting.done
    *first, one, other, _ = driver.call("note", "x").value
    assert first == ["asks", "closed", "open"]
    assert {one, other} == {"answered", "entered"}


def test_an_event_for_others_does_not_keep_the_host_busy(room):
    driver = room()
    driver.begin_call("ask_first", "answered")
    driver.step()
    driver.begin_call("block", "result")
    driver.step()
    driver.resolve(1, None)
    assert (
        driver.wake > driver.isolate.now_ns() / 1e9 + 10
    )  # the gate's own timer, and nothing of the other's


def test_a_gate_that_stays_closed_resets_the_object(room):
    driver = room("self.ctx.block_concurrency_while(self.load)", "await asyncio.sleep(1000)")
    driver.begin_call("note", 1)
    driver.settle(3)
    assert driver.aborted == "block_concurrency_while() took longer than 30 s"


@pytest.mark.parametrize(
    ("constructor", "load", "why"),
    [
        ("raise ValueError('no')", "pass", "the object's constructor failed"),
        ("self.ctx.block_concurrency_while(self.load)", "1 / 0", "failed: division by zero"),
        (
            "self.ctx.block_concurrency_while(self.load)",
            "await asyncio.sleep(1); 1 / 0",
            "failed: division by zero",
        ),
    ],
)
def test_an_object_that_cannot_be_made_gives_up(room, constructor, load, why):
    driver = room(constructor, load)
    driver.begin_call("note", 1)
    driver.settle()
    assert why in driver.aborted


def test_a_failed_constructor_runs_once_for_all_that_wait(room):
    driver = room("print('made'); raise ValueError('no')")
    runs = [driver.begin_call("note", number) for number in range(3)]
    driver.settle()
    assert [run.failure.message for run in runs] == ["the object's constructor failed: no"] * 3
    assert [log.message for log in driver.logs].count("made") == 1


def test_abort_ends_the_code_that_calls_it(room):
    driver = room()
    run = driver.call("abort")
    assert driver.aborted == "enough"
    assert run.failure.type_name == "DurableObjectAbort"
    assert [log.message for log in driver.logs] == ["before"]


def test_what_was_promised_is_kept(room):
    driver = room()
    driver.call("kept")
    assert driver.call("note", 1).value == ["later", 1]


def test_an_object_is_not_made_at_the_top_level(start):
    driver = start(source(), is_object=("Room", ID))
    assert driver.isolate.steps == 0
