"""Renumbering: the identity changes nothing, a permutation does the same, damage is refused."""

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates.wasm import WasmFormatError
from pyworkerd_isolates.wasm.binary import MODULE_HEADER, name, section, vector
from pyworkerd_isolates.wasm.core import parse_module
from pyworkerd_isolates.wasm.instructions import Renumbering, renumber
from pyworkerd_isolates.wasm.leb import encode_signed, encode_unsigned

TEXT = r"""
(module
  (type $unary (func (param i32) (result i32)))
  (type $pair (func (param i32 i32) (result i32 i32)))
  (type $none (func))
  (memory 1)
  (table 3 funcref)
  (global $counter (mut i32) (i32.const 7))
  (global $wide (mut i64) (i64.const -1234567890123456789))
  (elem (i32.const 0) func $double $fact $pick)
  (func $double (type $unary) (i32.mul (local.get 0) (i32.const 2)))
  (func $fact (type $unary)
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
      (then (i32.const 1))
      (else (i32.mul (local.get 0) (call $fact (i32.sub (local.get 0) (i32.const 1)))))))
  (func $pick (type $unary)
    (block $a (block $b (block $c (br_table $a $b $c (local.get 0))) (return (i32.const 30)))
      (return (i32.const 20)))
    (i32.const 10))
  (func $swap (type $pair)
    (local.get 1) (local.get 0)
    (block (type $pair) (global.set $counter) (i32.const 1) i32.add (global.get $counter)))
  (func $numbers (result i32) (local f32 f64) (local i64)
    (local.set 0 (f32.const 1.5)) (local.set 1 (f64.const -2.25))
    (local.set 2 (i64.const 0x1020304050607080))
    (global.set $wide (i64.add (global.get $wide) (local.get 2)))
    (i32.add (i32.trunc_sat_f64_s (f64.add (f64.promote_f32 (local.get 0)) (local.get 1)))
      (i32.wrap_i64 (i64.shr_u (global.get $wide) (i64.const 7)))))
  (func $memory (result i32)
    (i64.store offset=8 align=2 (i32.const 0) (i64.const 0x0102030405060708))
    (memory.copy (i32.const 100) (i32.const 8) (i32.const 8))
    (memory.fill (i32.const 103) (i32.const 9) (i32.const 1))
    (drop (memory.grow (i32.const 1)))
    (i32.add (i32.load offset=100 (i32.const 0)) (memory.size)))
  (func $select (param i32) (result i32)
    (ref.is_null (select (result funcref) (ref.null func) (ref.func $fact) (local.get 0))))
  (func $tail (type $unary) (return_call $fact (local.get 0)))
  (func $indirect_tail (type $unary) (return_call_indirect (type $unary) (local.get 0) (i32.const 1)))
  (func $vectors (param i32) (result i32) (local $v v128)
    (local.set $v (block (result v128) (v128.const i32x4 0x10111213 0x23242526 0x0fd01112 0x41424344)))
    (v128.store offset=200 (i32.const 0) (local.get $v))
    (v128.store32_lane offset=300 2 (i32.const 0) (local.get $v))
    (local.set $v (i8x16.shuffle 16 1 18 3 20 5 22 7 24 9 26 11 28 13 30 15
      (v128.load32_lane offset=200 1 (i32.const 0) (local.get $v))
      (i32x4.add (v128.load32_zero offset=300 (i32.const 0)) (i32x4.splat (call $double (local.get 0))))))
    (local.set $v (i8x16.swizzle (local.get $v) (i16x8.replace_lane 3 (local.get $v) (i32.const 259))))
    (local.set $v (f32x4.convert_i32x4_s (i32x4.dot_i16x8_s (local.get $v) (v128.load8_splat (i32.const 201)))))
    (i32.add (i32x4.extract_lane 3 (i32x4.trunc_sat_f64x2_s_zero (f64x2.promote_low_f32x4 (local.get $v))))
      (i32.add (i64x2.bitmask (local.get $v)) (i16x8.extract_lane_u 7 (local.get $v)))))
  (func (export "run") (param i32) (result i32) (local $sum i32)
    (local.set $sum (call $vectors (local.get 0)))
    (loop $again
      (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31))
        (call_indirect (type $unary) (local.get 0) (i32.rem_u (local.get 0) (i32.const 3)))))
      (local.set $sum (i32.add (local.get $sum) (call $tail (local.get 0))))
      (local.set $sum (i32.xor (local.get $sum) (call $indirect_tail (local.get 0))))
      (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (i32.add (local.get $sum) (i32.add (call $numbers) (call $memory)))
    (i32.add (call $select (i32.const 1)))
    (call $swap (i32.const 5))
    i32.sub))
"""
BINARY = bytes(wasmtime.wat2wasm(TEXT))
MODULE = parse_module(BINARY)


def run(binary, argument):
    store = wasmtime.Store()
    instance = wasmtime.Instance(store, wasmtime.Module(store.engine, binary), [])
    return instance.exports(store)["run"](store, argument)


def sized(content):
    return encode_unsigned(len(content)) + content


def permuted(functions, types, globals_):
    """The module laid out anew: function n at place `functions[n]`, and so on."""
    numbers = Renumbering(functions, types, globals_)

    def moved(items, places):
        return [item for _, item in sorted(zip(places, items, strict=True))]

    contents = {
        1: moved([b"\x60" + sized(t.params) + sized(t.results) for t in MODULE.types], types),
        3: moved([encode_unsigned(types[t]) for t in MODULE.functions], functions),
        4: [b"\x70\0\x03"],
        5: [b"\0\x01"],
        6: moved(
            [
                bytes((g.value_type, g.mutable, 0x41 + (g.value_type == 0x7E)))
                + encode_signed(g.initial[0].value)
                + b"\x0b"
                for g in MODULE.globals
            ],
            globals_,
        ),
        7: [name("run") + b"\0" + encode_unsigned(functions[MODULE.exports["run"][1]])],
        9: [b"\0\x41\0\x0b" + vector([encode_unsigned(functions[f]) for f in MODULE.elements[0].functions])],
        10: moved([sized(renumber(body, numbers)) for body in MODULE.bodies], functions),
    }
    return MODULE_HEADER + b"".join(section(number, vector(items)) for number, items in contents.items())


def identity():
    return Renumbering(range(len(MODULE.functions)), range(len(MODULE.types)), range(len(MODULE.globals)))


def test_the_same_numbers_change_nothing():
    numbers = identity()
    assert [renumber(body, numbers) for body in MODULE.bodies] == MODULE.bodies


@given(st.permutations(range(11)), st.data(), st.integers(1, 6))
def test_a_permuted_module_does_the_same(functions, data, argument):
    types = data.draw(st.permutations(range(len(MODULE.types))))
    globals_ = data.draw(st.permutations(range(len(MODULE.globals))))
    binary = permuted(functions, types, globals_)
    wasmtime.Module.validate(wasmtime.Engine(), binary)
    assert run(binary, argument) == run(BINARY, argument)


def test_large_numbers_take_more_bytes():
    numbers = Renumbering([300, 70000], [100, 9000], [128, 129])
    body = bytes.fromhex("001001230011010002000bd2000b")
    assert renumber(body, numbers).hex() == "0010f0a20423800111a8460002e4000bd2ac020b"


def test_numbers_with_padding_are_understood():
    body = bytes.fromhex("00108180808000118180808000808080000b")
    assert renumber(body, Renumbering([5, 6], [7, 8], [])).hex() == "0010061108000b"


def test_constants_are_renumbered():
    body = bytes.fromhex("00fc0801000b")
    assert renumber(body, Renumbering([], [], [], [7, 300])).hex() == "00fc08ac02000b"


def test_asking_for_the_size_of_the_memory_can_be_a_call():
    body = bytes.fromhex("003f004101400010000b")
    assert renumber(body, Renumbering([5], [], [], (), (200, 7))).hex() == "0010c8014101100710050b"
    assert renumber(body, Renumbering([5], [], [])).hex() == "003f004101400010050b"


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("fd0c", "a vector that is cut off"),
        ("fd004000", "a vector from another memory"),
        ("fd540000", "a load of a lane that is cut off"),
        ("fd9402", "a vector instruction that there is not"),
        ("fd8c00", "a number with padding"),
        ("fe00", "threads"),
        ("2500", "table.get"),
        ("fc080000", "constants where there are none"),
        ("fc0800", "memory.init that is cut off"),
        ("fc0900", "data.drop"),
        ("fc0c0000", "table.init"),
        ("2802", "a load that is cut off"),
        ("284000", "a load from another memory"),
        ("3f01", "the size of another memory"),
        ("fc0a0001", "a copy from another memory"),
        ("1009", "a function that does not exist"),
        ("2309", "a global that does not exist"),
        ("110900", "a type that does not exist"),
        ("110001", "another table"),
        ("0209", "a block of a type that does not exist"),
        ("10", "a call that is cut off"),
        ("43000000", "a constant that is cut off"),
        ("0e0500", "a br_table that is cut off"),
        ("0effffffff0f00", "a br_table of four thousand million labels"),
        ("1c057f", "a select that is cut off"),
        ("ff", "nothing"),
        ("10ffffffffff01", "a number of six bytes"),
    ],
)
def test_what_is_refused(code, what):
    with pytest.raises(WasmFormatError):
        renumber(b"\0" + bytes.fromhex(code), Renumbering([0], [0], [0]))


@pytest.mark.parametrize("body", ["", "05", "0101", "ffffffff0f"])
def test_locals_that_are_cut_off(body):
    with pytest.raises(WasmFormatError):
        renumber(bytes.fromhex(body), identity())


@given(st.integers(0, len(MODULE.bodies) - 1), st.integers(0), st.binary(max_size=8))
def test_damaged_code_is_rewritten_or_refused(which, place, noise):
    body = bytes(MODULE.bodies[which])
    at = place % len(body)
    numbers = identity()
    try:
        rewritten = renumber(body[:at] + noise + body[at + 1 :], numbers)
    except WasmFormatError:
        return
    assert renumber(rewritten, numbers) == rewritten


def test_long_functions_need_no_recursion():
    body = b"\0" + b"\x20\x00\x1a" * 400_000 + b"\x10\x00" + b"\x0b"
    assert renumber(body, Renumbering([1], [], [])) == body[:-3] + b"\x10\x01\x0b"
