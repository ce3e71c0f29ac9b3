"""What all isolates of a process share: the engine's settings, and modules."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates.capi import assemble
from pyworkerd_isolates.errors import ClosedIsolate, EngineError
from pyworkerd_isolates.machine import Machine

if TYPE_CHECKING:
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
