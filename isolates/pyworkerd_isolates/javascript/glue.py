"""What joins QuickJS with the host, as WebAssembly text: one call of the engine is one step.

`quickjs-rs` exports QuickJS as functions on *handles* (addresses of counted references). The host would need a dozen of
them for one step. Here they are called from inside: `step` and `load` hand the guest's own function (`entry.js`) the
two parts of a frame, a text and bytes, and write what it answers, a list of one text and any number of bytes, as a
frame again. `boot` runs a script once, while the engine is built, and keeps the functions that it answers with.

The guest has some functions that JavaScript cannot have, by one letter each (`HOST`); and where QuickJS asks for a
module, guest functions answer that as well. Nothing leaves the engine.

Whatever goes wrong here, for want of memory say, traps, which ends the isolate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyworkerd_isolates.wasm import digests
from pyworkerd_isolates.wasm.preview1 import Glue

from . import depth, finding, frames, gaps, marking, short, sqlite, storage_glue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_USES: Final = {
    "qjs_alloc": ("i", "i"),
    "qjs_free": ("ii", ""),
    "qjs_last_ptr": ("", "i"),
    "qjs_last_len": ("", "i"),
    "qjs_result_free": ("", ""),
    "new_string": ("ii", "i"),
    "new_uint8array": ("iii", "i"),
    "new_number": ("l", "i"),
    "new_bool": ("i", "i"),
    "new_undefined": ("", "i"),
    "new_function": ("ii", "i"),
    "global_object": ("", "i"),
    "set_prop": ("iiii", "i"),
    "get_index": ("iii", "i"),
    "get_string": ("i", "i"),
    "get_number": ("ii", "i"),
    "get_typed_array_buffer": ("iiii", "i"),
    "call_function": ("iiiii", "i"),
    "free_value": ("i", ""),
    "dup_handle": ("i", "i"),
    "throw": ("i", "i"),
    "eval_code": ("iii", "i"),
    "promise_state": ("ii", "i"),
    "promise_result": ("ii", "i"),
    "eval_module": ("iiiii", "i"),
    "execute_pending_jobs": ("", "i"),
    "run_gc": ("", ""),
    "new_from_json": ("iii", "i"),
}
"""Of `quickjs-rs`; those that can fail answer 0 if they did not, and put what they made at the last address given."""

# What is kept between calls: an address each, from the beginning of the room above the stack.
_ANSWER, _USED, _CAPACITY = 0, 4, 8
"""The answer of the last step, its size (together what the host reads), and the size of the space it lies in."""
_OUT, _ARGUMENTS = 16, 32
_INNER_OUT, _INNER_ARGUMENTS = 48, 64
"""The same for what is called while the guest runs."""
_STEP, _LOAD, _RESOLVE, _SOURCE, _UNDEFINED = 80, 84, 88, 92, 96
_TOO_DEEP, _ERROR, _ASYNC, _GENERATOR, _OWN = 204, 208, 212, 216, 224
"""What makes the error of calls that go too deep, and where that comes; functions of the other kinds that there are."""
_REJECTED, _HEARS, _REJECTION, _IGNORED = 12, 28, 40, 60
"""For promises that are rejected: a handle, how far it is known that they are heard of, and a call's arguments."""
_FETCH, _FINISH, _INIT, _RPC, _FOUR = 256, 260, 280, 284, 264
"""Functions of the guest for requests and calls, and four arguments."""
_RUNTIME: Final = 228
"""Where QuickJS's own record lies (`JSRuntime`), of which the queue is a part; 0 if that was not found."""
_KEPT: Final = (
    _STEP, _LOAD, _RESOLVE, _SOURCE, _REJECTED, _TOO_DEEP, _ASYNC, _GENERATOR, _GENERATOR + 4, _OWN,
    _FETCH, _FINISH, _INIT, _RPC,
)  # fmt: skip
"""Handles, in the order in which the script answers with the functions."""
_QUEUE: Final = 100
"""Where QuickJS has the queue of jobs (of what promises have made ready); 0 if that was not found."""
HOST: Final = {
    "e": "encode",  # a text as UTF-8
    "d": "decode",  # and back
    "j": "jobs",  # run what promises have made ready
    "r": "random",  # so many random bytes
    "n": "now",  # milliseconds since 1970
    "k": "keyed",  # whether there are random bytes
    "t": "table",  # so many bytes, from a place on, of the engine's tables (`encodings`)
    "h": "hash",  # bytes that are a state and whole blocks: the next state (`wasm.digests`)
    "c": "chain",  # so many rounds of PBKDF2: their sum
    "m": "evaluate",  # the namespace of a module with this source, at once
    "q": "take",  # all jobs out of the queue: a number for them, 0 if there are none
    "g": "give",  # jobs that were taken, to the queue's end
    "p": "plain_text",  # of a frame that is a value
    "s": "settled",  # what a promise was fulfilled with; the promise itself if it was not, or a job waits
    "x": "nesting",  # how many levels deep a text of JSON is
}
_FIRST_CAPACITY: Final = 1024
_BLOCK: Final = 1 << 16
_MOST_RANDOM: Final = 65_536
"""Bytes at once: crypto.getRandomValues gives no more (Web Cryptography API, section 10.1.1)."""
EXPORTS: Final = ("boot", "load", "step")


def host_functions(*, has_storage: bool) -> dict[str, str]:
    """Names of the functions that the guest has, by letter."""
    return {**HOST, **storage_glue.HOST} if has_storage else HOST


def plain_glue(room: int, slot: int, tables: bytes) -> Glue:
    """The text for an engine that has room for its numbers at this address, a free slot in its table, and these bytes
    as constants."""
    return _glue(room, HOST, _KEPT, _tables(tables), _USES, slot)


def glue_with_storage(room: int, slot: int, tables: bytes) -> Glue:
    """The same for one with SQLite in it, and a second slot."""
    more = f"{_tables(tables)}\n{storage_glue.text(room, slot + 1)}"
    kept = (*_KEPT, *storage_glue.KEPT)
    made = _glue(room, host_functions(has_storage=True), kept, more, {**_USES, **storage_glue.USES}, slot)
    return made._replace(answers={**made.answers, **sqlite.ANSWERED}, constants=sqlite.CONSTANT, slots=2)


def _glue(
    room: int,
    host: Mapping[str, str],
    kept: Sequence[int],
    more: str,
    uses: Mapping[str, tuple[str, str]],
    slot: int,
) -> Glue:
    filled = {
        "slot": slot,
        "block": _BLOCK,
        "first": _FIRST_CAPACITY,
        "most_random": _MOST_RANDOM,
        **_places(room),
        "most_plain": frames.MOST_PLAIN,
    }
    parts = [
        _ANSWERING,
        frames.COLLECTING,
        short.TEXT,
        frames.TAKING_APART,
        frames.ENTERING,
        *(_PREPARE.replace("NAME", name) for name in EXPORTS),
        gaps.TEXT,
        _CALLS,
        finding.QUEUE,
        finding.REJECTIONS,
        _BOOT_BEGINS,
        *(_define(letter) for letter in host),
        _BOOT_ENDS,
        *(_keep(place, room + at) for place, at in enumerate(kept)),
        "  (call $know_kinds)",
        "  (call $find_queue)",
        "  (call $hear_rejections))",
        _HOST_FUNCTIONS,
        digests.functions(),
        _hash(),
        more,
        _HOST_CALL,
        *(_dispatch(letter, name) for letter, name in host.items()),
        "  (i32.const -1))",
        _MODULES,
        depth.TEXT,
        marking.TEXT,
        "(func $interrupted (result i32) (i32.const 0))",
    ]
    text = "\n".join(parts)
    for name, value in filled.items():
        text = text.replace(f"<{name}>", f"(i32.const {value})")
    answers = {
        ("env", "host_interrupt"): "interrupted",
        ("env", "host_call"): "host_call",
        ("env", "host_module_normalize"): "host_resolve",
        ("env", "host_module_load"): "host_source",
    }
    return Glue(text, uses, answers, EXPORTS, slots=1, around=depth.INTERPRETER)


def _places(room: int) -> dict[str, int]:
    """Addresses by the names that the text has for them."""
    return {
        name: room + place
        for name, place in (
            ("answer", _ANSWER), ("used", _USED), ("capacity", _CAPACITY), ("out", _OUT), ("out1", _OUT + 4),
            ("out2", _OUT + 8), ("arguments", _ARGUMENTS), ("argument1", _ARGUMENTS + 4),
            ("inner", _INNER_OUT), ("inner1", _INNER_OUT + 4), ("inner2", _INNER_OUT + 8),
            ("inner_arguments", _INNER_ARGUMENTS), ("inner_argument1", _INNER_ARGUMENTS + 4),
            ("step", _STEP), ("load", _LOAD), ("resolve", _RESOLVE), ("source", _SOURCE), ("undefined", _UNDEFINED),
            ("queue", _QUEUE), ("runtime", _RUNTIME), ("too_deep", _TOO_DEEP), ("error", _ERROR),
            ("fetch", _FETCH), ("finish", _FINISH), ("init", _INIT), ("rpc", _RPC), ("four", _FOUR),
            ("async", _ASYNC), ("generator", _GENERATOR), ("generator1", _GENERATOR + 4), ("own", _OWN),
            ("rejected", _REJECTED), ("hears", _HEARS), ("ignored", _IGNORED),
            ("rejection", _REJECTION), ("rejection1", _REJECTION + 4),
        )
    }  # fmt: skip


def _tables(data: bytes) -> str:
    text = "".join(f"\\{byte:02x}" for byte in data)
    return f'(data $tables "{text}")\n' + _TABLE.replace("SIZE", f"(i32.const {len(data)})")


def _define(letter: str) -> str:
    return (
        f"  (i32.store8 <inner_arguments> (i32.const {ord(letter)}))\n"
        "  (call $must (call $set_prop (local.get $global) <inner_arguments> (i32.const 1)\n"
        "    (call $new_function <inner_arguments> (i32.const 1))))"
    )


def _keep(place: int, address: int) -> str:
    return (
        f"  (call $must (call $get_index (local.get $made) (i32.const {place}) <out>))\n"
        f"  (i32.store (i32.const {address}) (i32.load <out>))"
    )


def _dispatch(letter: str, name: str) -> str:
    return (
        f"  (if (i32.eq (local.get $letter) (i32.const {ord(letter)}))\n"
        f"    (then (return (call ${name} (local.get $arguments)))))"
    )


def _hash() -> str:
    sizes = "\n".join(
        f"  (if (i32.eq (local.get $kind) (i32.const {number})) (then"
        f" (local.set $state (i32.const {digest.state})) (local.set $block (i32.const {digest.block}))))"
        for number, digest in digests.DIGESTS.items()
    )
    return _HASH.replace("SIZES", sizes).replace("<chain_size>", f"(i32.const {digests.CHAIN})")


_ANSWERING: Final = """\
(func $must (param i32) (if (local.get 0) (then unreachable)))
(func $append (param $from i32) (param $size i32)
  (local $used i32) (local $needed i32) (local $capacity i32) (local $grown i32) (local $at i32)
  (local.set $used (i32.load <used>))
  (local.set $capacity (i32.load <capacity>))
  (local.set $needed (i32.add (local.get $used) (local.get $size)))
  (if (i32.gt_u (local.get $needed) (local.get $capacity)) (then
    (local.set $grown (i32.mul (local.get $capacity) (i32.const 2)))
    (if (i32.lt_u (local.get $grown) (local.get $needed)) (then (local.set $grown (local.get $needed))))
    (if (i32.lt_u (local.get $grown) <first>) (then (local.set $grown <first>)))
    (local.set $at (call $qjs_alloc (local.get $grown)))
    (call $must (i32.eqz (local.get $at)))
    (memory.copy (local.get $at) (i32.load <answer>) (local.get $used))
    (call $forget)
    (i32.store <answer> (local.get $at))
    (i32.store <capacity> (local.get $grown))))
  (memory.copy (i32.add (i32.load <answer>) (local.get $used)) (local.get $from) (local.get $size))
  (i32.store <used> (local.get $needed)))
(func $forget
  (if (i32.load <capacity>) (then (call $qjs_free (i32.load <answer>) (i32.load <capacity>))))
  (i32.store <answer> (i32.const 0))
  (i32.store <used> (i32.const 0))
  (i32.store <capacity> (i32.const 0)))
(func $append_last
  (call $append (call $qjs_last_ptr) (call $qjs_last_len))
  (call $qjs_result_free))"""
_PREPARE: Final = """\
(func (export "prepare_NAME") (param $previous i32) (param $size i32) (result i32)
  (if (local.get $previous) (then (call $forget)))
  (if (i32.eqz (local.get $size)) (then (return (i32.const 0))))
  (call $qjs_alloc (local.get $size)))"""
_CALLS: Final = """\
(func $begin (param $now i64)
  (global.set $now_ns (local.get $now))
  (call $refuse (i32.const 0) (i32.const 0)))
(func (export "load_at") (param $now i64) (param $pointer i32) (param $size i32) (result i32)
  (call $begin (local.get $now))
  (call $load (local.get $pointer) (local.get $size)))
(func (export "step_at") (param $now i64) (param $pointer i32) (param $size i32) (result i32)
  (call $begin (local.get $now))
  (if (i32.eqz (local.get $size)) (then
    (call $run_gc)
    (call $forget)
    (call $scrub)
    (call $immortalise)
    (return <answer>)))
  (call $step (local.get $pointer) (local.get $size)))"""
_BOOT_BEGINS: Final = """\
(func (export "boot_at") (param $now i64) (param $pointer i32) (param $size i32) (result i32)
  (local $global i32) (local $made i32)
  (call $begin (local.get $now))
  (i32.store <undefined> (call $new_undefined))
  (local.set $global (call $global_object))"""
_BOOT_ENDS: Final = """\
  (call $must (call $eval_code (local.get $pointer) (local.get $size) <out>))
  (local.set $made (i32.load <out>))
  (call $qjs_free (local.get $pointer) (local.get $size))
  (call $forget)
  <answer>"""
_HOST_FUNCTIONS: Final = """\
(func $encode (param $arguments i32) (result i32)
  (local $failed i32)
  (if (call $get_string (i32.load (local.get $arguments))) (then (return (i32.const -1))))
  (local.set $failed (call $new_uint8array (call $qjs_last_ptr) (call $qjs_last_len) <inner>))
  (call $qjs_result_free)
  (if (local.get $failed) (then (return (i32.const -1))))
  (i32.load <inner>))
(func $decode (param $arguments i32) (result i32)
  (local $made i32)
  (if (call $get_typed_array_buffer (i32.load (local.get $arguments)) <inner> <inner1> <inner2>)
    (then (return (i32.const -1))))
  (local.set $made (call $new_string (call $qjs_last_ptr) (call $qjs_last_len)))
  (call $qjs_result_free)
  (local.get $made))
(func $take (param $arguments i32) (result i32)
  (local $head i32) (local $first i32)
  (local.set $head (i32.load <queue>))
  (if (i32.eqz (local.get $head)) (then (return (i32.const -1))))
  (local.set $first (call $next (local.get $head)))
  (if (i32.eq (local.get $first) (local.get $head)) (then (return (call $number (f64.const 0)))))
  (call $link (i32.load (local.get $head)) (local.get $first))
  (call $link (local.get $head) (local.get $head))
  (call $number (f64.convert_i32_u (local.get $first))))
(func $give (param $arguments i32) (result i32)
  (local $head i32) (local $first i32) (local $last i32)
  (local.set $head (i32.load <queue>))
  (if (call $get_number (i32.load (local.get $arguments)) <inner>) (then (return (i32.const -1))))
  (local.set $first (i32.trunc_sat_f64_u (f64.load <inner>)))
  (local.set $last (i32.load (local.get $first)))
  (call $link (i32.load (local.get $head)) (local.get $first))
  (call $link (local.get $last) (local.get $head))
  (call $new_undefined))
(func $number (param f64) (result i32)
  (call $new_number (i64.reinterpret_f64 (local.get 0))))
(func $settled (param $arguments i32) (result i32)
  (local $promise i32) (local $head i32)
  (local.set $promise (i32.load (local.get $arguments)))
  (local.set $head (i32.load <queue>))
  (block $waits
    (br_if $waits (i32.eqz (local.get $head)))
    (br_if $waits (i32.ne (call $next (local.get $head)) (local.get $head)))
    (br_if $waits (call $promise_state (local.get $promise) <inner>))
    (br_if $waits (i32.ne (i32.load <inner>) (i32.const 1)))
    (if (call $promise_result (local.get $promise) <inner>) (then (return (i32.const -1))))
    (return (i32.load <inner>)))
  (call $dup_handle (local.get $promise)))
(func $jobs (param $arguments i32) (result i32)
  (call $number (f64.convert_i32_s (call $execute_pending_jobs))))
(func $now (param $arguments i32) (result i32)
  (call $number (f64.div (f64.convert_i64_s (global.get $now_ns)) (f64.const 1000000))))
(func $keyed (param $arguments i32) (result i32)
  (call $new_bool (global.get $keyed)))
(func $evaluate (param $arguments i32) (result i32)
  (local $failed i32)
  (if (call $get_string (i32.load (local.get $arguments))) (then (return (i32.const -1))))
  (i64.store <inner_arguments> (i64.const 8243112832212105584))
  (i32.store16 offset=8 <inner_arguments> (i32.const 14948))
  (local.set $failed (call $eval_module
    (call $qjs_last_ptr) (call $qjs_last_len) <inner_arguments> (i32.const 10) <inner>))
  (call $qjs_result_free)
  (if (local.get $failed) (then (return (i32.const -1))))
  (i32.load <inner>))
(func $random (param $arguments i32) (result i32)
  (local $size i32) (local $at i32) (local $failed i32)
  (if (i32.eqz (global.get $keyed)) (then (return (i32.const -1))))
  (if (call $get_number (i32.load (local.get $arguments)) <inner>) (then (return (i32.const -1))))
  (local.set $size (i32.trunc_sat_f64_u (f64.load <inner>)))
  (if (i32.gt_u (local.get $size) <most_random>) (then (return (i32.const -1))))
  (local.set $at (call $qjs_alloc (i32.add (local.get $size) (i32.const 1))))
  (call $must (i32.eqz (local.get $at)))
  (call $fill_exactly (local.get $at) (local.get $size))
  (local.set $failed (call $new_uint8array (local.get $at) (local.get $size) <inner>))
  (memory.fill (local.get $at) (i32.const 0) (local.get $size))
  (call $qjs_free (local.get $at) (i32.add (local.get $size) (i32.const 1)))
  (if (local.get $failed) (then (return (i32.const -1))))
  (i32.load <inner>))"""
"""What they are not given as they should be they answer with -1, which throws in the guest.

Modules that are evaluated at once have the name "pyworkerd:": they may import what the guest's own modules may."""
_TABLE: Final = """\
(func $table (param $arguments i32) (result i32)
  (local $from i32) (local $size i32) (local $at i32) (local $failed i32)
  (local.set $from (call $whole (i32.load (local.get $arguments))))
  (local.set $size (call $whole (i32.load offset=4 (local.get $arguments))))
  (if (i32.gt_u (local.get $from) SIZE) (then (return (i32.const -1))))
  (if (i32.gt_u (local.get $size) (i32.sub SIZE (local.get $from))) (then (return (i32.const -1))))
  (local.set $at (call $qjs_alloc (i32.add (local.get $size) (i32.const 1))))
  (call $must (i32.eqz (local.get $at)))
  (memory.init $tables (local.get $at) (local.get $from) (local.get $size))
  (local.set $failed (call $new_uint8array (local.get $at) (local.get $size) <inner>))
  (call $qjs_free (local.get $at) (i32.add (local.get $size) (i32.const 1)))
  (if (local.get $failed) (then (return (i32.const -1))))
  (i32.load <inner>))"""
"""The tables lie in the engine, once for all isolates: what is asked for is copied into the heap."""
_HASH: Final = f"""\
(func $whole (param $handle i32) (result i32)
  (if (call $get_number (local.get $handle) <inner>) (then (return (i32.const -1))))
  (i32.trunc_sat_f64_u (f64.load <inner>)))
(func $hash (param $arguments i32) (result i32)
  (local $kind i32) (local $state i32) (local $block i32) (local $at i32) (local $size i32) (local $failed i32)
  (local.set $kind (call $whole (i32.load (local.get $arguments))))
SIZES
  (if (i32.eqz (local.get $state)) (then (return (i32.const -1))))
  (if (call $get_typed_array_buffer (i32.load offset=4 (local.get $arguments)) <inner> <inner1> <inner2>)
    (then (return (i32.const -1))))
  (local.set $at (call $qjs_last_ptr))
  (local.set $size (i32.sub (call $qjs_last_len) (local.get $state)))
  (if (i32.or (i32.lt_s (local.get $size) (i32.const 0)) (i32.rem_u (local.get $size) (local.get $block)))
    (then (call $qjs_result_free) (return (i32.const -1))))
  (call $digest_blocks (local.get $kind) (local.get $at)
    (i32.add (local.get $at) (local.get $state))
    (i32.add (i32.add (local.get $at) (local.get $state)) (local.get $size)))
  (local.set $failed (call $new_uint8array (local.get $at) (local.get $state) <inner>))
  (call $qjs_result_free)
  (if (local.get $failed) (then (return (i32.const -1))))
  (i32.load <inner>))
(func $chain (param $arguments i32) (result i32)
  (local $kind i32) (local $state i32) (local $block i32) (local $at i32) (local $size i32) (local $failed i32)
  (local.set $kind (call $whole (i32.load (local.get $arguments))))
SIZES
  (local.set $size (call $whole (i32.load offset=4 (local.get $arguments))))
  (if (i32.or (i32.eqz (local.get $state)) (i32.gt_u (local.get $size) (local.get $state)))
    (then (return (i32.const -1))))
  (if (call $get_typed_array_buffer (i32.load offset=12 (local.get $arguments)) <inner> <inner1> <inner2>)
    (then (return (i32.const -1))))
  (local.set $at (call $qjs_last_ptr))
  (if (i32.ne (call $qjs_last_len) <chain_size>) (then (call $qjs_result_free) (return (i32.const -1))))
  (call $digest_chain (local.get $kind) (local.get $at) (local.get $size) (local.get $block)
    (call $whole (i32.load offset=8 (local.get $arguments))))
  (local.set $failed (call $new_uint8array
    (i32.add (local.get $at) (i32.const {digests.SUM})) (local.get $size) <inner>))
  (call $qjs_result_free)
  (if (local.get $failed) (then (return (i32.const -1))))
  (i32.load <inner>))"""
"""`$hash` takes a number and bytes; `$chain` a number, the digest's size, how many rounds, bytes (`wasm.digests`)."""
_HOST_CALL: Final = """\
(func $host_call
  (param $name i32) (param $size i32) (param $this i32) (param $count i32) (param $arguments i32) (result i32)
  (local $letter i32)
  (if (i32.or (i32.ne (local.get $size) (i32.const 1)) (i32.eqz (local.get $count)))
    (then (return (i32.const -1))))
  (local.set $letter (i32.load8_u (local.get $name)))"""
_MODULES: Final = """\
(func $host_resolve
  (param $base i32) (param $base_size i32) (param $name i32) (param $size i32) (param $size_at i32) (result i32)
  (i32.store <inner_arguments> (call $new_string (local.get $base) (local.get $base_size)))
  (i32.store <inner_argument1> (call $new_string (local.get $name) (local.get $size)))
  (call $ask (i32.load <resolve>) (local.get $size_at)))
(func $host_source (param $name i32) (param $size i32) (param $size_at i32) (result i32)
  (i32.store <inner_arguments> (call $new_string (local.get $name) (local.get $size)))
  (i32.store <inner_argument1> (call $new_undefined))
  (call $ask (i32.load <source>) (local.get $size_at)))
(func $ask (param $function i32) (param $size_at i32) (result i32)
  (local $first i32) (local $second i32) (local $failed i32) (local $made i32) (local $size i32) (local $at i32)
  (local.set $first (i32.load <inner_arguments>))
  (local.set $second (i32.load <inner_argument1>))
  (local.set $failed
    (call $call_function (local.get $function) (i32.load <undefined>) <inner_arguments> (i32.const 2) <inner>))
  (local.set $made (i32.load <inner>))
  (call $free_value (local.get $first))
  (call $free_value (local.get $second))
  (if (local.get $failed) (then (return (i32.const 0))))
  (local.set $failed (call $get_string (local.get $made)))
  (call $free_value (local.get $made))
  (if (local.get $failed) (then (return (i32.const 0))))
  (local.set $size (call $qjs_last_len))
  (local.set $at (call $qjs_alloc (local.get $size)))
  (call $must (i32.eqz (local.get $at)))
  (memory.copy (local.get $at) (call $qjs_last_ptr) (local.get $size))
  (call $qjs_result_free)
  (i32.store (local.get $size_at) (local.get $size))
  (local.get $at))"""
