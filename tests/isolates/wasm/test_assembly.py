"""Engines are read again when they are written: nothing but a memory comes in. (What they do: `test_merge.py`.)"""

import pytest
import wasmtime
from pyworkerd_isolates.wasm import WasmFormatError
from pyworkerd_isolates.wasm.assembly import check_engine, system_part

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
