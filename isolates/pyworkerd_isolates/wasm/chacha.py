"""The ChaCha20 block function as WebAssembly text, and the generator of random bytes built on it.

The generator erases its key as it goes ("fast key erasure"): of each block of 64 bytes the first 32 become
the next key and the other 32 are given out. Whoever sees the state later cannot compute what was given out
before. Key and counter live in globals, so neither a stray pointer of the guest nor an image of its memory
can hold them.

Sources: RFC 8439 section 2.1 (quarter round) and 2.3 (block function); D. J. Bernstein, "Fast-key-erasure
random-number generators", 2017.
"""

from __future__ import annotations

_CONSTANTS = (0x61707865, 0x3320646E, 0x79622D32, 0x6B206574)
"""The words of "expand 32-byte k", RFC 8439 section 2.3."""
_QUARTERS = (
    *((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)),
    *((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)),
)
"""Columns, then diagonals: one double round, RFC 8439 section 2.3."""
_INPUTS = (*(f"k{i}" for i in range(8)), "counter", "n0", "n1", "n2")
_EIGHT = " ".join(["i32"] * 8)


def block_function() -> str:
    """`$chacha20_block`: eight key words, the block counter and three nonce words in, sixteen words out."""
    first = [*(f"(i32.const {word:#x})" for word in _CONSTANTS), *(f"(local.get ${x})" for x in _INPUTS)]
    lines = [
        "(func $chacha20_block",
        *(f"  (param ${x} i32)" for x in _INPUTS),
        f"  (result {_EIGHT} {_EIGHT})",
        *(f"  (local $s{i} i32)" for i in range(16)),
        "  (local $round i32)",
        *(f"  (local.set $s{i} {value})" for i, value in enumerate(first)),
        "  (loop $again",
        *(line for quarter in _QUARTERS for line in _quarter_round(*quarter)),
        "    (local.set $round (i32.add (local.get $round) (i32.const 1)))",
        "    (br_if $again (i32.lt_u (local.get $round) (i32.const 10))))",
        *(f"  (i32.add (local.get $s{i}) {value})" for i, value in enumerate(first)),
    ]
    return "\n".join(lines) + ")"


def _quarter_round(a: int, b: int, c: int, d: int) -> list[str]:
    steps = ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7))
    return [line for into, by, turned, bits in steps for line in (_add(into, by), _mix(turned, into, bits))]


def _add(into: int, by: int) -> str:
    return f"    (local.set $s{into} (i32.add (local.get $s{into}) (local.get $s{by})))"


def _mix(turned: int, by: int, bits: int) -> str:
    mixed = f"(i32.xor (local.get $s{turned}) (local.get $s{by}))"
    return f"    (local.set $s{turned} (i32.rotl {mixed} (i32.const {bits})))"


def generator() -> str:
    """The generator: `$keyed` (global, 1 once there is a key), `$set_key`, `$draw` (32 bytes), `$fill`.

    `$draw` returns eight words and must not be called before `$set_key`. `$fill` takes a start address and an
    end and writes whole units of 32 bytes, so the space has to be a multiple of that.
    """
    words = range(8)
    lines = [
        block_function(),
        "(global $keyed (mut i32) (i32.const 0))",
        "(global $counter (mut i32) (i32.const 0))",
        *(f"(global $key{i} (mut i32) (i32.const 0))" for i in words),
        "(func $set_key (param $k0 i64) (param $k1 i64) (param $k2 i64) (param $k3 i64)",
        *(f"  (global.set $key{i} (i32.wrap_i64 {_half(i)}))" for i in words),
        "  (global.set $counter (i32.const 0))",
        "  (global.set $keyed (i32.const 1)))",
        f"(func $draw (result {_EIGHT})",
        *(f"  (local $w{i} i32)" for i in words),
        "  (call $chacha20_block",
        *(f"    (global.get $key{i})" for i in words),
        "    (global.get $counter) (i32.const 0) (i32.const 0) (i32.const 0))",
        *(f"  local.set $w{i}" for i in reversed(words)),
        *(f"  global.set $key{i}" for i in reversed(words)),
        "  (global.set $counter (i32.add (global.get $counter) (i32.const 1)))",
        *(f"  (local.get $w{i})" for i in words),
        ")",
        "(func $fill (param $at i32) (param $end i32)",
        *(f"  (local $w{i} i32)" for i in words),
        "  (loop $more (if (i32.lt_u (local.get $at) (local.get $end)) (then",
        "    call $draw",
        *(f"    local.set $w{i}" for i in reversed(words)),
        *(f"    (i32.store offset={4 * i} (local.get $at) (local.get $w{i}))" for i in words),
        "    (local.set $at (i32.add (local.get $at) (i32.const 32)))",
        "    (br $more)))))",
    ]
    return "\n".join(lines)


def _half(word: int) -> str:
    whole = f"(local.get $k{word // 2})"
    return f"(i64.shr_u {whole} (i64.const 32))" if word % 2 else whole
