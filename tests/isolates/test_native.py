"""Native handles, and calls that pause."""

from __future__ import annotations

import time
from ctypes import c_uint64
from struct import pack
from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates import native
from pyworkerd_isolates.capi import assemble
from pyworkerd_isolates.errors import (
    ClosedIsolate,
    CpuExhausted,
    MemoryExhausted,
    OutputTooLarge,
    ProtocolError,
)
from pyworkerd_isolates.native import Instance, Machine, Module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MEMORY = '(module (memory (export "memory") 1))'
CALLS = """(module (import "" "" (memory 1))
  (global $called (mut i32) (i32.const 0))
  (func (export "prepare_step") (param i32 i32) (result i32)
    (if (global.get $called) (then (loop $again (br $again))))
    (global.set $called (i32.const 1))
    (i32.const 64))
  (func (export "step_at") (param i64 i32 i32) (result i32)
    (loop $more
      (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
      (br_if $more (i32.lt_u (i32.load (i32.const 0)) (i32.load (local.get 1)))))
    (i32.const 8)))"""


SAYS = """(module (import "" "" (memory 1))
  (func (export "prepare_step") (param i32 i32) (result i32) (i32.load (i32.const 0)))
  (func (export "step_at") (param i64 i32 i32) (result i32)
    (drop (memory.grow (i32.load (local.get 1))))
    (i32.store (i32.const 0) (i32.load offset=16 (local.get 1)))
    (if (i32.load offset=4 (local.get 1)) (then
      (i64.store (i32.load offset=4 (local.get 1)) (i64.load offset=8 (local.get 1)))))
    (select (i32.load offset=4 (local.get 1)) (i32.load offset=8 (local.get 1))
      (i32.load offset=4 (local.get 1)))))"""
PAGE = 1 << 16


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[[str], Instance]]:
    """Makes an instance of an engine."""
    machine = Machine()
    modules: list[Module] = []
    instances: list[Instance] = []

    def make(engine: str) -> Instance:
        for name, text in (("image", MEMORY), ("engine", engine)):
            (tmp_path / name).write_bytes(machine.compile(assemble(text)))
            modules.append(machine.load(tmp_path / name))
        instances.append(Instance(modules[1], modules[0], 1 << 20))
        return instances[0]

    yield make
    for each in (*instances, *modules):
        each.close()
    machine.close()


@pytest.fixture
def instance(made: Callable[[str], Instance]) -> Instance:
    """One whose step counts to the number that it is given, and whose second `prepare_step` never ends."""
    return made(CALLS)


def make_wary(instance: Instance) -> None:
    """From now on allocators are not trusted to be quick."""
    instance._machine.wary_until = instance._ticker.wall + native.WARY_NS


@pytest.fixture(params=["trusted", "wary"])
def liar(made: Callable[[str], Instance], request: pytest.FixtureRequest) -> Instance:
    """One whose step grows its memory and says of its answer what it is told to (`told`)."""
    instance = made(SAYS)
    if request.param == "wary":
        make_wary(instance)
    has_room_at(instance, 64)
    return instance


def has_room_at(instance: Instance, address: int) -> None:
    """What it says of room for what it is handed."""
    instance.views([(0, 4)])[0][:] = number(address)


def told(instance: Instance, pages: int, record: int, start: int, length: int, room: int = 64) -> None:
    """Begin a step that grows by so many pages and has written, at `record`, where its answer is; with a record of 0
    its result is `start`. From now on it gives `room` as the place for what it is handed."""
    instance.begin("step", 0, pack("<5I", pages, record, start, length, room))
    assert instance.go_on(1000)


def number(value: int) -> bytes:
    return value.to_bytes(4, "little")


@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that cannot pause have only a few epochs."""
    monkeypatch.setattr(native, "PREPARE_TICKS", c_uint64(20))


@pytest.mark.usefixtures("early")
def test_a_call_that_cannot_pause_ends_at_its_deadline(instance: Instance) -> None:
    instance.begin("step", 0, number(1))
    assert instance.go_on(1000)
    instance.answer("step", 100)
    with pytest.raises(CpuExhausted):
        instance.finish("step")


@pytest.mark.usefixtures("early")
@pytest.mark.parametrize("size", [0, 4])
def test_a_call_that_cannot_pause_ends_although_nothing_has_run_for_long(
    instance: Instance, size: int
) -> None:
    instance.begin("step", 0, number(1))
    assert instance.go_on(1000)
    instance.answer("step", 100)
    ticker = instance._ticker
    ticker._park_after_ns = 0
    while not ticker.parked:
        time.sleep(0)
    instance._machine.wary_until = 0
    with pytest.raises(CpuExhausted):
        instance.begin("step", 0, bytes(size))


def test_an_allocator_that_takes_long_is_the_last_one_that_holds_anybody_up(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "PREPARE_TICKS", c_uint64(40))
    instance.begin("step", 0, number(1))
    assert instance.go_on(1000)
    instance.answer("step", 100)
    instance._machine.wary_until = 0  # a busy machine makes wary too
    with pytest.raises(CpuExhausted):
        instance.begin("step", 0, number(1))
    assert instance._machine.wary_until > instance._ticker.wall


def test_where_that_was_known_it_pauses_and_is_paid_for(instance: Instance) -> None:
    make_wary(instance)
    instance.begin("step", 0, number(1))
    assert instance.go_on(1000)
    instance.answer("step", 100)
    instance.begin("step", 0, number(1))
    assert not instance.go_on(0)
    assert not instance.go_on(0)
    instance.abandon()
    with pytest.raises(CpuExhausted, match="used up"):
        instance.step("step", 0, number(1), 2, 100)


def test_nobody_is_wary_for_ever(instance: Instance) -> None:
    instance._machine.wary_until = instance._ticker.wall
    instance.begin("step", 0, number(1))
    assert instance._handed is None


def test_a_thread_that_waits_for_a_processor_before_such_a_call_loses_nothing(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*arguments: object) -> object:
        for _ in range(300):
            instance._ticker._tick()
        return call(*arguments)

    call = native.wasmtime_func_call_unchecked
    monkeypatch.setattr(native, "wasmtime_func_call_unchecked", late)
    instance.begin("step", 0, number(1))
    assert instance.go_on(1000)


def test_a_step_that_is_not_over_can_be_dropped(instance: Instance) -> None:
    instance.begin("step", 0, number(0xFFFFFFFF))
    assert not instance.go_on(0)
    assert not instance.go_on(0)
    instance.abandon()
    instance.abandon()
    with pytest.raises(ClosedIsolate, match="no step"):
        instance.go_on(0)


def test_an_instance_is_closed_in_the_middle_of_a_step(instance: Instance) -> None:
    instance.begin("step", 0, number(0xFFFFFFFF))
    assert not instance.go_on(0)
    instance.close()
    with pytest.raises(ClosedIsolate):
        instance.go_on(0)


def test_a_step_of_its_own_has_no_more_cpu_time_than_it_was_given(instance: Instance) -> None:
    with pytest.raises(CpuExhausted):
        instance.step("step", 0, number(0xFFFFFFFF), 2, 100)


def test_an_answer_may_lie_in_memory_that_came_in_this_step(liar: Instance) -> None:
    told(liar, 0, PAGE - 8, PAGE - 8, 8)
    assert liar.answer("step", 8) == pack("<2I", PAGE - 8, 8)
    told(liar, 1, 2 * PAGE - 8, 2 * PAGE - 12, 12)
    assert liar.answer("step", 12) == bytes(4) + pack("<2I", 2 * PAGE - 12, 12)
    assert liar.size == liar.memory_size == 2 * PAGE
    told(liar, 0, 2 * PAGE - 8, 0, 0)
    assert liar.answer("step", 0) == b""


@pytest.mark.parametrize("beyond", [PAGE - 7, PAGE, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_an_answer_is_looked_for_in_the_memory_alone(liar: Instance, beyond: int) -> None:
    told(liar, 0, 0, beyond, 0)
    with pytest.raises(ProtocolError, match="result lies outside"):
        liar.answer("step", PAGE)


@pytest.mark.parametrize(
    ("start", "length"), [(PAGE, 1), (PAGE - 1, 2), (1, PAGE), (0xFFFFFFFF, 1), (1, 0xFFFFFFFF)]
)
def test_an_answer_ends_in_the_memory(liar: Instance, start: int, length: int) -> None:
    told(liar, 0, 128, start, length)
    with pytest.raises(ProtocolError, match="output lies outside"):
        liar.answer("step", 1 << 32)


def test_an_answer_may_be_so_long(liar: Instance) -> None:
    told(liar, 0, 128, 0, 101)
    with pytest.raises(OutputTooLarge, match="101 bytes; the limit is 100"):
        liar.answer("step", 100)


@pytest.mark.parametrize("room", [PAGE - 19, PAGE, 0xFFFFFFFF])
def test_what_is_handed_in_is_written_to_the_memory_alone(liar: Instance, room: int) -> None:
    told(liar, 0, 128, 0, 0, room)
    with pytest.raises(ProtocolError, match="outside its memory"):
        told(liar, 0, 128, 0, 0)


def test_what_a_guest_has_no_room_for_is_not_written_over_its_first_bytes(liar: Instance) -> None:
    """Its allocator says 0 then, where there is what the guest goes by; and whoever sends something may be another."""
    has_room_at(liar, 0)
    before = liar.memory()
    with pytest.raises(MemoryExhausted):
        liar.step("step", 0, b"x" * 100, 1000, 100)
    assert liar.memory() == before


def test_nothing_is_read_or_written_where_its_memory_was(liar: Instance) -> None:
    told(liar, 0, 128, 0, 4)
    liar.close()
    for use in (
        lambda: liar.answer("step", 100),
        lambda: told(liar, 0, 0, 0, 0),
        lambda: liar.invoke("prepare_step", 0, 1),
        lambda: liar.memory_size,
    ):
        with pytest.raises(ClosedIsolate):
            use()
