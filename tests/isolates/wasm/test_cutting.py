"""Cutting a part out of a position-independent module: what is kept, where it goes, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
import wasmtime
from pyworkerd_isolates.wasm import WasmFormatError
from pyworkerd_isolates.wasm.assembly import Assembly, system_part
from pyworkerd_isolates.wasm.component import Lowered
from pyworkerd_isolates.wasm.core import FunctionType, parse_module
from pyworkerd_isolates.wasm.cutting import Around, Library, Place, function_names
from pyworkerd_isolates.wasm.leb import encode_signed
from pyworkerd_isolates.wasm.linking import Definition, Part

BASE, TABLE = 4096, 32
FAR = 65536
"""An offset in the data, far from the others."""
MARK = 0x0AAA_AA00
"""Numbers from here on are written in five bytes."""
TEXT = """
(module
  (@custom "dylink.0" (before first) "\\01\\06\\90\\80\\04\\00\\10\\00")
  (import "env" "memory" (memory 1))
  (import "env" "__indirect_function_table" (table 40 funcref))
  (import "env" "__stack_pointer" (global $stack (mut i32)))
  (import "env" "__memory_base" (global $memory i32))
  (import "env" "__table_base" (global $table i32))
  (import "GOT.mem" "errno" (global $errno (mut i32)))
  (import "GOT.func" "sin" (global $sin (mut i32)))
  (import "env" "allocate" (func $allocate (param i32) (result i32)))
  (import "env" "unused" (func $unused (result f64)))
  (type $number (func (result i32)))
  (global $own i32 (i32.add (global.get $table) (i32.const 1)))
  (func $__wasm_apply_data_relocs (export "__wasm_apply_data_relocs")
    (i32.store (i32.add (i32.const 16) (global.get $memory)) (i32.add (global.get $memory) (i32.const 65536)))
    (i32.store (i32.add (i32.const 20) (global.get $memory)) (i32.add (global.get $table) (i32.const 2)))
    (i32.store (i32.add (i32.const 24) (global.get $memory)) (global.get $sin))
    (i32.store (i32.add (i32.const 28) (global.get $memory)) (i32.add (global.get $own) (i32.const 0)))
    (i32.store (i32.add (i32.const 32) (global.get $memory)) (i32.add (global.get $memory) (i32.const 40))))
  (func $stranger (result i32) (call $stranger))
  (func $root (result i32) (i32.add (call $helper) (i32.load (call $allocate (i32.const 4)))))
  (func $helper (result i32) (drop (global.get $errno)) (DATA 16))
  (func $in_table (type $number) (i32.load (DATA 65540)))
  (func $by_own (type $number) (i32.const 7))
  (func $replaced (result i32) unreachable)
  (func $calls_replaced (result i32) (call $replaced))
  (func $calls_unused (drop (call $unused)))
  (elem (global.get $table) func $stranger $by_own $in_table))
"""


def padded(number: int) -> bytes:
    """As a linker writes a number that it may change: five bytes."""
    return bytes((number >> 7 * place & 0x7F) | 0x80 for place in range(4)) + bytes((number >> 28,))


def binary(text: str = TEXT) -> bytes:
    """`(DATA n)` is the address of what lies at n."""
    numbers = sorted({int(each) for each in re.findall(r"\(DATA (\d+)\)", text)})
    for place, number in enumerate(numbers):
        text = text.replace(f"(DATA {number})", f"(i32.add (global.get $memory) (i32.const {MARK + place}))")
    out = bytes(wasmtime.wat2wasm(text))
    for place, number in enumerate(numbers):
        out = out.replace(b"\x41" + encode_signed(MARK + place), b"\x41" + padded(number))
    return out


class Linked:
    """What `Library` asks of a component's linkage, for one module."""

    def __init__(self, module: bytes) -> None:
        parsed = parse_module(module)
        globals_ = [Definition(9, place) for place in range(len(parsed.globals))]
        self.parts = {5: Part(parsed, [Definition(5, i) for i in range(len(parsed.functions))], globals_)}
        self._module = module

    def binary(self, number: int) -> bytes:
        assert number == 5
        return self._module

    def number(self, definition: Definition) -> int:
        return {1: BASE, 2: TABLE}[definition.place]


def library(text: str = TEXT) -> Library:
    memory = bytearray(2 * FAR)
    memory[BASE : BASE + 64] = bytes(range(64))
    memory[BASE + FAR : BASE + FAR + 8] = b"far away"
    linked: Any = Linked(binary(text))
    return Library(linked, "root", bytes(memory))


ALLOCATE = Lowered("c", "allocate", None)
STACK = Definition(0, 0)


def around(**other: Any) -> Around:
    def resolve(name: str) -> Lowered | None:
        return Lowered("c", name, None) if name in ("allocate", "replaced") else None

    given = {"resolve": resolve, "addresses": lambda name: {"errno": 8}.get(name, 0), "stack": STACK, **other}
    return Around(**given)


def test_functions_have_names() -> None:
    names = function_names(binary())
    assert names["allocate"] == 0
    assert names["root"] == names["stranger"] + 1


def test_what_is_reached_is_kept_and_nothing_else() -> None:
    piece = library().cut(["root"], Place(2, 1 << 20, 50), around())
    names = library().names
    kept = [piece.part.functions[names[name]] for name in ("root", "helper", "in_table", "by_own")]
    assert kept == [Definition(2, place) for place in range(4)]
    assert piece.exports == {"root": Definition(2, 0)}
    assert len(piece.part.module.bodies) == 4
    assert piece.calls == {ALLOCATE: FunctionType(b"\x7f", b"\x7f")}


def test_data_goes_where_there_is_room_and_its_addresses_with_it() -> None:
    piece = library().cut(["root"], Place(2, 1 << 20, 50), around())
    (near, first), (far, second) = piece.data
    assert near == 1 << 20
    assert far == near + FAR - 16
    words = [int.from_bytes(first[at : at + 4], "little") for at in range(0, 20, 4)]
    assert words[0] == far
    assert words[1] == 51  # in_table: slots are counted from the first that is kept
    assert words[2] == 0  # nobody has sin()
    assert words[3] == 50
    assert words[4] == near + 40 - 16
    assert second[:8] == b"far away"
    assert piece.slots == 2
    assert piece.end == far + len(second)


def test_functions_that_others_want_by_address_have_slots_first() -> None:
    piece = library().cut(["root", "helper"], Place(2, 1 << 20, 50), around(), ["helper"])
    assert piece.slots == 3
    offsets = [element.offset[0].value for element in piece.part.module.elements]
    assert offsets == [50, 51]


def test_another_function_stands_in_for_one() -> None:
    piece = library().cut(["calls_replaced"], Place(2, 1 << 20, 50), around(replaced=["replaced"]))
    assert set(piece.calls) == {Lowered("c", "replaced", None)}
    assert len(piece.part.module.bodies) == 1
    assert piece.data == []


def test_it_runs_in_its_new_place() -> None:
    state = parse_module(
        wasmtime.wat2wasm("(module (memory 20) (table 60 60 funcref) (global (mut i32) (i32.const 64)))")
    )
    piece = library().cut(["root"], Place(2, 1 << 20, 50), around())
    system = wasmtime.wat2wasm(
        """(module (import "guest" "root" (func $root (result i32)))
        (func (export "host:0") (param i32) (result i32) (i32.const 1048576))
        (func (export "run") (result i32) (call $root))
        (global (export "now_ns") (mut i64) (i64.const 0)))"""
    )
    part = system_part(system, {"root": piece.exports["root"]})
    engine = Assembly({0: Part(state, [], [Definition(0, 0)]), 2: piece.part}, 0, part, [ALLOCATE]).write(())
    store = wasmtime.Store()
    memory = wasmtime.Memory(store, wasmtime.MemoryType(wasmtime.Limits(20, None)))
    for address, content in piece.data:
        memory.write(store, content, address)
    instance = wasmtime.Instance(store, wasmtime.Module(store.engine, engine), [memory])
    run: Any = instance.exports(store)["run"]
    # The address of the first data, and the word that is at it: the address of what lies far away.
    assert run(store) == (1 << 20) + (1 << 20) + FAR - 16


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("(func $root ", "(func $other ", "no library of the component has a function 'root'"),
        ("dylink.0", "dylink.1", "does not say how much data"),
        ("(elem (global.get $table) func", "(elem func", "one element segment"),
        ('"__memory_base"', '"__data_base"', "does not import __memory_base"),
        ("(i32.const 16) (global.get $memory))", "(i32.const 16) (global.get $table))", "not the library's data"),
        ("(i32.store (i32.add (i32.const 16)", "(nop) (i32.store (i32.add (i32.const 16)", "not of the form"),
        ("(i32.add (global.get $table) (i32.const 1))", "(i32.const 1)", "no address in it"),
        ("(call $helper)", "(i32.add (global.get $own) (call $helper))", "a global of its own"),
    ],
)  # fmt: skip
def test_what_cannot_be_cut(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(WasmFormatError, match=message):
        library(TEXT.replace(old, new)).cut(["root"], Place(2, 1 << 20, 50), around())


def test_what_is_called_and_not_there_is_named() -> None:
    with pytest.raises(WasmFormatError, match=r"nothing is there for unused\(\), which is called"):
        library().cut(["calls_unused"], Place(2, 1 << 20, 50), around())
