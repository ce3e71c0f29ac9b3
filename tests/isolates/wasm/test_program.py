"""Engines of programs: what they import, and what is no program. (What they do: `tests/isolates/component`.)"""

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates.capi import assemble
from pyworkerd_isolates.wasm import WasmFormatError
from pyworkerd_isolates.wasm.assembly import ASK, MEMORY
from pyworkerd_isolates.wasm.core import parse_module
from pyworkerd_isolates.wasm.program import make_program

from tests.isolates.component.programs import HELLO, RESPOND, RESPONDING, cgi, component, handle


def module(text):
    return bytes(wasmtime.wat2wasm(text))


def test_an_engine_reaches_its_memory_and_one_function():
    program = make_program(HELLO, assemble)
    engine = parse_module(program.engine)
    assert engine.imports == [MEMORY, ASK]
    assert "handle_at" in engine.exports
    assert program.is_component
    assert set(program.questions) == set(RESPONDING.values())
    assert make_program(HELLO, assemble) == program


def test_what_nobody_answers_is_refused_when_it_is_called():
    program = make_program(cgi("", imports='(import "env" "f" (func))'), assemble)
    assert program.refusals == ("env f",)


@pytest.mark.parametrize(
    ("binary", "message"),
    [
        (b"", "neither a component"),
        (b"\0asm\x02\0\0\0", "neither a component"),
        (module("(component)"), "defined once"),
        (module("(module (memory 1))"), "no _start"),
        (module('(module (func (export "_start")))'), "one memory"),
        (module('(module (import "a" "m" (memory 1)) (func (export "_start")))'), "besides functions"),
        (module('(module (memory 1) (func (export "_start") (param i32)))'), "another type"),
        (module('(module (import "a" "b" (func $f)) (memory 1) (export "_start" (func $f)))'), "it imports"),
        (
            module(
                '(module (import "wasi_snapshot_preview1" "fd_read" (func (param i64))) (memory 1)'
                ' (func (export "_start")))'
            ),
            "another type than WASI",
        ),
        (module('(module (memory 20000) (func (export "_start")))'), "larger than"),
        (
            module(
                '(module (memory 4096) (data (i32.const 0) "a") (data (i32.const 0xfffffff) "b")'
                ' (func (export "_start")))'
            ),
            "spread over 268435456 bytes",
        ),
        (module('(module (memory 1) (table 4294967295 funcref) (func (export "_start")))'), "table entries"),
        (
            module(
                '(module (memory 1) (func (export "_start"))' + "(global i32 (i32.const 0))" * 20_000 + ")"
            ),
            "20000 globals",
        ),
    ],
)
def test_what_is_no_program(binary, message):
    with pytest.raises(WasmFormatError, match=message):
        make_program(binary, assemble)


def test_a_component_of_another_world():
    binary = HELLO.replace(b"wasi:http/incoming-handler", b"wasi:http/incoming-hindler")
    with pytest.raises(WasmFormatError, match="does not export"):
        make_program(binary, assemble)


def test_start_functions_are_allowed():
    binary = component(
        handle(
            "(call $put (call $respond (local.get $out)) (i32.const 1024) (i32.const 5) (i32.const 32)) (call $close)",
            "(func $first (i32.store8 (i32.const 1024) (i32.const 72))) (start $first)" + RESPOND,
        ),
        RESPONDING,
        '(data (i32.const 1024) "hello")',
    )
    assert parse_module(make_program(binary, assemble).engine).start is None


@given(st.data())
def test_damaged_programs_are_made_or_refused(data):
    damaged = bytearray(HELLO)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        program = make_program(bytes(damaged), assemble)
    except WasmFormatError:
        return
    assert parse_module(program.engine).imports == [MEMORY, ASK]
