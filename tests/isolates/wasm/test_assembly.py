"""Engines are read again when they are written: nothing but a memory comes in. (What they do: `test_merge.py`.)"""

import pytest
import wasmtime
from pyworkerd_isolates.wasm import WasmFormatError
from pyworkerd_isolates.wasm.assembly import Assembly, check_engine, system_part
from pyworkerd_isolates.wasm.core import parse_module
from pyworkerd_isolates.wasm.instructions import GETS, named
from pyworkerd_isolates.wasm.linking import Definition, Part

BAD_ENGINES = {
    "another import": '(module (import "image" "memory" (memory 1)) (import "env" "call" (func)))',
    "no memory": "(module)",
    "its own memory": '(module (import "image" "memory" (memory 1)) (memory 1))',
    "data": '(module (import "image" "memory" (memory 1)) (data (i32.const 0) "x"))',
    "a start function": '(module (import "image" "memory" (memory 1)) (func) (start 0))',
    "another export": '(module (import "image" "memory" (memory 1)) (func (export "realloc")))',
}


@pytest.mark.parametrize("what", BAD_ENGINES)
def test_engines_that_could_reach_more_are_refused(what):
    with pytest.raises(WasmFormatError, match="the engine"):
        check_engine(bytes(wasmtime.wat2wasm(BAD_ENGINES[what])), [])


def test_constants_are_no_data_of_an_instance():
    text = '(module (import "image" "memory" (memory 1)) (data "x"))'
    with pytest.raises(WasmFormatError, match="exports"):  # and nothing else is wrong
        check_engine(bytes(wasmtime.wat2wasm(text)), [])


def test_the_system_has_no_data_of_an_instance():
    with pytest.raises(WasmFormatError, match="at the start"):
        system_part(bytes(wasmtime.wat2wasm('(module (memory 1) (data (i32.const 0) "x"))')), {})


GLOBALS = """(module (memory 1) (table 1 funcref)
  (global $never (mut i32) (i32.const 100)) (global $linked (mut i32) (i32.const -20))
  (global $counted (mut i32) (i32.const 3)) (global $started (mut i32) (i32.const 0))
  (func $linker (global.set $linked (i32.const 9)))
  (func $by_table (global.set $started (i32.const 4000)))
  (func $count (global.set $counted (i32.add (global.get $counted) (i32.const 1))))
  (func $sum (result i32) (call $count) (call_indirect (i32.const 0))
    (i32.add (i32.add (global.get $never) (global.get $linked))
             (i32.add (global.get $counted) (global.get $started))))
  (elem (i32.const 0) $by_table))"""
SUMS = """(module (import "guest" "sum" (func $sum (result i32)))
  (func (export "sum") (result i32) (call $sum)))"""


def test_globals_that_nothing_can_change_are_numbers_in_the_code():
    module = parse_module(bytes(wasmtime.wat2wasm(GLOBALS)))
    functions = [Definition(0, index) for index in range(len(module.functions))]
    part = Part(module, functions, [Definition(0, index) for index in range(len(module.globals))])
    system = system_part(bytes(wasmtime.wat2wasm(SUMS)), {"sum": functions[3]})
    written = Assembly({0: part}, 0, system, ()).write(())
    read = [index for body in parse_module(written).bodies for op, index in named(body) if op == GETS]
    store = wasmtime.Store()
    memory = wasmtime.Memory(store, wasmtime.MemoryType(wasmtime.Limits(1, None)))
    engine = wasmtime.Instance(store, wasmtime.Module(store.engine, written), [memory]).exports(store)
    assert [engine["sum"](store) for _ in range(2)] == [4084, 4085]
    assert not engine["at_rest"](store)
    engine["reset"](store)
    assert engine["at_rest"](store)
    assert engine["sum"](store) == 4084
    assert set(read) == {2, 3}
