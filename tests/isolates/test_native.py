"""Native handles, and calls that pause."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates.capi import assemble
from pyworkerd_isolates.errors import ClosedIsolate, CpuExhausted, EngineError
from pyworkerd_isolates.native import Instance, Machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOP = """(module (memory (export "memory") 1)
  (func (export "spin") (result i32) (loop $again (br $again)) (i32.const 0)))"""


def test_code_that_does_not_compile_is_an_error_of_ours() -> None:
    machine = Machine()
    with pytest.raises(EngineError, match="does not compile"):
        machine.compile(b"\0asm\1\0\0\0garbage")
    machine.close()


def test_a_machine_that_nobody_closed_leaves_its_ticker_an_engine_to_tick() -> None:
    machine = Machine()
    engine, ticker = weakref.ref(machine._engine), machine.ticker
    assert ticker.ticks_for(1)  # its thread runs now
    del machine
    gc.collect()
    assert engine() is not None
    ticker.close()
    del ticker
    gc.collect()
    assert engine() is None


def test_a_file_that_is_no_native_code_is_an_error_of_ours(tmp_path: Path) -> None:
    machine = Machine()
    (tmp_path / "x.cwasm").write_bytes(b"not native code")
    with pytest.raises(EngineError, match=r"x\.cwasm"):
        machine.load(tmp_path / "x.cwasm")
    machine.close()


def test_a_closed_module_is_not_used(tmp_path: Path) -> None:
    machine = Machine()
    (tmp_path / "x.cwasm").write_bytes(machine.compile(assemble(LOOP)))
    module = machine.load(tmp_path / "x.cwasm")
    assert module.pointer
    module.close()
    module.close()
    with pytest.raises(ClosedIsolate):
        _ = module.pointer
    machine.close()


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


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    """An instance whose step counts to the number that it is given, and whose second `prepare_step` never ends."""
    machine = Machine()
    modules = []
    for name, text in (("image", MEMORY), ("engine", CALLS)):
        (tmp_path / name).write_bytes(machine.compile(assemble(text)))
        modules.append(machine.load(tmp_path / name))
    instance = Instance(modules[1], modules[0], 1 << 20)
    yield instance
    instance.close()
    for module in modules:
        module.close()
    machine.close()


def number(value: int) -> bytes:
    return value.to_bytes(4, "little")


def test_a_call_that_cannot_pause_ends_at_its_deadline(instance: Instance) -> None:
    instance.begin("step", 0, number(1))
    assert instance.go_on(1000)
    instance.answer("step", 100)
    with pytest.raises(CpuExhausted):
        instance.finish("step")


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
