"""ChaCha20 in WebAssembly against RFC 8439's vector and against Python written apart from it."""

import struct

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates.wasm.chacha import block_function, generator

BLOCK = f'(module {block_function()} (export "block" (func $chacha20_block)))'
GENERATOR = (
    f'(module (memory (export "memory") 1) {generator()} (export "set_key" (func $set_key))'
    ' (export "fill" (func $fill)) (export "keyed" (global $keyed)))'
)
KEYS = st.binary(min_size=32, max_size=32)


class Guest:
    def __init__(self, text):
        self.store = wasmtime.Store()
        module = wasmtime.Module(self.store.engine, wasmtime.wat2wasm(text))
        self.exports = wasmtime.Instance(self.store, module, []).exports(self.store)

    def call(self, name, *arguments):
        return self.exports[name](self.store, *arguments)


@pytest.fixture(scope="module")
def block():
    guest = Guest(BLOCK)

    def run(key, counter, nonce):
        words = guest.call("block", *struct.unpack("<8i", key), counter, *struct.unpack("<3i", nonce))
        return struct.pack("<16i", *words)

    return run


def test_rfc_8439_section_2_3_2(block, chacha20_block):
    key, nonce = bytes(range(32)), bytes.fromhex("000000090000004a00000000")
    expected = bytes.fromhex(
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
    )
    assert block(key, 1, nonce) == expected
    assert chacha20_block(key, 1, nonce) == expected


@given(KEYS, st.integers(0, 2**31 - 1), st.binary(min_size=12, max_size=12))
def test_any_key_counter_and_nonce(block, chacha20_block, key, counter, nonce):
    assert block(key, counter, nonce) == chacha20_block(key, counter, nonce)


@given(KEYS, st.integers(1, 5))
def test_the_generator_gives_half_of_each_block_and_keys_itself_with_the_other(chacha20_block, key, units):
    guest = Guest(GENERATOR)
    assert guest.exports["keyed"].value(guest.store) == 0
    guest.call("set_key", *struct.unpack("<4q", key))
    assert guest.exports["keyed"].value(guest.store) == 1
    guest.call("fill", 64, 64 + 32 * units)
    expected, current = b"", key
    for counter in range(units):
        whole = chacha20_block(current, counter, bytes(12))
        current, expected = whole[:32], expected + whole[32:]
    memory = bytes(guest.exports["memory"].read(guest.store))
    assert memory == bytes(64) + expected + bytes(len(memory) - 64 - len(expected))
