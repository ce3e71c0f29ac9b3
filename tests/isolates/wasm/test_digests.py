"""MD5, SHA-1 and SHA-2 in WebAssembly against hashlib, and the rounds of PBKDF2."""

from __future__ import annotations

import hashlib
import hmac
import struct
from math import isqrt
from typing import Any

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates.wasm.digests import BLOCK, CHAIN, DIGESTS, INNER, OUTER, SUM, functions

TEXT = (
    f'(module (memory (export "memory") 1) {functions()}'
    ' (export "blocks" (func $digest_blocks)) (export "chain" (func $digest_chain)))'
)
_ROOTS = [isqrt(prime << 128) & ((1 << 64) - 1) for prime in (2, 3, 5, 7, 11, 13, 17, 19)]
NAMES = {1: "sha1", 2: "sha256", 3: "sha512", 4: "md5"}
STARTS = {
    1: struct.pack(">5I", 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0),
    2: struct.pack(">8I", *(root >> 32 for root in _ROOTS)),
    3: struct.pack(">8Q", *_ROOTS),
    4: struct.pack("<4I", 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476),
}
AT = 1001
"""An address that is aligned to nothing."""


class Guest:
    def __init__(self) -> None:
        self.store = wasmtime.Store()
        module = wasmtime.Module(self.store.engine, wasmtime.wat2wasm(TEXT))
        self.exports: Any = wasmtime.Instance(self.store, module, []).exports(self.store)
        self.memory = self.exports["memory"]

    def blocks(self, kind: int, state: bytes, data: bytes) -> bytes:
        self.memory.write(self.store, state + data, AT)
        start = AT + len(state)
        self.exports["blocks"](self.store, kind, AT, start, start + len(data))
        return bytes(self.memory.read(self.store, AT, start))


@pytest.fixture(scope="module")
def guest() -> Guest:
    return Guest()


def padding(length: int, kind: int) -> bytes:
    block, order = DIGESTS[kind].block, "little" if NAMES[kind] == "md5" else "big"
    return b"\x80" + bytes(-(length + 1 + block // 8) % block) + (8 * length).to_bytes(block // 8, order)  # type: ignore[arg-type]


@given(st.sampled_from(sorted(DIGESTS)), st.binary(max_size=700))
def test_any_message(guest: Guest, kind: int, message: bytes) -> None:
    data = message + padding(len(message), kind)
    assert guest.blocks(kind, STARTS[kind], data) == hashlib.new(NAMES[kind], message).digest()


@pytest.mark.parametrize("kind", DIGESTS)
def test_no_block_changes_nothing(guest: Guest, kind: int) -> None:
    assert guest.blocks(kind, STARTS[kind], b"") == STARTS[kind]


@pytest.mark.parametrize("kind", DIGESTS)
@pytest.mark.parametrize("rounds", [0, 1, 17])
def test_rounds_of_pbkdf2(guest: Guest, kind: int, rounds: int) -> None:
    block, name = DIGESTS[kind].block, NAMES[kind]
    size = hashlib.new(name).digest_size
    keys = [bytes(each ^ pad for each in b"key".ljust(block, b"\0")) for pad in (0x36, 0x5C)]
    inner, outer = (guest.blocks(kind, STARTS[kind], key) for key in keys)
    first = hmac.digest(b"key", b"salt" + bytes((0, 0, 0, 1)), name)
    work = bytearray(CHAIN)
    for place, part in ((INNER, inner), (OUTER, outer), (SUM, first)):
        work[place : place + len(part)] = part
    work[BLOCK : BLOCK + block] = first + padding(block + size, kind)
    guest.memory.write(guest.store, bytes(work), AT)
    guest.exports["chain"](guest.store, kind, AT, size, block, rounds)
    found = bytes(guest.memory.read(guest.store, AT + SUM, AT + SUM + size))
    assert found == hashlib.pbkdf2_hmac(name, b"key", b"salt", rounds + 1)
