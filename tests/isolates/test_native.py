"""Native handles and the ticker that keeps deadlines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates.errors import ClosedIsolate, EngineError
from pyworkerd_isolates.native import Machine, Ticker, assemble

if TYPE_CHECKING:
    from pathlib import Path

LOOP = """(module (memory (export "memory") 1)
  (func (export "spin") (result i32) (loop $again (br $again)) (i32.const 0)))"""


def test_code_that_does_not_compile_is_an_error_of_ours() -> None:
    machine = Machine()
    with pytest.raises(EngineError, match="does not compile"):
        machine.compile(b"\0asm\1\0\0\0garbage")
    machine.close()


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


def test_a_ticker_does_not_rest_when_a_step_began_as_it_was_about_to() -> None:
    machine = Machine()
    ticker: Ticker = machine.ticker
    ticker.ticks_for(10)
    seen = ticker._steps
    ticker.ticks_for(10)  # begins between the last look and the decision to rest
    ticker._park(seen)  # would wait for ever
    assert not ticker._parked
    machine.close()


def test_a_closed_machine_begins_no_step() -> None:
    machine = Machine()
    machine.close()
    with pytest.raises(ClosedIsolate):
        machine.ticker.ticks_for(1)
