"""Programs as isolates: small components that are really compiled, and really run."""

from __future__ import annotations

import pytest
from pyworkerd_isolates import native
from pyworkerd_isolates.errors import ClosedIsolate, CpuExhausted, MemoryExhausted, Refused, Trap
from pyworkerd_isolates.events import Events
from pyworkerd_isolates.pages import PAGES
from pyworkerd_isolates.slots import Slots
from pyworkerd_isolates.testing import Reply

from tests.isolates.component.programs import HELLO, LINE, RESPOND, RESPONDING, cgi, component, handle


def test_a_component_answers(start):
    run = start(HELLO).fetch()
    assert (run.status, run.body, run.done) == (200, b"hello", True)


def test_the_next_one_begins_on_the_memory_of_the_last(start, programs):
    slots = Slots()
    for _ in range(3):
        driver = start(HELLO, slots)
        assert driver.fetch().body == b"hello"
        driver.end()
    slots.forget(programs(HELLO))


COUNTING = component(
    handle(
        """(global.set $seen (i32.add (global.get $seen) (i32.const 1)))
        (i32.store8 (i32.const 1024) (i32.add (i32.load8_u (i32.const 1024)) (global.get $seen)))
        (call $put (call $respond (local.get $out)) (i32.const 1024) (i32.const 1) (i32.const 32)) (call $close)""",
        RESPOND + "(global $seen (mut i32) (i32.const 0))",
    ),
    RESPONDING,
    '(data (i32.const 1024) "a")',
)


def test_nothing_of_a_request_is_left_for_the_next(start, programs):
    slots = Slots()
    for _ in range(3):
        driver = start(COUNTING, slots)
        assert driver.fetch().body == b"b"
        driver.end()
    slots.forget(programs(COUNTING))


def test_start_functions_run_in_each_isolate(start):
    text = "(func $first (i32.store8 (i32.const 1024) (i32.const 72))) (start $first)" + RESPOND
    code = "(call $put (call $respond (local.get $out)) (i32.const 1024) (i32.const 5) (i32.const 32)) (call $close)"
    binary = component(handle(code, text), RESPONDING, '(data (i32.const 1024) "hello")')
    assert start(binary).fetch().body == b"Hello"
    assert start(binary).fetch().body == b"Hello"


READING = {
    **RESPONDING,
    "consume": f"{LINE}incoming-request.consume",
    "stream": f"{LINE}incoming-body.stream",
    "read": "wasi:io/streams input-stream.blocking-read",
}
ECHO = component(
    handle(
        """(call $consume (local.get $request) (i32.const 64))
        (call $stream (i32.load (i32.const 68)) (i32.const 64))
        (local.set $i (i32.load (i32.const 68)))
        (local.set $j (call $respond (local.get $out)))
        (block $end (loop $more
          (call $read (local.get $i) (i64.const 4096) (i32.const 80))
          (br_if $end (i32.load8_u (i32.const 80)))
          (call $put (local.get $j) (i32.load (i32.const 84)) (i32.load (i32.const 88)) (i32.const 32))
          (br $more)))
        (call $close)""",
        RESPOND,
    ),
    READING,
)


def test_bodies_stream_both_ways(start):
    pieces = [bytes([i]) * 3000 for i in range(15)]  # as much memory as its allocator has
    assert start(ECHO).fetch(method="POST", body=pieces).body == b"".join(pieces)
    assert start(ECHO).fetch(method="POST", body=b"in hand").body == b"in hand"
    assert start(ECHO).fetch().body == b""


def test_a_body_waits_for_its_reader(start):
    much = component(
        handle(
            """(local.set $j (call $respond (local.get $out)))
            (loop $more
              (call $put (local.get $j) (i32.const 0) (i32.const 65536) (i32.const 32))
              (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 16))))
            (call $close)""",
            RESPOND,
        ),
        RESPONDING,
    )
    driver = start(much)
    driver.autopull = False
    run = driver.fetch()
    assert not run.done
    assert len(run.body) == 262_144
    driver.autopull = True
    (stream,) = driver._bodies
    driver.pull(stream)
    driver.settle()
    assert (len(run.body), run.done) == (1 << 20, True)


SLEEPING = component(
    handle(
        """(call $block (call $after (i64.const 5000000000)))
        (call $put (call $respond (local.get $out)) (i32.const 1024) (i32.const 5) (i32.const 32)) (call $close)""",
        RESPOND,
    ),
    {
        **RESPONDING,
        "after": "wasi:clocks/monotonic-clock subscribe-duration",
        "block": "wasi:io/poll pollable.block",
    },
    '(data (i32.const 1024) "awake")',
)


def test_it_sleeps_without_a_thread(start):
    driver = start(SLEEPING)
    run = driver.begin()
    driver.step()
    assert driver.wake is not None
    assert not run.done
    driver.settle()  # time jumps
    assert run.body == b"awake"


def test_many_wait_at_once(start):
    drivers = [start(SLEEPING) for _ in range(20)]
    runs = [driver.begin() for driver in drivers]
    for driver in drivers:
        driver.step()
    for driver in reversed(drivers):
        driver.settle()
    assert {bytes(run.body) for run in runs} == {b"awake"}


def test_one_that_waits_can_be_ended(start):
    driver = start(SLEEPING)
    driver.begin()
    driver.step()
    driver.end()


def test_its_caller_goes(start):
    driver = start(SLEEPING)
    run = driver.begin()
    driver.step()
    driver.events.cancel(run.number)
    driver.step()
    assert run.done


FILLING = component(
    handle(
        """(call $block (call $after (i64.const 1)))
        (memory.fill (i32.const 8192) (i32.const 1) (i32.const 100000))
        (call $block (call $after (i64.const 5000000000)))""",
        RESPOND,
    ),
    {
        **RESPONDING,
        "after": "wasi:clocks/monotonic-clock subscribe-duration",
        "block": "wasi:io/poll pollable.block",
    },
)


def test_what_it_has_written_to_is_what_it_takes_while_it_waits(start, monkeypatch):
    if PAGES is None:
        pytest.skip("no kernel that tells")
    driver = start(FILLING)
    driver.begin()
    driver.step()
    assert driver.isolate.growth < 50_000
    driver.isolate.ahead_ns = 10
    driver.step()
    assert 100_000 <= driver.isolate.growth <= 2 << 16
    monkeypatch.setattr(native, "PAGES", None)
    driver = start(FILLING)
    driver.begin()
    driver.step()
    assert driver.isolate.growth == driver.isolate.memory_size == 2 << 16


def test_a_memory_that_was_given_back_is_not_touched(start):
    driver = start(SLEEPING)
    driver.begin()
    driver.step()
    isolate = driver.isolate
    isolate.end()
    isolate.ahead_ns = 10**12
    with pytest.raises(ClosedIsolate):
        isolate.begin(Events(), 50)


def test_what_comes_after_the_end_is_for_nobody(start):
    driver = start(SLEEPING)
    run = driver.begin()
    driver.step()
    driver.events.cancel(run.number)
    driver.step()
    driver.isolate.ahead_ns = 10**12  # what it waited for has come
    driver.events.cancel(run.number)
    driver.step()
    assert run.done


GROWING = component(
    handle(
        """(i32.store8 (i32.const 1024) (i32.add (i32.const 48) (memory.size)))
        (local.set $i (memory.grow (i32.const 3)))
        (i32.store8 (i32.const 1025) (i32.add (i32.const 48) (local.get $i)))
        (i32.store8 (i32.const 1026) (i32.add (i32.const 48) (memory.size)))
        (local.set $i (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)))
        (i32.store8 (i32.const 1027) (i32.add (i32.const 48) (i32.load8_u (local.get $i))))
        (i32.store8 (local.get $i) (i32.const 9))
        (i32.store8 (i32.const 1028) (i32.sub (i32.const 48) (memory.grow (i32.const 65536))))
        (call $put (call $respond (local.get $out)) (i32.const 1024) (i32.const 5) (i32.const 32)) (call $close)""",
        RESPOND,
    ),
    RESPONDING,
)


def test_a_memory_that_has_grown_is_as_small_for_the_next(start, programs):
    slots = Slots()
    for _ in range(3):
        driver = start(GROWING, slots)
        assert driver.fetch().body == b"22501"
        driver.end()
    assert len(slots) == 1
    slots.forget(programs(GROWING))


def test_memory_ends_at_the_limit_however_it_is_asked_for(start):
    text = """(local.set $i (memory.size))
        (loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
        (i32.store8 (i32.const 1024) (i32.eq (memory.size) (i32.const 320)))
        (i32.store8 (i32.const 1025) (i32.eq (memory.grow (i32.const -1)) (i32.const -1)))
        (i32.store8 (i32.const 1026) (i32.eq (memory.grow (i32.const 0)) (i32.const 320)))
        (call $put (call $respond (local.get $out)) (i32.const 1024) (i32.const 3) (i32.const 32)) (call $close)"""
    assert start(component(handle(text, RESPOND), RESPONDING), memory_mb=20).fetch().body == b"\1\1\1"


def test_one_that_is_ended_in_a_call_leaves_no_memory_for_the_next(start, programs):
    slots = Slots()
    driver = start(SLEEPING, slots)
    driver.begin()
    driver.step()
    driver.end()
    assert len(slots) == 0
    start(SLEEPING, slots).fetch()
    slots.forget(programs(SLEEPING))


ASKING = component(
    handle(
        """(local.set $i (call $request (call $fields)))
        (drop (call $authority (local.get $i) (i32.const 1) (i32.const 1024) (i32.const 5)))
        (call $send (local.get $i) (i32.const 0) (i32.const 0) (i32.const 64))
        (local.set $i (i32.load (i32.const 72)))
        (call $block (call $subscribe (local.get $i)))
        (call $get (local.get $i) (i32.const 64))
        (i32.store8 (i32.const 1024) (i32.add (i32.const 48) (i32.load8_u (i32.const 80))))
        (call $put (call $respond (local.get $out)) (i32.const 1024) (i32.const 5) (i32.const 32)) (call $close)""",
        RESPOND,
    ).replace("(param $request i32)", "(param $asked i32)"),
    {
        **RESPONDING,
        "request": f"{LINE}outgoing-request",
        "authority": f"{LINE}outgoing-request.set-authority",
        "send": "wasi:http/outgoing-handler handle",
        "subscribe": f"{LINE}future-incoming-response.subscribe",
        "get": f"{LINE}future-incoming-response.get",
        "block": "wasi:io/poll pollable.block",
    },
    '(data (i32.const 1024) "o.uk!")',
)


def test_it_asks_others(start):
    driver = start(ASKING, answer=lambda _call: Reply(200))
    assert driver.fetch().body == b"0.uk!"
    (call,) = driver.seen
    assert (call.method, call.url, call.capability) == ("GET", "https://o.uk!/", 0)


def test_nobody_answers(start):
    assert start(ASKING).fetch().body == b"1.uk!"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("(loop $l (br $l))", CpuExhausted),
        ("(unreachable)", Trap),
        ("(call $handle (local.get $request) (local.get $out))", Trap),
        ("(loop $l (drop (call $fields)) (br $l))", Trap),
        (
            "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (unreachable)",
            MemoryExhausted,
        ),
    ],
)
def test_what_goes_wrong_ends_the_isolate(start, code, error):
    driver = start(component(handle(code), RESPONDING), cpu_ms=50)
    driver.begin()
    with pytest.raises(error):
        driver.step(50)


def test_system_calls_that_are_not_there_are_refused_by_name(start):
    module = cgi("(drop (call $open))", imports='(import "x" "open" (func $open (result i32)))')
    driver = start(module)
    driver.begin()
    with pytest.raises(Refused, match="x open"):
        driver.step()


def test_what_no_component_can_do(start):
    driver = start(HELLO)
    run = driver.call("method")
    assert (run.failure.reason, run.done) == ("no_method", True)


def test_a_cgi_program_answers(start):
    head = "Status: 201 Made\\nX-A: b\\n\\nhello"
    run = start(cgi("(call $say (i32.const 1024) (i32.const 30))", head)).fetch()
    assert (run.status, run.body, run.headers) == (201, b"hello", (("x-a", "b"),))


def test_a_cgi_program_ends_itself(start):
    run = start(
        cgi("(call $say (i32.const 1024) (i32.const 8)) (call $exit (i32.const 0))", "A: b\\n\\nhi")
    ).fetch()
    assert (run.status, run.body, run.done) == (200, b"hi", True)
