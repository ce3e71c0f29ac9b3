"""The parse of core modules, against text that wasmtime assembles, and against damaged bytes."""

import pytest
import wasmtime
from hypothesis import example, given
from hypothesis import strategies as st
from pyworkerd_isolates.wasm import WasmFormatError
from pyworkerd_isolates.wasm.core import (
    I32,
    I64,
    Constant,
    Element,
    FunctionType,
    Global,
    Import,
    Limits,
    parse_module,
)

TEXT = r"""
(module
  (type $unary (func (param i32) (result i64)))
  (import "env" "memory" (memory 1 9))
  (import "env" "table" (table 2 funcref))
  (import "env" "base" (global $base i32))
  (import "env" "call" (func $call (type $unary)))
  (global $own (mut i64) (i64.const -5))
  (global i32 (i32.add (global.get $base) (i32.const 3)))
  (func $first (export "first") (type $unary) (call $call (local.get 0)))
  (func $second (export "second") (param f32 f64))
  (export "own" (global $own))
  (elem (i32.const 1) func $second $call)
  (elem declare func $first)
  (data (i32.const 0) "abc") (data "passive"))
"""
BINARY = bytes(wasmtime.wat2wasm(TEXT))


def assembled(text):
    return bytes(wasmtime.wat2wasm(text))


def test_everything_is_found():
    module = parse_module(BINARY)
    assert module.imports == [
        Import("env", "memory", "memory"),
        Import("env", "table", "table"),
        Import("env", "base", "global"),
        Import("env", "call", "func"),
    ]
    assert module.imported["func"] == [Import("env", "call", "func")]
    assert module.memories == [Limits(1, 9)]
    assert module.tables == [Limits(2, None)]
    assert module.globals == [
        Global(I32, False, ()),
        Global(I64, True, (Constant("const", -5),)),
        Global(I32, False, (Constant("global", 0), Constant("const", 3), Constant("add", 0))),
    ]
    assert module.exports == {"first": ("func", 1), "second": ("func", 2), "own": ("global", 1)}
    assert module.type_of(0) == module.type_of(1) == FunctionType(bytes([I32]), bytes([I64]))
    assert module.elements == [Element((Constant("const", 1),), (2, 0))]
    assert len(module.bodies) == 2
    assert module.data_segments == 2
    assert module.constants == [b"passive"]
    assert module.start is None
    assert module.export("own", "global") == 1


def test_a_memoryview_parses_the_same():
    assert parse_module(memoryview(BINARY)) == parse_module(BINARY)


def test_a_start_function_is_seen():
    assert parse_module(assembled("(module (func) (func) (start 1))")).start == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(module (memory i64 1))", "limits"),
        ("(module (table 1 externref))", "tables of functions"),
        ("(module (global f32 (f32.const 1)))", "constant expression"),
        ("(module (tag))", "section 13"),
        ('(module (memory 1) (memory 1) (data (memory 1) (i32.const 0) "x"))', "data segments of memory 0"),
        ("(module (table 1 funcref) (elem (i32.const 0) funcref (ref.null func)))", "expressions"),
    ],
)
def test_what_is_not_supported_says_so(text, message):
    with pytest.raises(WasmFormatError, match=message):
        parse_module(assembled(text))


@pytest.mark.parametrize(("name", "kind"), [("absent", "func"), ("own", "func")])
def test_an_export_of_the_wrong_name_or_sort(name, kind):
    with pytest.raises(WasmFormatError, match="exports no"):
        parse_module(BINARY).export(name, kind)


@pytest.mark.parametrize("size", range(len(BINARY)))
def test_cut_off_anywhere(size):
    try:
        parse_module(BINARY[:size])
    except WasmFormatError:
        return
    # What is left may be a whole number of sections: then nothing that they say is missing.
    assert wasmtime.Module.validate(wasmtime.Engine(), BINARY[:size]) is None


@given(st.integers(0, len(BINARY) * 8 - 1), st.integers(0, len(BINARY) * 8 - 1))
@example(0, 0)
def test_flipped_bits_are_parsed_or_refused(first, second):
    damaged = bytearray(BINARY)
    for bit in (first, second):
        damaged[bit // 8] ^= 1 << bit % 8
    try:
        module = parse_module(bytes(damaged))
    except WasmFormatError:
        return
    assert len(module.functions) - len(module.imported["func"]) == len(module.bodies)


@given(st.binary(max_size=64))
def test_any_bytes_after_the_header(raw):
    try:
        module = parse_module(BINARY[:8] + raw)
    except WasmFormatError:
        return
    assert len(module.exports) + len(module.imports) <= len(raw)
