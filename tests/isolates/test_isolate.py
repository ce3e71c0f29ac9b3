"""One isolate: its clock, its life, what ends it, and that nothing of it reaches another."""

from __future__ import annotations

import os
import threading
from time import thread_time

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.errors import (
    ClosedIsolate,
    CpuExhausted,
    MemoryExhausted,
    OutputTooLarge,
    ProtocolError,
    Refused,
    StackExhausted,
    Trap,
)
from pyworkerd_isolates.isolate import Isolate, is_starved
from pyworkerd_isolates.lifecycle import Cause, State
from pyworkerd_isolates.limits import Limits
from pyworkerd_isolates.native import Instance
from pyworkerd_isolates.protocol import Events
from pyworkerd_isolates.testing import RunFailed

WORKER = """
import gc, os, random, secrets, time, uuid
from workers import Response, WorkerEntrypoint

KEPT = []

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("hello")

    async def spin(self):
        while True: pass

    async def say(self, count):
        for number in range(count):
            print(number)

    async def count(self):
        number = 0
        while number < 2_000_000: number += 1
        return number

    async def clocks(self):
        first = time.time_ns(), time.monotonic_ns()
        sum(range(100_000))
        return [*first, time.time_ns(), time.monotonic_ns()]

    async def numbers(self):
        return {
            "urandom": os.urandom(16), "random": random.random(), "bits": random.getrandbits(128),
            "uuid": str(uuid.uuid4()), "token": secrets.token_hex(), "own": random.Random().random(),
            "system": random.SystemRandom().random(), "shuffled": random.sample(range(1000), 20),
            "below": secrets.randbelow(1 << 64), "uuid1": str(uuid.uuid1()), "uuid7": str(uuid.uuid7()),
        }

    async def keep(self, marker):
        KEPT.append([marker + str(n) for n in range(1000)])

    async def forget(self):
        KEPT.clear()
        gc.collect()

    async def grow(self, megabytes):
        KEPT.append(bytearray(megabytes << 20))

    async def leave(self):
        os._exit(1)

    async def chatter(self, lines):
        for line in range(lines):
            print(line)
"""


def first_step(engine, image, limits=None):
    isolate = Isolate(engine, image, limits or Limits())
    events = Events()
    events.init([], {})
    isolate.step(events, 50)
    return isolate


@pytest.fixture
def image(sandbox):
    return sandbox.image(WORKER)


def test_a_life(engine, image):
    isolate = Isolate(engine, image, Limits())
    assert isolate.state is State.STARTING
    isolate.move(Cause.READY)
    assert isolate.state is State.IDLE
    assert "idle" in repr(isolate)
    isolate.end()
    isolate.end()
    assert isolate.state is State.DEAD
    for use in (isolate.memory, lambda: isolate.memory_size, lambda: isolate.step(Events(), 50)):
        with pytest.raises(ClosedIsolate):
            use()
    with pytest.raises(ClosedIsolate):
        isolate.move(Cause.INVOKE)


def test_steps_and_cpu_time_are_counted(engine, image):
    isolate = first_step(engine, image)
    assert isolate.steps == 1
    assert isolate.cpu_ns > 0
    assert isolate.last_step_ms == isolate.cpu_ns / 1e6
    isolate.end()


@pytest.mark.parametrize("fails", [False, True])
def test_a_guest_pays_for_being_handed_its_events(engine, image, monkeypatch, fails):
    """Its allocator runs then. What it took has to be known, or its steps are short and run on the event loop."""

    def slow(*arguments):
        until = thread_time() + 0.004
        while thread_time() < until:
            pass
        if fails:
            raise CpuExhausted("the step ran past its deadline")
        return begin(*arguments)

    begin = Instance.begin
    monkeypatch.setattr(Instance, "begin", slow)
    if fails:
        isolate = Isolate(engine, image, Limits())
        with pytest.raises(CpuExhausted):
            isolate.step(Events(), 50)
    else:
        isolate = first_step(engine, image)
    assert isolate.last_step_ms >= 4
    isolate.end()


def test_time_stands_still_inside_a_step_and_goes_on_between(start):
    driver = start(WORKER)
    wall, monotonic, later_wall, later_monotonic = driver.call("clocks").value
    assert (wall, monotonic) == (later_wall, later_monotonic)
    driver.isolate.ahead_ns += 10**9
    assert driver.call("clocks").value[0] >= wall + 10**9


def test_the_clock_never_goes_back_when_the_wall_clock_does(engine, image, monkeypatch):
    isolate = Isolate(engine, image, Limits())
    before = isolate.now_ns()
    monkeypatch.setattr("time.time_ns", lambda: 0)
    assert isolate.now_ns() >= before
    isolate.end()


def test_a_trap_ends_the_isolate_and_only_it(start):
    driver, neighbour = start(WORKER, cpu_ms=50), start(WORKER)
    with pytest.raises(CpuExhausted):
        driver.call("spin")
    assert driver.isolate.state is State.DEAD
    with pytest.raises(ClosedIsolate):
        driver.isolate.memory()
    assert neighbour.fetch().text == "hello"


def test_a_refused_system_call_is_named(start):
    driver = start(WORKER)
    with pytest.raises(Refused, match="wasi:cli/exit"):
        driver.call("leave")


def test_output_beyond_its_limit_ends_the_isolate(start):
    driver = start(WORKER, output_bytes=10)
    with pytest.raises(ProtocolError, match="limit is 10"):
        driver.fetch()
    assert driver.isolate.state is State.DEAD


def test_too_many_effects_end_the_isolate(start):
    driver = start(WORKER, effects=3)
    assert driver.call("say", 1).done
    with pytest.raises(OutputTooLarge):
        driver.call("say", 3)
    assert driver.isolate.state is State.DEAD


def test_whatever_interrupts_a_step_ends_the_isolate(engine, image, monkeypatch):
    isolate = first_step(engine, image)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pyworkerd_isolates.isolate.decode_effects", interrupted)
    with pytest.raises(KeyboardInterrupt):
        isolate.step(Events(), 50)
    assert isolate.state is State.DEAD


def test_growth_is_what_came_after_the_image(start):
    driver = start(WORKER)
    driver.call("forget")
    before = driver.isolate.growth
    driver.call("grow", 32)
    assert driver.isolate.growth >= before + (24 << 20)
    assert driver.isolate.memory_size <= driver.isolate.limits.memory_bytes


def test_the_memory_limit_is_a_memory_error_that_the_guest_survives(start):
    driver = start(WORKER)
    with pytest.raises(RunFailed, match="MemoryError"):
        driver.call("grow", 200).checked()
    assert driver.fetch().text == "hello"


@pytest.mark.parametrize(
    ("error", "used", "starved"),
    [
        (Trap(""), 127, True),
        (Refused(""), 127, True),
        (Trap(""), 100, False),
        (CpuExhausted(""), 127, False),
        (StackExhausted(""), 127, False),
    ],
)
def test_when_a_breakdown_is_for_want_of_memory(error, used, starved):
    assert is_starved(error, used << 20, Limits()) is starved


def test_a_starved_isolate_is_told_from_a_broken_one(engine, image, monkeypatch):
    isolate = first_step(engine, image)
    monkeypatch.setattr(Isolate, "memory_size", property(lambda self: 127 << 20))

    def refuse(*_):
        raise Refused("wasi:io/streams output-stream.write")

    monkeypatch.setattr("pyworkerd_isolates.isolate.decode_effects", refuse)
    with pytest.raises(MemoryExhausted):
        isolate.step(Events(), 50)


def test_a_long_answer_is_read_in_a_slice_of_its_own(engine, image):
    """Reading it takes up to 70 ms, which is too much for the event loop's thread."""
    isolate = first_step(engine, image)
    events = Events()
    events.rpc(1, None, None, "chatter", wire.dump_value([[2000], {}]))
    isolate.begin(events, 5000)
    assert isolate.go_on(5000) is None
    output = isolate.go_on(0)
    assert len(output.effects) > 2000
    isolate.begin(Events(), 5000)
    assert isolate.go_on(5000) is not None
    isolate.end()


# threads --------------------------------------------------------------------------------------------------------------


class Announcing(Events):
    """Says when the step that takes it has begun."""

    __slots__ = ("began",)

    def short_frame(self, written):
        self.began.set()
        return super().short_frame(written)


class Held:
    """An isolate that runs an endless step on another thread."""

    def __init__(self, engine, image):
        self.isolate = first_step(engine, image)
        self.began = threading.Event()
        self.outcome = None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        self.began.wait()

    def run(self):
        events = Announcing()
        events.began = self.began
        events.rpc(1, None, None, "spin", wire.dump_value([[], {}]))
        try:
            self.isolate.step(events, 500)
        except Exception as error:
            self.outcome = error


def test_an_isolate_runs_one_step_at_a_time(engine, image):
    held = Held(engine, image)
    with pytest.raises(ClosedIsolate, match="already"):
        held.isolate.step(Events(), 50)
    held.thread.join()
    assert isinstance(held.outcome, CpuExhausted)


def test_an_isolate_that_is_ended_while_it_runs_is_freed_afterwards(engine, image):
    held = Held(engine, image)
    held.isolate.end()
    assert held.isolate.state is State.DEAD
    held.thread.join()
    assert isinstance(held.outcome, ClosedIsolate | CpuExhausted)
    with pytest.raises(ClosedIsolate):
        held.isolate.memory()


def spinning(engine, image, budget_ms, method="spin"):
    """An isolate with a step that has begun and not run yet."""
    isolate = first_step(engine, image)
    events = Events()
    events.rpc(1, None, None, method, wire.dump_value([[], {}]))
    isolate.begin(events, budget_ms)
    return isolate


def test_a_step_goes_on_in_slices_on_whatever_thread(engine, image):
    isolate = spinning(engine, image, 10_000, "count")
    outputs = []
    while not outputs or outputs[-1] is None:
        thread = threading.Thread(target=lambda: outputs.append(isolate.go_on(1)))
        thread.start()
        thread.join()
    assert len(outputs) > 1
    assert wire.load_value(outputs[-1].effects[0].value) == 2_000_000
    isolate.end()


def test_a_budget_is_cpu_time_of_all_slices_together(engine, image):
    isolate = spinning(engine, image, 20)
    slices = 0
    with pytest.raises(CpuExhausted):
        while isolate.go_on(1) is None:
            slices += 1
            assert isolate.last_step_ms < 20
    assert slices
    assert isolate.last_step_ms >= 20
    assert isolate.state is State.DEAD


def test_others_run_while_a_step_rests_between_slices(engine, image):
    isolate = spinning(engine, image, 10_000)
    assert isolate.go_on(1) is None
    with pytest.raises(ClosedIsolate, match="already"):
        isolate.begin(Events(), 50)
    other = first_step(engine, image)
    events = Events()
    events.fetch(2, None, None, "GET", "http://test.invalid/", (), None)
    assert other.step(events, 50).effects[0].body == b"hello"
    other.end()
    assert isolate.go_on(1) is None
    isolate.stop()
    assert isolate.state is State.DEAD
    with pytest.raises(ClosedIsolate):
        isolate.go_on(1)


def test_a_step_whose_isolate_is_ended_between_slices_is_broken_off_at_the_next(engine, image):
    isolate = spinning(engine, image, 10_000)
    assert isolate.go_on(1) is None
    isolate.end()
    assert isolate.memory_size, "it is freed only when its step comes to its end"
    with pytest.raises(ClosedIsolate):
        isolate.go_on(1)
    with pytest.raises(ClosedIsolate):
        isolate.memory()


def test_isolates_step_on_several_threads_at_once(engine, image, sandbox):
    isolates = [first_step(engine, image) for _ in range(4)]
    failures = []

    def run(isolate):
        try:
            for number in range(1, 50):
                events = Events()
                events.fetch(number, None, None, "GET", "http://test.invalid/", (), None)
                output = isolate.step(events, 1000)
                assert output.effects[0].body == b"hello"
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(isolate,)) for isolate in isolates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for isolate in isolates:
        isolate.end()
    assert failures == []


# entropy and heaps ----------------------------------------------------------------------------------------------------


def test_two_isolates_of_one_image_never_give_one_equal_number(start):
    seen = [driver.call("numbers").value for driver in [start(WORKER) for _ in range(8)] for _ in range(2)]
    for name in seen[0]:
        values = [str(each[name]) for each in seen]
        assert len(set(values)) == len(values), name


def test_an_isolate_keeps_nothing_of_another_that_used_the_same_memory(start):
    marker = f"MARKER-{os.urandom(8).hex()}-"
    for _ in range(20):
        driver = start(WORKER)
        driver.call("keep", marker)
        assert marker.encode() in driver.isolate.memory()
        driver.call("grow", 8)
        driver.end()
    others = [start(WORKER.replace("hello", f"other {number}")) for number in range(2)]
    for driver in [*others, start(WORKER)]:
        driver.call("grow", 16)
        assert marker.encode() not in driver.isolate.memory()
