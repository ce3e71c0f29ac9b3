"""Isolates on the memory of isolates that have ended: as new, and only where that is certain."""

from __future__ import annotations

import os
import threading

import pytest
from pyworkerd_isolates import capi, native, wire
from pyworkerd_isolates import slots as slots_module
from pyworkerd_isolates.errors import ClosedIsolate, CpuExhausted
from pyworkerd_isolates.limits import Limits
from pyworkerd_isolates.native import Instance
from pyworkerd_isolates.pages import PAGES
from pyworkerd_isolates.slots import Slots

pytestmark = pytest.mark.skipif(PAGES is None, reason="this kernel has no PAGEMAP_SCAN")

WORKER = """
import asyncio, os, random, secrets, sys, uuid
from workers import Response, WorkerEntrypoint

SEEN = []

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(self.env.NAME)

    async def keep(self, text):
        SEEN.append(text)
        sys.left_behind = os.environ["LEFT"] = text

    async def found(self):
        return [list(SEEN), getattr(sys, "left_behind", None), os.environ.get("LEFT")]

    async def numbers(self):
        return [os.urandom(16).hex(), random.random(), str(uuid.uuid4()), secrets.token_hex()]

    async def grow(self, megabytes):
        SEEN.append(bytearray(megabytes << 20))

    async def touch(self, pages):
        SEEN.append([bytes([1]) * 4000 for _ in range(pages)])

    async def wait(self):
        SEEN.append("waiting")
        await asyncio.sleep(3600)

    async def spin(self):
        while True: pass
"""
NAME = (("NAME", "value", wire.dump_value("first")),)


@pytest.fixture
def slots(sandbox):
    return Slots()


@pytest.fixture
def image(sandbox):
    return sandbox.image(WORKER)


@pytest.fixture
def begin(sandbox, slots, image):
    """Starts isolates of the image on the slots."""
    drivers = []

    def start(name="first"):
        driver = sandbox.start(
            image, bindings=(("NAME", "value", wire.dump_value(name)),), slots=slots, cpu_ms=5000
        )
        drivers.append(driver)
        return driver

    yield start
    for driver in drivers:
        driver.isolate.end()
    slots.forget(image)
    image.close()


def test_an_ended_isolate_leaves_its_memory_to_the_next(begin, slots):
    first = begin()
    assert first.fetch().text == "first"
    memory = first.isolate._live()
    first.end()
    assert len(slots) == 1
    second = begin("second")
    assert second.isolate._live() is memory
    assert len(slots) == 0
    assert second.fetch().text == "second"


def test_an_isolate_that_gave_its_memory_away_cannot_reach_it(begin):
    first = begin()
    first.fetch()
    first.end()
    begin()
    with pytest.raises(ClosedIsolate):
        first.isolate.memory()
    with pytest.raises(ClosedIsolate):
        first.fetch()
    first.isolate.end()


def test_a_slot_may_rest_for_long(begin, machine):
    first = begin()
    first.fetch()
    first.end()
    for _ in range(native.OWN_CALL_TICKS.value + 1):
        capi.wasmtime_engine_increment_epoch(machine.pointer)
    assert begin("second").fetch().text == "second"


def test_nothing_of_the_one_before_is_left(begin, image, sandbox):
    with sandbox.start(image) as untouched:
        clean = untouched.isolate.memory()
    marker = f"MARKER-{os.urandom(8).hex()}"
    for _ in range(5):
        driver = begin()
        assert driver.isolate.memory() == clean
        assert driver.call("found").value == [[], None, None]
        driver.call("keep", marker)
        assert marker.encode() in driver.isolate.memory()
        driver.end()
    assert marker.encode() not in begin().isolate.memory()


def test_no_two_isolates_of_one_memory_give_one_equal_number(begin, slots):
    seen = []
    for _ in range(8):
        driver = begin()
        seen.append(driver.call("numbers").value)
        driver.end()
        assert len(slots) == 1
    for values in zip(*seen, strict=True):
        assert len(set(values)) == len(values)


def test_an_isolate_that_was_ended_in_the_middle_of_something_is_as_good(begin, slots):
    driver = begin()
    driver.call("keep", "x")
    run = driver.begin_call("wait")
    driver.step()
    assert not run.done
    driver.isolate.end()
    assert len(slots) == 1
    assert begin().call("found").value == [[], None, None]


def test_a_memory_that_has_grown_is_not_kept(begin, slots):
    driver = begin()
    driver.call("grow", 64)
    driver.end()
    assert len(slots) == 0


def test_a_memory_that_holds_much_is_not_kept(begin, slots, monkeypatch):
    monkeypatch.setattr(slots_module, "MAX_BYTES", 64 * 4096)
    driver = begin()
    driver.call("touch", 200)
    driver.end()
    assert len(slots) == 0


def test_a_memory_whose_isolate_trapped_is_not_kept(sandbox, image, slots):
    driver = sandbox.start(image, bindings=NAME, slots=slots, cpu_ms=20)
    with pytest.raises(CpuExhausted):
        driver.call("spin")
    assert len(slots) == 0


def test_one_that_never_ran_is_not_kept(begin, slots):
    begin().isolate.end()
    assert len(slots) == 0


def test_slots_serve_only_their_own_image(sandbox, begin, slots):
    driver = begin()
    driver.fetch()
    driver.end()
    other = sandbox.image(WORKER)  # the same content even: another worker's
    with sandbox.start(other, bindings=NAME, slots=slots) as stranger:
        assert len(slots) == 1
        assert stranger.fetch().text == "first"
    slots.forget(other)
    other.close()


def test_the_least_recently_used_slot_goes_first(sandbox, image):
    slots = Slots(capacity=2)
    images = [image, *(sandbox.image(f"{WORKER}# {number}") for number in range(2))]
    for each in images:
        with sandbox.start(each, bindings=NAME, slots=slots) as driver:
            driver.fetch()
    assert len(slots) == 2
    assert slots.take(images[0]) is None
    for each in images[1:]:
        slots.take(each).close()
        slots.forget(each)
        each.close()
    slots.forget(image)


def test_forgotten_slots_are_closed(begin, slots, image):
    driver = begin()
    driver.fetch()
    instance = driver.isolate._live()
    driver.end()
    slots.forget(image)
    assert len(slots) == 0
    assert slots.take(image) is None
    with pytest.raises(ClosedIsolate):
        instance.memory()


def test_an_isolate_may_end_after_its_image_was_forgotten(begin, slots, image):
    driver = begin()
    driver.fetch()
    slots.forget(image)
    driver.end()
    assert len(slots) == 0


def test_without_the_kernels_help_nothing_is_kept(sandbox, image, monkeypatch):
    monkeypatch.setattr(slots_module, "PAGES", None)
    slots = Slots()
    with sandbox.start(image, bindings=NAME, slots=slots) as driver:
        assert driver.fetch().text == "first"
    assert len(slots) == 0


def test_slots_are_taken_and_given_by_many_threads(engine, image, slots, sandbox):
    failures = []

    def run():
        try:
            for _ in range(30):
                with sandbox.start(image, bindings=NAME, slots=slots, cpu_ms=5000) as driver:
                    assert driver.call("found").value == [[], None, None]
                    driver.call("keep", "mine")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert 0 < len(slots) <= 4
    slots.forget(image)


def test_prefaulted_pages_hold_what_the_image_says(engine, image, sandbox):
    with sandbox.start(image, bindings=NAME) as driver:
        clean = driver.isolate.memory()
        driver.fetch()
    assert image.hot.runs
    instance = Instance(engine.code, image.module, Limits().memory_bytes, engine.refusals)
    try:
        instance.prefault(image.hot.runs)
        assert instance.memory() == clean
    finally:
        instance.close()
