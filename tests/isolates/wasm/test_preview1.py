"""Engines of one core module: what WASI preview 1 is answered, and what is refused."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import wasmtime
from pyworkerd_isolates.capi import assemble
from pyworkerd_isolates.errors import Refused
from pyworkerd_isolates.native import Instance, Machine
from pyworkerd_isolates.wasm import WasmFormatError
from pyworkerd_isolates.wasm.component import Lowered
from pyworkerd_isolates.wasm.core import I32, FunctionType, parse_module
from pyworkerd_isolates.wasm.linking import Definition, Part
from pyworkerd_isolates.wasm.preview1 import STACK_ROOM, Around, Glue, Ground, Joined, lone_engine

if TYPE_CHECKING:
    from pyworkerd_isolates.wasm.merge import Merged

GLUE_TEXT = """
(func (export "prepare_ask") (param i32 i32) (result i32) (i32.const 64))
(func (export "ask_at") (param $now i64) (param i32 i32) (result i32)
  (global.set $now_ns (local.get $now))
  (i32.store (i32.const ROOM) (i32.const 1024))
  (i32.store offset=4 (i32.const ROOM) (call $ask))
  (i32.const ROOM))"""
MODULE = """
(module
  (import "wasi_snapshot_preview1" "NAME" (func $wasi TYPE))
  (memory 2)
  (table 1 1 funcref)
  (global $stack (mut i32) (i32.const 65536))
  (data (i32.const 1024) "....")
  (func (export "ask") (result i32) BODY))"""


def built(name: str, kind: str, body: str) -> tuple[bytes, bytes, tuple[str, ...]]:
    text = MODULE.replace("NAME", name).replace("TYPE", kind).replace("BODY", body)

    def glue(room: int, _slot: int) -> Glue:
        assert room == 65536 - STACK_ROOM
        return Glue(GLUE_TEXT.replace("ROOM", str(room)), {"ask": ("", "i")}, {}, ("ask",))

    return lone_engine(bytes(wasmtime.wat2wasm(text)), glue, assemble)


def asked(
    machine: Machine, name: str, kind: str, body: str, *, key: bytes | None = b"k" * 32, now: int = 7
) -> bytes:
    engine, image, refusals = built(name, kind, body)
    with machine.mapped(machine.compile(engine)) as code, machine.mapped(machine.compile(image)) as memory:
        instance = Instance(code, memory, 1 << 20, refusals)
        try:
            if key is not None:
                instance.seed(key)
            return instance.step("ask", now, b"x", 1000, 1 << 16)
        finally:
            instance.close()


def test_the_clock(machine: Machine) -> None:
    now = time.time_ns()
    body = "(drop (call $wasi (i32.const 0) (i64.const 1) (i32.const 1024))) (i32.const 8)"
    kind = "(param i32 i64 i32) (result i32)"
    assert int.from_bytes(asked(machine, "clock_time_get", kind, body, now=now), "little") == now


@pytest.mark.parametrize("size", [*range(70), 1000])
def test_random_bytes_are_as_many_as_were_asked_for(machine: Machine, size: int) -> None:
    body = f"(drop (call $wasi (i32.const 1024) (i32.const {size}))) (i32.const {size + 40})"
    answers = {asked(machine, "random_get", "(param i32 i32) (result i32)", body, key=bytes([i]) * 32)
               for i in range(2)}  # fmt: skip
    assert {answer[max(size, 4) :] for answer in answers} == {bytes(size + 40 - max(size, 4))}
    if size > 8:
        assert len({answer[:size] for answer in answers}) == 2


def test_random_bytes_without_a_key_are_refused(machine: Machine) -> None:
    body = "(drop (call $wasi (i32.const 1024) (i32.const 4))) (i32.const 4)"
    with pytest.raises(Refused, match="random_get"):
        asked(machine, "random_get", "(param i32 i32) (result i32)", body, key=None)


@pytest.mark.parametrize("name", ["environ_sizes_get", "args_sizes_get"])
def test_the_environment_is_empty(machine: Machine, name: str) -> None:
    body = "(drop (call $wasi (i32.const 1024) (i32.const 1028))) (i32.const 8)"
    assert asked(machine, name, "(param i32 i32) (result i32)", body) == bytes(8)


@pytest.mark.parametrize(
    ("name", "kind", "call"),
    [
        ("fd_write", "(param i32 i32 i32 i32)", "(i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)"),
        ("fd_close", "(param i32)", "(i32.const 3)"),
        ("fd_seek", "(param i32 i64 i32 i32)", "(i32.const 3) (i64.const 0) (i32.const 0) (i32.const 0)"),
    ],
)
def test_no_descriptor_is_open(machine: Machine, name: str, kind: str, call: str) -> None:
    body = f"(i32.store (i32.const 1024) (call $wasi {call})) (i32.const 4)"
    assert asked(machine, name, f"{kind} (result i32)", body) == (8).to_bytes(4, "little")


@pytest.mark.parametrize("name", ["proc_exit", "path_open", "sock_accept", "no_such_call"])
def test_everything_else_is_refused_by_name(machine: Machine, name: str) -> None:
    with pytest.raises(Refused, match=name):
        asked(machine, name, "(param i32)", "(call $wasi (i32.const 0)) (i32.const 4)")


def test_another_signature_than_the_system_has() -> None:
    with pytest.raises(WasmFormatError, match="signature"):
        built("fd_close", "(param i64) (result i32)", "(i32.const 0)")


@pytest.mark.parametrize(
    "text",
    [
        "(module (memory 1))",
        '(module (memory 1) (global (mut i32) (i32.const 65536)) (import "m" "g" (global i32)))',
        "(module (memory 1) (global i32 (i32.const 65536)))",
        "(module (memory 1) (global (mut i32) (i32.const 16)))",
        "(module (memory 1) (global (mut i32) (i32.const 65536)) (func) (start 0))",
    ],
)
def test_modules_that_are_not_as_llvm_makes_them(text: str) -> None:
    with pytest.raises((WasmFormatError, wasmtime.WasmtimeError)):
        lone_engine(bytes(wasmtime.wat2wasm(text)), lambda room, slot: Glue("", {}, {}, ()), assemble)


JOINED = """(module
  (import "c" "answer" (func $answer (result i32)))
  (import "c" "number" (func $number (result i64)))
  (global $stack (mut i32) (i32.const 0))
  (func $sum (export "sum") (result i32)
    (i32.add (call $answer) (i32.add (i32.wrap_i64 (call $number)) (i32.load (i32.const 131072))))))"""


def joined(ground: Ground, address: int) -> Joined:
    assert ground == Ground(131072, 1, Definition(0, 0), 65536 - STACK_ROOM)
    module = parse_module(wasmtime.wat2wasm(JOINED))
    calls = [Lowered("c", "answer", None), Lowered("c", "number", None)]
    kinds = {call: module.type_of(place) for place, call in enumerate(calls)}
    part = Part(module, [*calls, Definition(1, 2)], [ground.stack])
    return Joined({1: part}, [(address, b"\x07\0\0\0")], 3, {"sum": Definition(1, 2)}, kinds)


def joint(text: str, address: int = 131072) -> Merged:
    def glue(room: int, slot: int) -> Glue:
        assert slot == 1
        return Glue(
            GLUE_TEXT.replace("ROOM", str(room)).replace("$ask", "$sum")
            + "(func $forty (result i32) (i32.const 40))",
            {"sum": ("", "i")},
            {("c", "answer"): "forty"},
            ("ask",),
            {("c", "number"): -5},
        )

    return lone_engine(bytes(wasmtime.wat2wasm(text)), glue, assemble, lambda ground: joined(ground, address))


PLAIN = MODULE.replace("NAME", "sched_yield").replace("TYPE", "(result i32)").replace("BODY", "(call $wasi)")


def test_other_code_shares_memory_and_table(machine: Machine) -> None:
    merged = joint(PLAIN)
    with (
        machine.mapped(machine.compile(merged.engine)) as code,
        machine.mapped(machine.compile(merged.image)) as memory,
    ):
        instance = Instance(code, memory, 1 << 20, merged.refusals)
        try:
            assert instance.memory_size == 3 << 16
            instance.seed(bytes(32))
            assert len(instance.step("ask", 7, b"x", 1000, 1 << 16)) == 40 - 5 + 7
        finally:
            instance.close()


def test_data_goes_where_nobody_has_any() -> None:
    with pytest.raises(WasmFormatError, match="data at the same place"):
        joint(PLAIN, 1024)


def test_the_glue_may_put_functions_into_slots_of_its_own(machine: Machine) -> None:
    text = MODULE.replace("NAME", "fd_close").replace("TYPE", "(param i32) (result i32)")
    text = text.replace("BODY", "(call_indirect (result i32) (i32.const 1))")

    def glue(room: int, slot: int) -> Glue:
        assert slot == 1
        own = f"(elem (i32.const {slot}) func $five) (func $five (result i32) (i32.const 5))"
        return Glue(GLUE_TEXT.replace("ROOM", str(room)) + own, {"ask": ("", "i")}, {}, ("ask",), slots=1)

    engine, image, refusals = lone_engine(bytes(wasmtime.wat2wasm(text)), glue, assemble)
    with machine.mapped(machine.compile(engine)) as code, machine.mapped(machine.compile(image)) as memory:
        instance = Instance(code, memory, 1 << 20, refusals)
        try:
            assert len(instance.step("ask", 7, b"x", 1000, 1 << 16)) == 5
        finally:
            instance.close()


AROUND = """
(func (export "host:called") (param i32) (result i32)
  (i32.add (call $counts (local.get 0)) (i32.div_u (global.get $stack) (i32.const 256))))"""
COUNTS = """
(module
  (memory 2)
  (table 1 1 funcref)
  (global $stack (mut i32) (i32.const 65536))
  (elem (i32.const 0) $counts)
  (type $kind (func (param i32) (result i32)))
  (func $counts (type $kind)
    (if (result i32) (i32.gt_u (local.get 0) (i32.const 5))
      (then (i32.add (local.get 0) (i32.const 1)))
      (else (call $counts (i32.add (local.get 0) (i32.const 5))))))
  (func (export "ask") (result i32) (call_indirect (type $kind) (i32.const 3) (i32.const 0))))"""
NUMBER = FunctionType(bytes((I32,)), bytes((I32,)))


def wrapped(type_: FunctionType) -> Merged:
    def glue(room: int, _slot: int) -> Glue:
        text = GLUE_TEXT.replace("ROOM", str(room)) + AROUND
        return Glue(text, {"ask": ("", "i")}, {}, ("ask",), around=Around(type_, "counts", "called"))

    return lone_engine(bytes(wasmtime.wat2wasm(COUNTS)), glue, assemble)


def test_a_function_around_the_largest_one_is_called_in_its_place(machine: Machine) -> None:
    engine, image, _ = wrapped(NUMBER)
    with machine.mapped(machine.compile(engine)) as code, machine.mapped(machine.compile(image)) as memory:
        instance = Instance(code, memory, 1 << 20, ())
        try:
            answer = instance.step("ask", 0, b"x", 1000, 1 << 16)
        finally:
            instance.close()
    # 3 becomes 8, then 9; and each of the two calls, the first of them through the table, adds where the stack is: a
    # little below 256.
    stack, odd = divmod(len(answer) - 9, 2)
    assert (stack in range(250, 256), odd) == (True, 0)


def test_an_interpreter_of_another_type_is_refused() -> None:
    with pytest.raises(WasmFormatError, match="largest function has another type"):
        wrapped(FunctionType(b"", b""))
