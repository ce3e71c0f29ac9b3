"""The functions that take the place of an operating system: WebAssembly text, merged into the engine.

A component asks WASI 0.2 for clocks, entropy, files and the rest. Nothing of it leaves the sandbox:

- Clocks read the global `now_ns`, which the host sets with every call. Time stands still inside a call.
- Random bytes come from ChaCha20 (`chacha`), keyed by the host. There is no default key: asked before `seed`,
  the request is refused.
- Environment, arguments and preopened directories are empty, and no stream is a terminal.
- Sockets and name look-ups answer `access-denied`, which the guest's libc turns into an ordinary error.
- Dropping a resource does nothing. Everything else is refused.

A refusal is written down and then traps: `refused` says which kind it was and `refused_call` what was asked
for.
Sources: the WIT of WASI 0.2 (wasi-cli, wasi-clocks, wasi-filesystem, wasi-random, wasi-sockets);
component-model design/mvp/CanonicalABI.md (lowering: results that do not fit one value go to memory, at the
last parameter).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from .chacha import generator
from .component import RESOURCE
from .core import F32, F64, I32, I64, FunctionType
from .errors import WasmFormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

REFUSED_NOTHING, REFUSED_ENTROPY, REFUSED_CALL = 0, 1, 2
"""What `refused()` of an engine returns."""
_LONGEST_RANDOM = 1 << 24
"""Bytes per request; getrandom(2) gives at most 2**25 - 1, and libc asks for 256 at a time."""
_WAT_TYPES = {I32: "i32", I64: "i64", F32: "f32", F64: "f64"}
_PLAIN_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", re.IGNORECASE).fullmatch
"""A kebab-case name: component-model Explainer.md, Import and Export Definitions."""


class HostCall(NamedTuple):
    """An import of the component that has to be answered; `allocator` numbers the realloc that its answer is
    put in.
    """

    module: str
    name: str
    type: FunctionType
    allocator: int | None = None


class ExportedCall(NamedTuple):
    """A function that the component exports; `allocator` numbers the realloc for its argument."""

    name: str
    allocator: int


class System(NamedTuple):
    """The text of the module, and what a `refused_call` number means."""

    text: str
    refusals: tuple[str, ...]


class _Answer(NamedTuple):
    """The body of a function, and the type that it is written for."""

    type: FunctionType
    body: str
    needs_key: bool = False


def _type(params: str = "", results: str = "") -> FunctionType:
    numbers = {"i": I32, "l": I64}
    return FunctionType(bytes(numbers[x] for x in params), bytes(numbers[x] for x in results))


_DROP = _Answer(_type("i"), "")
_EMPTY_LIST = _Answer(_type("i"), "(i64.store align=4 (local.get 0) (i64.const 0))")
_NONE = _Answer(_type("i"), "(i32.store8 (local.get 0) (i32.const 0))")
_NOW = _Answer(_type(results="l"), "(global.get $now_ns)")
_RESOLUTION = _Answer(_type(results="l"), "(i64.const 1)")
_DATETIME = """
  (i64.store (local.get 0) (i64.div_u {ns} (i64.const 1000000000)))
  (i32.store offset=8 (local.get 0) (i32.wrap_i64 (i64.rem_u {ns} (i64.const 1000000000))))"""
_WALL_NOW = _Answer(_type("i"), _DATETIME.format(ns="(global.get $now_ns)"))
_WALL_RESOLUTION = _Answer(_type("i"), _DATETIME.format(ns="(i64.const 1)"))
_DENIED = "(i32.store8 (local.get {at}) (i32.const 1)) (i32.store8 offset=4 (local.get {at}) (i32.const 1))"
"""A result that is `err(access-denied)`: the second case of wasi:sockets/network error-code."""
_RANDOM_U64 = """
  (local $low i32) (local $high i32)
  call $draw drop drop drop drop drop drop
  local.set $high local.set $low
  (i64.or (i64.extend_i32_u (local.get $low))
    (i64.shl (i64.extend_i32_u (local.get $high)) (i64.const 32)))"""
_RANDOM_PAIR = """
  (local $a i32) (local $b i32) (local $c i32) (local $d i32)
  call $draw drop drop drop drop
  local.set $d local.set $c local.set $b local.set $a
  (i32.store (local.get 0) (local.get $a)) (i32.store offset=4 (local.get 0) (local.get $b))
  (i32.store offset=8 (local.get 0) (local.get $c)) (i32.store offset=12 (local.get 0) (local.get $d))"""
_RANDOM_BYTES = """
  (local $size i32) (local $space i32) (local $at i32)
  (if (i64.gt_u (local.get 0) (i64.const {longest}))
    (then (call $refuse (i32.const 2) (i32.const {number})) unreachable))
  (local.set $size (i32.wrap_i64 (local.get 0)))
  (local.set $space (i32.and (i32.add (local.get $size) (i32.const 31)) (i32.const -32)))
  (local.set $at (call $realloc{allocator} (i32.const 0) (i32.const 0) (i32.const 1) (local.get $space)))
  (call $fill (local.get $at) (i32.add (local.get $at) (local.get $space)))
  (memory.fill (i32.add (local.get $at) (local.get $size)) (i32.const 0)
    (i32.sub (local.get $space) (local.get $size)))
  (i32.store (local.get 1) (local.get $at))
  (i32.store offset=4 (local.get 1) (local.get $size))"""
"""Whole units are drawn; what was not asked for of the last one is wiped."""
_BYTES = _Answer(_type("li"), _RANDOM_BYTES, needs_key=True)
_U64 = _Answer(_type(results="l"), _RANDOM_U64, needs_key=True)

_ANSWERS: dict[str, _Answer] = {
    "wasi:cli/environment get-arguments": _EMPTY_LIST,
    "wasi:cli/environment get-environment": _EMPTY_LIST,
    "wasi:filesystem/preopens get-directories": _EMPTY_LIST,
    "wasi:cli/terminal-stdin get-terminal-stdin": _NONE,
    "wasi:cli/terminal-stdout get-terminal-stdout": _NONE,
    "wasi:cli/terminal-stderr get-terminal-stderr": _NONE,
    "wasi:clocks/monotonic-clock now": _NOW,
    "wasi:clocks/monotonic-clock resolution": _RESOLUTION,
    "wasi:clocks/wall-clock now": _WALL_NOW,
    "wasi:clocks/wall-clock resolution": _WALL_RESOLUTION,
    "wasi:random/random get-random-bytes": _BYTES,
    "wasi:random/random get-random-u64": _U64,
    "wasi:random/insecure get-insecure-random-bytes": _BYTES,
    "wasi:random/insecure get-insecure-random-u64": _U64,
    "wasi:random/insecure-seed insecure-seed": _Answer(_type("i"), _RANDOM_PAIR, needs_key=True),
    "wasi:sockets/instance-network instance-network": _Answer(_type(results="i"), "(i32.const 1)"),
    "wasi:sockets/ip-name-lookup resolve-addresses": _Answer(_type("iiii"), _DENIED.format(at=3)),
    "wasi:sockets/tcp-create-socket create-tcp-socket": _Answer(_type("ii"), _DENIED.format(at=1)),
    "wasi:sockets/udp-create-socket create-udp-socket": _Answer(_type("ii"), _DENIED.format(at=1)),
}


def call_name(module: str, name: str) -> str:
    """How a system call is named to people: without version and form, `wasi:sockets/tcp
    tcp-socket.start-connect`.
    """
    return f"{module.partition('@')[0]} {name.rpartition(']')[2]}"


def system_text(calls: Sequence[HostCall], exports: Sequence[ExportedCall]) -> System:
    """The module's text. It imports `image.memory` and of `guest` `free`, `realloc:<number>`, `call:<name>`,
    `post:<name>`; it exports what the host needs (`seed`, `refused`, `refused_call`, `now_ns`, and per
    exported call `<name>_at` and `prepare_<name>`), and for the merge `host:<place in calls>`.
    """
    for export in exports:
        if not _PLAIN_NAME(export.name):
            raise WasmFormatError(f"an export is called {export.name!r}, which is not a kebab-case name")
    refusals: list[str] = []
    answers = [host_function(place, call, refusals) for place, call in enumerate(calls)]
    numbers = {call.allocator for call in calls if call.allocator is not None}
    numbers |= {export.allocator for export in exports}
    lines = [
        "(module",
        *(REALLOC.format(number=number) for number in sorted(numbers)),
        _FREE,
        *(_GUEST.format(name=export.name) for export in exports),
        '(import "image" "memory" (memory 0))',
        STATE,
        generator(),
        *(_CALLS.format(name=export.name, allocator=export.allocator) for export in exports),
        *answers,
        ")",
    ]
    return System("\n".join(lines), tuple(refusals))


def host_function(place: int, call: HostCall, refusals: list[str]) -> str:
    """The text of `host:<place>`, which answers a call or refuses it; what it may refuse is added to `refusals`."""
    name = call_name(call.module, call.name)
    signature = (
        f'(func (export "host:{place}")'
        + "".join(f" (param {value_name(x)})" for x in call.type.params)
        + "".join(f" (result {value_name(x)})" for x in call.type.results)
    )
    answer = _answer(call, name)
    number = len(refusals)
    if answer is None:
        refusals.append(name)
        return f"{signature} (call $refuse (i32.const {REFUSED_CALL}) (i32.const {number})) unreachable)"
    body = answer.body
    if answer.needs_key:
        refusals.append(name)
        locals_, body = _split_locals(
            body.format(longest=_LONGEST_RANDOM, number=number, allocator=call.allocator)
        )
        body = f"{locals_}\n  {NEEDS_KEY.format(kind=REFUSED_ENTROPY, number=number)}{body}"
    return f"{signature} {body})"


def _split_locals(body: str) -> tuple[str, str]:
    """The line of locals, which has to stand first in a function, and the rest."""
    first, _, rest = body.lstrip("\n").partition("\n")
    return first, f"\n{rest}"


def _answer(call: HostCall, name: str) -> _Answer | None:
    dropped = call.module == RESOURCE and call.name.startswith("drop ")
    answer = _DROP if dropped else _ANSWERS.get(name)
    if answer is not None and answer.type != call.type:
        raise WasmFormatError(f"the component imports {name} with another signature than WASI 0.2 has")
    if answer is _BYTES and call.allocator is None:
        raise WasmFormatError(f"the component imports {name} without an allocator")
    return answer


def value_name(value_type: int) -> str:
    """A value type as the text format has it."""
    if value_type not in _WAT_TYPES:
        raise WasmFormatError(f"an import of value type {value_type:#x} is not supported")
    return _WAT_TYPES[value_type]


REALLOC = '(import "guest" "realloc:{number}" (func $realloc{number} (param i32 i32 i32 i32) (result i32)))'
_FREE = '(import "guest" "free" (func $free (param i32)))'
_GUEST = """\
(import "guest" "call:{name}" (func $call:{name} (param i32 i32) (result i32)))
(import "guest" "post:{name}" (func $post:{name} (param i32)))"""
STATE = """\
(global $now_ns (export "now_ns") (mut i64) (i64.const 0))
(global $refused (mut i32) (i32.const 0))
(global $refused_call (mut i32) (i32.const 0))
(func (export "seed") (param i64 i64 i64 i64)
  (call $set_key (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
(func (export "refused") (result i32) (global.get $refused))
(func (export "refused_call") (result i32) (global.get $refused_call))
(func $refuse (param i32 i32)
  (global.set $refused (local.get 0))
  (global.set $refused_call (local.get 1)))"""
NEEDS_KEY = (
    "(if (i32.eqz (global.get $keyed)) "
    "(then (call $refuse (i32.const {kind}) (i32.const {number})) unreachable))"
)
# componentize-py 0.25.1 never frees an answer, so finishing a call does it, after the post-return function: that one
# still reads the answer. The version is pinned exactly: freed twice, an answer would break the guest's allocator.
# Finishing a call (a previous answer, size 0) allocates nothing, since no callee will come to free it. An empty
# argument does get a chunk (no previous answer, size 0): componentize-py's guests free it whatever its size.
_CALLS = """\
(func (export "prepare_{name}") (param $previous i32) (param $size i32) (result i32)
  (local $answer i32)
  (if (local.get $previous)
    (then
      (if (i32.load offset=4 (local.get $previous))
        (then (local.set $answer (i32.load (local.get $previous)))))
      (call $post:{name} (local.get $previous))
      (if (local.get $answer) (then (call $free (local.get $answer))))
      (if (i32.eqz (local.get $size)) (then (return (i32.const 0))))))
  (call $realloc{allocator} (i32.const 0) (i32.const 0) (i32.const 1) (local.get $size)))
(func (export "{name}_at") (param $now i64) (param $pointer i32) (param $size i32) (result i32)
  (global.set $now_ns (local.get $now))
  (call $refuse (i32.const 0) (i32.const 0))
  (call $call:{name} (local.get $pointer) (local.get $size)))"""
