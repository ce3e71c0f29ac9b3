"""Isolates that hibernate: all that they had is there again, their time goes on, and their entropy is new."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_isolates import isolate as isolate_module
from pyworkerd_isolates import native, wire
from pyworkerd_isolates.blocks import BLOCK
from pyworkerd_isolates.errors import ClosedIsolate, HeapError, HeapsFull, MemoryExhausted, Trap
from pyworkerd_isolates.heaps import Heaps
from pyworkerd_isolates.lifecycle import State
from pyworkerd_isolates.pages import MAX_RUNS, PAGES
from pyworkerd_isolates.testing import LATER, RunFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pyworkerd_isolates.testing import Driver, Sandbox

WORKER = """
import asyncio, os, random, secrets, time, uuid
from workers import WorkerEntrypoint, Response

SEEN = []
fired = []

class Default(WorkerEntrypoint):
    async def keep(self, thing):
        SEEN.append(thing)
        return len(SEEN)

    async def seen(self):
        return SEEN

    async def grow(self, megabytes):
        SEEN.append(bytearray(b"x" * (megabytes << 20)))

    async def check(self):
        return [each.count(b"x") == len(each) for each in SEEN if isinstance(each, bytearray)]

    async def scatter(self, pages):
        many = [bytes([n % 251]) * 4000 for n in range(pages)]
        SEEN.append(many[::2])

    async def numbers(self):
        return [os.urandom(16).hex(), random.random(), str(uuid.uuid4()), secrets.token_hex()]

    async def now(self):
        return [time.time_ns(), time.monotonic_ns()]

    async def later(self, seconds):
        asyncio.get_running_loop().call_later(seconds, fired.append, seconds)

    async def fired(self):
        await asyncio.sleep(0)
        return fired

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)
        return SEEN

    async def ask(self):
        return [await self.env.CALL("x"), SEEN]

    async def secret(self):
        return self.env.SECRET
"""


@pytest.fixture
def heaps(tmp_path: Path) -> Iterator[Heaps]:
    """Room for some."""
    opened = Heaps(256 << 20, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def driver(start: Any) -> Driver:
    """One that has run."""
    started: Driver = start(WORKER)
    assert started.call("keep", "before").value == 1
    return started


def sleep(driver: Driver, heaps: Heaps) -> None:
    driver.isolate.hibernate(heaps, driver.isolate.put_away(heaps)).close()
    assert driver.isolate.state is State.HIBERNATED
    assert driver.isolate.hibernates


def wake(driver: Driver) -> None:
    while not driver.isolate.wake():
        assert driver.isolate.hibernates


def test_what_it_had_in_memory_is_there_again(driver: Driver, heaps: Heaps) -> None:
    size = driver.isolate.memory_size
    for number in range(5):
        sleep(driver, heaps)
        assert len(heaps) > 0
        assert driver.isolate.memory_size == size
        assert driver.isolate.wake()
        assert not driver.isolate.hibernates
        assert len(heaps) == 0, "a heap is used once"
        assert driver.call("keep", number).value == number + 2
    assert driver.call("seen").value == ["before", *range(5)]


def test_its_memory_is_the_same_to_the_byte(driver: Driver, heaps: Heaps) -> None:
    driver.call("scatter", 3000)
    heap = driver.isolate.put_away(heaps)
    before = driver.isolate.memory()
    driver.isolate.hibernate(heaps, heap).close()
    with pytest.raises(ClosedIsolate):
        driver.isolate.memory()
    wake(driver)
    assert driver.isolate.memory() == before


def test_a_memory_that_has_grown(driver: Driver, heaps: Heaps) -> None:
    driver.call("grow", 40)
    size = driver.isolate.memory_size
    assert size > driver.isolate.image.memory_size + (40 << 20)
    sleep(driver, heaps)
    assert driver.isolate.growth == size - driver.isolate.image.memory_size
    assert not driver.isolate.wake(wait=False), "so much takes long"
    assert driver.isolate.hibernates
    assert not driver.isolate.wake(), "it is read in pieces"
    wake(driver)
    assert driver.isolate.memory_size == size
    driver.call("grow", 2)
    assert driver.call("check").value == [True, True]


@pytest.mark.skipif(PAGES is None, reason="this kernel has no PAGEMAP_SCAN")
def test_more_scattered_pages_than_one_look_tells(start: Any, heaps: Heaps) -> None:
    driver = start(WORKER)
    driver.call("scatter", 8 * MAX_RUNS)
    instance = driver.isolate._live()
    base, size = instance._window()
    for number in range(0, driver.isolate.image.memory_size, 4 * 4096):
        instance.views([(number, number + 1)])[0][0] |= 0
    assert PAGES is not None
    assert PAGES.written(base, size) is None
    before = driver.isolate.memory()
    heap = driver.isolate.put_away(heaps)
    assert len(heap.runs) > MAX_RUNS
    driver.isolate.hibernate(heaps, heap).close()
    wake(driver)
    assert len(driver.isolate.memory()) == len(before)
    assert driver.call("seen").value[0][1] == bytes([2]) * 4000


def test_only_what_is_its_own_is_put_away(driver: Driver, heaps: Heaps) -> None:
    heap = driver.isolate.put_away(heaps)
    assert heap.size < driver.isolate.memory_size / 8
    assert heap.memory_size == driver.isolate.memory_size


def test_where_the_kernel_does_not_tell_the_memory_is_compared(
    driver: Driver, heaps: Heaps, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.call("grow", 3)
    told = driver.isolate.put_away(heaps)
    for module in (isolate_module, native):
        monkeypatch.setattr(module, "PAGES", None)
    compared = driver.isolate.put_away(heaps)
    assert compared.memory_size == told.memory_size
    if PAGES is not None:
        pages = {page for start, end in told.runs for page in range(start, end, 4096)}
        assert {page for start, end in compared.runs for page in range(start, end, 4096)} <= pages
    before = driver.isolate.memory()
    driver.isolate.hibernate(heaps, compared).close()
    wake(driver)
    assert driver.isolate.memory() == before
    assert driver.call("check").value == [True]


def test_no_number_comes_twice(driver: Driver, heaps: Heaps) -> None:
    seen = []
    for _ in range(6):
        seen.append(driver.call("numbers").value)
        sleep(driver, heaps)
        wake(driver)
    for values in zip(*seen, strict=True):
        assert len(set(values)) == len(values)


def test_entropy_is_new_after_it_woke(
    sandbox: Sandbox, heaps: Heaps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same memory and the same key would give the same numbers: it is the key that differs."""
    import secrets  # noqa: PLC0415

    keys = []

    def token_bytes(count: int) -> bytes:
        keys.append(os.urandom(count))
        return keys[-1]

    monkeypatch.setattr(secrets, "token_bytes", token_bytes)
    with sandbox.start(WORKER) as driver:
        driver.call("keep", 1)
        sleep(driver, heaps)
        wake(driver)
    assert len(keys) == 2
    assert keys[0] != keys[1]


def test_time_never_goes_back(driver: Driver, heaps: Heaps) -> None:
    before = driver.call("now").value
    driver.isolate.ahead_ns += 3_600_000_000_000
    later = driver.call("now").value
    sleep(driver, heaps)
    wake(driver)
    after = driver.call("now").value
    assert all(a < b < c for a, b, c in zip(before, later, after, strict=True))


def test_a_timer_is_there_and_due(driver: Driver, heaps: Heaps) -> None:
    driver.call("later", 60)
    assert driver.call("fired").value == []
    sleep(driver, heaps)
    driver.isolate.ahead_ns += 61_000_000_000
    wake(driver)
    assert driver.call("fired").value == [60]


def test_somebody_who_sleeps_goes_on(driver: Driver, heaps: Heaps) -> None:
    run = driver.begin_call("sleep", 60)
    driver.step()
    assert not run.done
    sleep(driver, heaps)
    driver.isolate.ahead_ns += 61_000_000_000
    wake(driver)
    driver.settle()
    assert run.value == ["before"]


def test_a_call_that_was_under_way_is_answered(start: Any, heaps: Heaps) -> None:
    driver = start(WORKER, bindings=(("CALL", "callable", 3),), answer=lambda _: LATER)
    run = driver.begin_call("ask")
    driver.step()
    (call,) = driver.calls
    sleep(driver, heaps)
    wake(driver)
    driver.resolve(call, "answered")
    driver.settle()
    assert run.value == ["answered", []]


def test_it_goes_on_if_the_heap_is_not_used(driver: Driver, heaps: Heaps) -> None:
    heap = driver.isolate.put_away(heaps)
    assert driver.call("keep", "after").value == 2
    heaps.drop(heap)
    assert driver.isolate.wake(), "it is awake"
    sleep(driver, heaps)
    wake(driver)
    assert driver.call("seen").value == ["before", "after"]


def test_one_that_does_not_fit_goes_on(driver: Driver) -> None:
    small = Heaps(BLOCK)
    with pytest.raises(HeapsFull):
        driver.isolate.put_away(small)
    assert driver.call("keep", "after").value == 2
    small.close()


def test_a_heap_that_cannot_be_read_is_the_end_of_it(driver: Driver, heaps: Heaps) -> None:
    sleep(driver, heaps)
    assert heaps._file is not None
    os.ftruncate(heaps._file.fileno(), 4096)
    with pytest.raises(HeapError, match="cannot be had back"):
        driver.isolate.wake()
    assert driver.isolate.state is State.DEAD
    assert len(heaps) == 0


def test_one_that_ends_while_it_is_read(driver: Driver, heaps: Heaps) -> None:
    driver.call("grow", 20)
    sleep(driver, heaps)
    assert not driver.isolate.wake()
    assert driver.isolate._waking is not None
    instance, _ = driver.isolate._waking
    driver.isolate.end()
    assert len(heaps) == 0
    with pytest.raises(ClosedIsolate):
        instance.memory()


def test_an_instance_that_cannot_be_made_is_the_end_of_it(
    driver: Driver, heaps: Heaps, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Trap("no memory")

    sleep(driver, heaps)
    monkeypatch.setattr(isolate_module.Isolate, "_untouched", refuse)
    with pytest.raises(HeapError, match="no memory"):
        driver.isolate.wake()
    assert driver.isolate.state is State.DEAD
    assert len(heaps) == 0


def test_one_that_ends_meanwhile_gives_its_room_back(driver: Driver, heaps: Heaps) -> None:
    sleep(driver, heaps)
    driver.isolate.end()
    assert len(heaps) == 0
    driver.isolate.end()
    with pytest.raises(ClosedIsolate):
        driver.isolate.put_away(heaps)


def test_it_has_to_be_between_two_steps(start: Any, heaps: Heaps) -> None:
    driver = start(WORKER)
    with pytest.raises(ClosedIsolate, match="between two steps"):
        driver.isolate.put_away(heaps)
    driver.call("keep", 1)
    driver.isolate.begin(driver.events, 1000)
    with pytest.raises(ClosedIsolate, match="between two steps"):
        driver.isolate.put_away(heaps)
    driver.isolate.stop()


def test_one_that_hibernates_cannot_be_stepped(driver: Driver, heaps: Heaps) -> None:
    sleep(driver, heaps)
    with pytest.raises(ClosedIsolate):
        driver.call("seen")
    assert len(heaps) == 0


def test_one_whose_engine_is_not_at_rest_goes_on(
    driver: Driver, heaps: Heaps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native.Instance, "at_rest", lambda _: False)
    with pytest.raises(HeapError, match="not at rest"):
        driver.isolate.put_away(heaps)
    assert len(heaps) == 0
    assert driver.call("keep", "after").value == 2


def test_a_guest_that_traps_on_the_way_has_ended(
    driver: Driver, heaps: Heaps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Freeing the last answer is guest code, and runs on a heap that the guest may have spoiled."""

    def trap(*_: object) -> None:
        raise Trap("unreachable code reached")

    monkeypatch.setattr(native.Instance, "finish", trap)
    with pytest.raises(Trap):
        driver.isolate.put_away(heaps)
    assert driver.isolate.state is State.DEAD


def test_at_rest_is_after_the_last_answer_was_freed(driver: Driver) -> None:
    instance = driver.isolate._live()
    assert not instance.at_rest()
    instance.finish("step")
    assert instance.at_rest()


def test_the_memory_limit_holds_after_it_woke(start: Any, heaps: Heaps) -> None:
    driver = start(WORKER, memory_mb=64)
    driver.call("grow", 4)
    sleep(driver, heaps)
    wake(driver)
    with pytest.raises((MemoryExhausted, RunFailed), match=r"MemoryError|memory"):
        driver.call("grow", 64).checked()


def test_its_secret_is_in_the_heap_and_in_no_file(start: Any, heaps: Heaps, tmp_path: Path) -> None:
    secret = f"SECRET-{os.urandom(8).hex()}"
    driver = start(WORKER, bindings=(("SECRET", "value", wire.dump_value(secret)),))
    assert driver.call("secret").value == secret
    sleep(driver, heaps)
    assert heaps._file is not None
    descriptor = heaps._file.fileno()
    assert secret.encode() in os.pread(descriptor, len(heaps), 0)
    assert list(tmp_path.iterdir()) == []
    wake(driver)
    assert driver.call("secret").value == secret


def test_others_of_the_image_find_nothing(driver: Driver, heaps: Heaps, sandbox: Sandbox) -> None:
    marker = f"MARKER-{os.urandom(8).hex()}"
    driver.call("keep", marker)
    sleep(driver, heaps)
    with sandbox.start(driver.isolate.image, cpu_ms=5000) as other:
        assert other.call("seen").value == []
        assert marker.encode() not in other.isolate.memory()


def test_many_at_once_on_threads(sandbox: Sandbox, heaps: Heaps) -> None:
    image = sandbox.image(WORKER)
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            with sandbox.start(image, cpu_ms=5000) as driver:
                for count in range(1, 6):
                    assert driver.call("keep", number).value == count
                    sleep(driver, heaps)
                    assert driver.isolate.wake()
                assert driver.call("seen").value == [number] * 5
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(heaps) == 0
