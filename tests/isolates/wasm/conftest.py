"""Components to merge: a small one in text, quick enough for properties, and a real one."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import wasmtime
from pyworkerd_isolates.wasm import image_of
from pyworkerd_isolates.wasm.merge import Merged, merge

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL = r"""
(component
  (import "wasi:random/random@0.2.9" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))
    (export "get-random-u64" (func (result u64)))))
  (import "wasi:random/insecure-seed@0.2.9" (instance $insecure
    (export "insecure-seed" (func (result (tuple u64 u64))))))
  (import "wasi:cli/exit@0.2.9" (instance $exit (export "exit" (func (param "status" (result))))))
  (import "wasi:clocks/monotonic-clock@0.2.9" (instance $clock
    (export "now" (func (result u64))) (export "resolution" (func (result u64)))))
  (import "wasi:clocks/wall-clock@0.2.9" (instance $wall
    (type $datetime (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type $exported (eq $datetime)))
    (export "now" (func (result $exported)))))
  (import "wasi:io/error@0.2.9" (instance $errors (export "error" (type (sub resource)))))
  (alias export $errors "error" (type $error))
  (core module $shim
    (type $random (func (param i64 i32)))
    (table (export "$imports") 1 1 funcref)
    (func (export "0") (param i64 i32)
      (call_indirect (type $random) (local.get 0) (local.get 1) (i32.const 0))))
  (core module $state
    (memory (export "memory") 2)
    (table (export "table") 4 funcref)
    (global (export "heap") (mut i32) (i32.const 4096))
    (global (export "base") i32 (i32.const 1))
    (data (i32.const 1024) "at rest"))
  (core module $library
    (import "env" "memory" (memory 1))
    (import "env" "table" (table 4 funcref))
    (import "env" "heap" (global $heap (mut i32)))
    (import "env" "base" (global $base i32))
    (import "env" "random" (func $random (param i64 i32)))
    (import "env" "random64" (func $random64 (result i64)))
    (import "env" "insecure" (func $insecure (param i32)))
    (import "env" "exit" (func $exit (param i32)))
    (import "env" "now" (func $now (result i64)))
    (import "env" "resolution" (func $resolution (result i64)))
    (import "env" "wall" (func $wall (param i32)))
    (import "env" "drop" (func $drop (param i32)))
    (type $answer (func (param i32 i32) (result i32)))
    (global $calls (mut i32) (i32.const 0))
    (elem (global.get $base) func $echo $other)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (global.get $heap))
      (global.set $heap (i32.add (local.get $at) (local.get 3)))
      (local.get $at))
    (func $give (param $at i32) (param $size i32) (result i32)
      (i32.store (i32.const 64) (local.get $at)) (i32.store offset=4 (i32.const 64) (local.get $size))
      (i32.const 64))
    (func $echo (param i32 i32) (result i32) (call $give (local.get 0) (local.get 1)))
    (func $other (param i32 i32) (result i32) (local $kind i32)
      (local.set $kind (i32.load8_u (local.get 0)))
      (if (i32.eq (local.get $kind) (i32.const 0x72)) (then
        (call $random (i64.load8_u offset=1 (local.get 0)) (i32.const 128))
        (return (i32.const 128))))
      (if (i32.eq (local.get $kind) (i32.const 0x6c)) (then
        (call $random (i64.const 0x100000000) (i32.const 128))
        (return (i32.const 128))))
      (if (i32.eq (local.get $kind) (i32.const 0x36)) (then
        (i64.store (i32.const 256) (call $random64))
        (return (call $give (i32.const 256) (i32.const 8)))))
      (if (i32.eq (local.get $kind) (i32.const 0x69)) (then
        (call $insecure (i32.const 256))
        (return (call $give (i32.const 256) (i32.const 16)))))
      (if (i32.eq (local.get $kind) (i32.const 0x65)) (then (call $exit (i32.const 1))))
      (if (i32.eq (local.get $kind) (i32.const 0x64)) (then (call $drop (i32.const 1))))
      (if (i32.eq (local.get $kind) (i32.const 0x74)) (then
        (i64.store (i32.const 256) (call $now))
        (i64.store (i32.const 264) (call $resolution))
        (call $wall (i32.const 272))
        (return (call $give (i32.const 256) (i32.const 28)))))
      (call $give (i32.const 1024) (i32.const 7)))
    (func (export "step") (param i32 i32) (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (call_indirect (type $answer) (local.get 0) (local.get 1)
        (i32.add (global.get $base)
          (i32.ne (i32.load8_u (local.get 0)) (i32.const 0x3d)))))
    (func (export "free") (param i32) (i32.store (i32.const 520) (local.get 0)))
    (func (export "post") (param i32)
      (i32.store (i32.const 512) (i32.add (i32.load (i32.const 512)) (i32.const 1)))
      (i32.store (i32.const 516) (local.get 0))))
  (core module $fixup
    (import "" "0" (func (param i64 i32)))
    (import "" "$imports" (table 1 1 funcref))
    (elem (i32.const 0) func 0))
  (core instance $shim (instantiate $shim))
  (core instance $state (instantiate $state))
  (core func $drop (canon resource.drop $error))
  (core func $exit (canon lower (func $exit "exit")))
  (core func $now (canon lower (func $clock "now")))
  (core func $resolution (canon lower (func $clock "resolution")))
  (core func $wall (canon lower (func $wall "now") (memory (core memory $state "memory"))))
  (core func $random64 (canon lower (func $random "get-random-u64")))
  (core func $insecure (canon lower (func $insecure "insecure-seed") (memory (core memory $state "memory"))))
  (core instance $env
    (export "memory" (memory $state "memory"))
    (export "table" (table $state "table"))
    (export "heap" (global $state "heap"))
    (export "base" (global $state "base"))
    (export "random" (func $shim "0"))
    (export "random64" (func $random64))
    (export "insecure" (func $insecure))
    (export "exit" (func $exit))
    (export "now" (func $now))
    (export "resolution" (func $resolution))
    (export "wall" (func $wall))
    (export "drop" (func $drop)))
  (core instance $library (instantiate $library (with "env" (instance $env))))
  (core func $lowered (canon lower (func $random "get-random-bytes")
    (memory (core memory $state "memory")) (realloc (core func $library "realloc"))))
  (core instance $late
    (export "0" (func $lowered))
    (export "$imports" (table $shim "$imports")))
  (core instance (instantiate $fixup (with "" (instance $late))))
  (func $step (param "events" (list u8)) (result (list u8))
    (canon lift (core func $library "step") (memory (core memory $state "memory"))
      (realloc (core func $library "realloc")) (post-return (core func $library "post"))))
  (export "step" (func $step)))
"""

WIT = """package test:isolate;
world isolate {
  export load: func(source: list<u8>) -> list<u8>;
  export step: func(events: list<u8>) -> list<u8>;
}
"""
GUEST = """
import os, time
import wit_world
SPACE = {}
class WitWorld(wit_world.WitWorld):
    def load(self, source: bytes) -> bytes:
        exec(source, SPACE)
        return b"loaded"
    def step(self, events: bytes) -> bytes:
        return SPACE["step"](events)
"""
KEY = (0x0706050403020100, 0x0F0E0D0C0B0A0908, 0x1716151413121110, 0x1F1E1D1C1B1A1918)
"""The key of RFC 8439 section 2.3.2 as four little-endian words."""


class Running:
    """A live engine on a memory, driven as a host drives it, but with wasmtime's own calls."""

    def __init__(
        self, engine: wasmtime.Engine, code: wasmtime.Module, merged: Merged, image: bytes | None = None
    ) -> None:
        self.store = wasmtime.Store(engine)
        module = wasmtime.Module(engine, image or merged.image)
        instance = wasmtime.Instance(self.store, module, [])
        memory = instance.exports(self.store)["memory"]
        assert isinstance(memory, wasmtime.Memory)
        self.memory = memory
        self.exports = wasmtime.Instance(self.store, code, [memory]).exports(self.store)
        self.refusals = merged.refusals
        self.previous: tuple[str, int] | None = None

    def function(self, name: str, *arguments: int) -> int:
        function = self.exports[name]
        assert isinstance(function, wasmtime.Func)
        result = function(self.store, *arguments)
        return 0 if result is None else int(result)

    def seed(self, *key: int) -> None:
        self.function("seed", *key)

    def call(self, name: str, data: bytes, now: int = 0) -> bytes:
        pointer = self.prepare(name, len(data))
        self.memory.write(self.store, data, pointer)
        answer = self.function(f"{name}_at", now, pointer, len(data))
        self.previous = (name, answer)
        at, size = struct.unpack("<II", self.memory.read(self.store, answer, answer + 8))
        return bytes(self.memory.read(self.store, at, at + size))

    def prepare(self, name: str, size: int) -> int:
        if not size:
            self.rest()
        last, answer = self.previous or (name, 0)
        self.previous = None
        return self.function(f"prepare_{last}", answer, size)

    def rest(self) -> None:
        """Finish the last call, so that memory is the whole state."""
        if self.previous is not None:
            last, answer = self.previous
            self.previous = None
            assert self.function(f"prepare_{last}", answer, 0) == 0

    def refusal(self) -> tuple[int, str]:
        kind = self.function("refused")
        return kind, self.refusals[self.function("refused_call")] if kind else ""

    def all_memory(self) -> bytes:
        return bytes(self.memory.read(self.store))


class Bench:
    """A merged component, its compiled engine, and a way to start instances."""

    def __init__(self, component: bytes) -> None:
        config = wasmtime.Config()
        config.cranelift_opt_level = "none"
        self.engine = wasmtime.Engine(config)
        self.component = component
        self.merged = merge(component, wasmtime.wat2wasm)
        self.code = wasmtime.Module(self.engine, self.merged.engine)

    def start(self, image: bytes | None = None) -> Running:
        return Running(self.engine, self.code, self.merged, image)


@pytest.fixture(scope="session")
def key() -> tuple[int, ...]:
    return KEY


@pytest.fixture(scope="session")
def running() -> type[Running]:
    return Running


@pytest.fixture(scope="session")
def small() -> Bench:
    return Bench(bytes(wasmtime.wat2wasm(SMALL)))


@pytest.fixture(scope="session")
def small_text() -> str:
    return SMALL


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("component")
    (folder / "isolate.wit").write_text(WIT)
    (folder / "guest.py").write_text(GUEST)
    tool = str(Path(sys.executable).with_name("componentize-py"))
    arguments = ["-q", "-d", "isolate.wit", "-w", "isolate", "componentize", "guest", "-o", "guest.wasm"]
    subprocess.run([tool, *arguments], cwd=folder, check=True, capture_output=True)
    return Bench((folder / "guest.wasm").read_bytes())


@pytest.fixture(scope="session")
def warm(real: Bench) -> bytes:
    """An image after a first call, which needs a key: componentize-py seeds `random` at its start."""
    isolate = real.start()
    isolate.seed(*KEY)
    isolate.call("load", b"")
    isolate.rest()
    return image_of(isolate.all_memory())


@pytest.fixture(scope="session")
def chacha20_block() -> Callable[[bytes, int, bytes], bytes]:
    """RFC 8439 section 2.3 in Python, written apart from the code under test."""

    def rotate(value: int, bits: int) -> int:
        return (value << bits | value >> (32 - bits)) & 0xFFFFFFFF

    def quarter(x: list[int], a: int, b: int, c: int, d: int) -> None:
        for i, j, k, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[i] = (x[i] + x[j]) & 0xFFFFFFFF
            x[k] = rotate(x[k] ^ x[i], bits)

    def block(key: bytes, counter: int, nonce: bytes) -> bytes:
        start = struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce)
        x = list(start)
        for _ in range(10):
            for i in range(4):
                quarter(x, i, i + 4, i + 8, i + 12)
            for i in range(4):
                quarter(x, i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12)
        return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(x, start, strict=True)))

    return block
