"""MD5, SHA-1 and SHA-2 as WebAssembly text: what a digest is made of, block by block.

An interpreter takes some hundred nanoseconds for a byte, these functions a few. They keep nothing: the state of a
digest is bytes in the guest's memory, as the standard writes it, and padding is the caller's.

Sources: FIPS 180-4, sections 4 (functions and constants) and 6 (computation); RFC 1321 section 3.4 (MD5); RFC 8018
section 5.2 (PBKDF2).
"""

from __future__ import annotations

from functools import partial
from itertools import count, islice
from math import isqrt, sin
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Digest(NamedTuple):
    """One of the algorithms. Sizes in bytes."""

    function: str
    state: int
    block: int


DIGESTS: Final = {
    1: Digest("$sha1_blocks", 20, 64),
    2: Digest("$sha256_blocks", 32, 64),
    3: Digest("$sha512_blocks", 64, 128),
    4: Digest("$md5_blocks", 16, 64),
}
"""By the number that the functions are given. SHA-224 and SHA-384 are others' digests, cut, from another start."""
INNER, OUTER, BLOCK, SUM, WORK, CHAIN = 0, 64, 128, 256, 320, 384
"""Where things lie in the bytes that `$digest_chain` works on, and how many they are."""

_ROTATIONS_256: Final = ((2, 13, 22), (6, 11, 25), (7, 18, 3), (17, 19, 10))
_ROTATIONS_512: Final = ((28, 34, 39), (14, 18, 41), (1, 8, 7), (19, 61, 6))
"""Of the functions called sigma, the two large ones first; the last number of a small one is a shift."""
_SHA1: Final = (
    ("(i32.xor {d} (i32.and {b} (i32.xor {c} {d})))", 0x5A827999),
    ("(i32.xor (i32.xor {b} {c}) {d})", 0x6ED9EBA1),
    ("(i32.or (i32.and {b} {c}) (i32.and {d} (i32.or {b} {c})))", 0x8F1BBCDC),
    ("(i32.xor (i32.xor {b} {c}) {d})", 0xCA62C1D6),
)
"""Function and constant of each twenty rounds (4.1.1, 4.2.1)."""


_MD5: Final = (
    ("(i32.xor {d} (i32.and {b} (i32.xor {c} {d})))", 1, 0, (7, 12, 17, 22)),
    ("(i32.xor {c} (i32.and {d} (i32.xor {b} {c})))", 5, 1, (5, 9, 14, 20)),
    ("(i32.xor (i32.xor {b} {c}) {d})", 3, 5, (4, 11, 16, 23)),
    ("(i32.xor {c} (i32.or {b} (i32.xor {d} (i32.const -1))))", 7, 0, (6, 10, 15, 21)),
)
"""Of each sixteen rounds: the function, by how many words it goes on and where it begins, and its rotations."""


def functions() -> str:
    """`$md5_blocks`, `$sha1_blocks`, `$sha256_blocks`, `$sha512_blocks`: state, address and end of whole blocks; the
    state is changed in its place. `$digest_blocks` chooses one by its number; `$digest_chain` is what PBKDF2 repeats.
    """
    return "\n".join(
        (_md5(), _sha1(), _sha2("i32", _ROTATIONS_256), _sha2("i64", _ROTATIONS_512), _CHOOSE, _CHAIN)
    )


def _primes() -> Iterator[int]:
    return (n for n in count(2) if all(n % d for d in range(2, isqrt(n) + 1)))


def _constants(bits: int, rounds: int) -> list[int]:
    """The first bits of the fractional parts of the cube roots of the first primes (4.2.2, 4.2.3)."""
    return [_cube_root(prime << 3 * bits) & ((1 << bits) - 1) for prime in islice(_primes(), rounds)]


def _cube_root(number: int) -> int:
    low, high = 0, 1 << -(-number.bit_length() // 3)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**3 <= number else (low, middle - 1)
    return low


def _get(name: str) -> str:
    return f"(local.get ${name})"


def _sum(kind: str, first: str, *others: str) -> str:
    return f"({kind}.add {first} {_sum(kind, *others)})" if others else first


def _xor3(kind: str, a: str, b: str, c: str) -> str:
    return f"({kind}.xor ({kind}.xor {a} {b}) {c})"


def _loaded(kind: str, address: str, offset: int, *, little: bool) -> str:
    if kind == "i64":
        high, low = (_loaded("i32", address, at, little=False) for at in (offset, offset + 4))
        return f"(i64.or (i64.shl (i64.extend_i32_u {high}) (i64.const 32)) (i64.extend_i32_u {low}))"
    word = f"(i32.load offset={offset} align=1 {address})"
    return word if little else f"(call $swapped {word})"


def _stored(kind: str, offset: int, value: str, *, little: bool) -> list[str]:
    if kind == "i64":
        high = f"(i32.wrap_i64 (i64.shr_u {value} (i64.const 32)))"
        low = f"(i32.wrap_i64 {value})"
        return [
            line
            for at, half in ((offset, high), (offset + 4, low))
            for line in _stored("i32", at, half, little=False)
        ]
    word = value if little else f"(call $swapped {value})"
    return [f"  (i32.store offset={offset} align=1 (local.get $state) {word})"]


def _blocks(name: str, kind: str, words: str, rounds: list[str], *, little: bool = False) -> str:
    """A function of this name: the rounds, for each block, on a state of these words (a, b, ...), of which the first
    byte is the highest or, `little`, the lowest.
    """
    width = 8 if kind == "i64" else 4
    load = partial(_loaded, kind, little=little)
    lines = [
        f"(func {name} (param $state i32) (param $at i32) (param $end i32)",
        *(f"  (local ${word} {kind}) (local $h{i} {kind})" for i, word in enumerate(words)),
        *(f"  (local $w{i} {kind})" for i in range(16)),
        f"  (local $t {kind})",
        *(f"  (local.set $h{i} {load(_get('state'), width * i)})" for i in range(len(words))),
        "  (block $done (loop $more",
        "    (br_if $done (i32.ge_u (local.get $at) (local.get $end)))",
        *(f"    (local.set $w{i} {load(_get('at'), width * i)})" for i in range(16)),
        *(f"    (local.set ${word} (local.get $h{i}))" for i, word in enumerate(words)),
        *(f"    {line}" for line in rounds),
        *(f"    (local.set $h{i} ({kind}.add (local.get $h{i}) {_get(w)}))" for i, w in enumerate(words)),
        f"    (local.set $at (i32.add (local.get $at) (i32.const {16 * width})))",
        "    (br $more)))",
        *(line for i in range(len(words)) for line in _stored(kind, width * i, _get(f"h{i}"), little=little)),
    ]
    return "\n".join(lines) + ")"


def _md5() -> str:
    rounds, names = [], list("abcd")
    for t in range(64):
        a, b, c, d = map(_get, names)
        function, step, first, rotations = _MD5[t // 16]
        word, constant = _get(f"w{(first + step * t) % 16}"), int(abs(sin(t + 1)) * 2**32)
        value = _sum("i32", a, function.format(b=b, c=c, d=d), f"(i32.const {constant})", word)
        turned = f"(i32.rotl {value} (i32.const {rotations[t % 4]}))"
        rounds.append(f"(local.set ${names[0]} (i32.add {b} {turned}))")
        names = [names[3], *names[:3]]
    return _blocks("$md5_blocks", "i32", "abcd", rounds, little=True)


def _sha1() -> str:
    rounds, names = [], list("abcde")
    for t in range(80):
        a, b, c, d, e = map(_get, names)
        if t >= 16:
            mixed = _xor3(
                "i32", _get(f"w{(t - 3) % 16}"), _get(f"w{(t - 8) % 16}"), _get(f"w{(t - 14) % 16}")
            )
            mixed = f"(i32.xor {mixed} {_get(f'w{t % 16}')})"
            rounds.append(f"(local.set $w{t % 16} (i32.rotl {mixed} (i32.const 1)))")
        function, constant = _SHA1[t // 20]
        turned = f"(i32.rotl {a} (i32.const 5))"
        value = _sum(
            "i32", turned, function.format(b=b, c=c, d=d), e, f"(i32.const {constant})", _get(f"w{t % 16}")
        )
        rounds.append(f"(local.set ${names[4]} {value})")
        rounds.append(f"(local.set ${names[1]} (i32.rotl {b} (i32.const 30)))")
        names = [names[4], *names[:4]]
    return _blocks("$sha1_blocks", "i32", "abcde", rounds)


def _sha2(kind: str, rotations: tuple[tuple[int, int, int], ...]) -> str:
    bits, rounds = (64, 80) if kind == "i64" else (32, 64)
    lines, names = [], list("abcdefgh")

    def turned(value: str, by: tuple[int, int, int], last: str) -> str:
        first, second, third = by
        return _xor3(
            kind,
            f"({kind}.rotr {value} ({kind}.const {first}))",
            f"({kind}.rotr {value} ({kind}.const {second}))",
            f"({kind}.{last} {value} ({kind}.const {third}))",
        )

    for t, constant in enumerate(_constants(bits, rounds)):
        a, b, c, _, e, f, g, h = map(_get, names)
        word = _get(f"w{t % 16}")
        if t >= 16:
            low = turned(_get(f"w{(t - 15) % 16}"), rotations[2], "shr_u")
            high = turned(_get(f"w{(t - 2) % 16}"), rotations[3], "shr_u")
            value = _sum(kind, word, low, _get(f"w{(t - 7) % 16}"), high)
            lines.append(f"(local.set $w{t % 16} {value})")
        chosen = f"({kind}.xor {g} ({kind}.and {e} ({kind}.xor {f} {g})))"
        sigma = turned(e, rotations[1], "rotr")
        first = _sum(kind, h, sigma, chosen, f"({kind}.const {constant})", word)
        lines.append(f"(local.set $t {first})")
        lines.append(f"(local.set ${names[3]} ({kind}.add {_get(names[3])} {_get('t')}))")
        majority = f"({kind}.or ({kind}.and {a} {b}) ({kind}.and {c} ({kind}.or {a} {b})))"
        second = _sum(kind, _get("t"), turned(a, rotations[0], "rotr"), majority)
        lines.append(f"(local.set ${names[7]} {second})")
        names = [names[7], *names[:7]]
    return _blocks(f"$sha{8 * bits}_blocks", kind, "abcdefgh", lines)


_CHOOSE: Final = "\n".join(
    (
        """\
(func $swapped (param $word i32) (result i32)
  (i32.or
    (i32.and (i32.rotl (local.get $word) (i32.const 8)) (i32.const 0x00ff00ff))
    (i32.and (i32.rotr (local.get $word) (i32.const 8)) (i32.const 0xff00ff00))))
(func $digest_blocks (param $kind i32) (param $state i32) (param $at i32) (param $end i32)""",
        *(
            f"  (if (i32.eq (local.get $kind) (i32.const {number}))"
            f" (then (call {digest.function} (local.get $state) (local.get $at) (local.get $end)) return))"
            for number, digest in DIGESTS.items()
        ),
        "  unreachable)",
    )
)

_CHAIN: Final = f"""\
(func $digest_half (param $kind i32) (param $at i32) (param $key i32) (param $size i32) (param $block i32)
  (local $work i32)
  (local.set $work (i32.add (local.get $at) (i32.const {WORK})))
  (memory.copy (local.get $work) (local.get $key) (i32.const 64))
  (call $digest_blocks (local.get $kind) (local.get $work)
    (i32.add (local.get $at) (i32.const {BLOCK}))
    (i32.add (i32.add (local.get $at) (i32.const {BLOCK})) (local.get $block)))
  (memory.copy (i32.add (local.get $at) (i32.const {BLOCK})) (local.get $work) (local.get $size)))
(func $digest_chain (param $kind i32) (param $at i32) (param $size i32) (param $block i32) (param $count i32)
  (local $i i32) (local $place i32)
  (block $done (loop $more
    (br_if $done (i32.eqz (local.get $count)))
    (call $digest_half (local.get $kind) (local.get $at)
      (i32.add (local.get $at) (i32.const {INNER})) (local.get $size) (local.get $block))
    (call $digest_half (local.get $kind) (local.get $at)
      (i32.add (local.get $at) (i32.const {OUTER})) (local.get $size) (local.get $block))
    (local.set $i (i32.const 0))
    (loop $sum
      (local.set $place (i32.add (local.get $at) (local.get $i)))
      (i32.store offset={SUM} align=1 (local.get $place) (i32.xor
        (i32.load offset={SUM} align=1 (local.get $place))
        (i32.load offset={BLOCK} align=1 (local.get $place))))
      (local.set $i (i32.add (local.get $i) (i32.const 4)))
      (br_if $sum (i32.lt_u (local.get $i) (local.get $size))))
    (local.set $count (i32.sub (local.get $count) (i32.const 1)))
    (br $more))))"""
"""Each round takes the digest in its padded block through HMAC (both keys as states), and adds it to the sum (XOR)."""
