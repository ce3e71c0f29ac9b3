"""How deep calls may go, and JSON: a part of the text that `glue` is.

QuickJS for WASI looks at no stack, so one that is used up traps and ends the isolate with all its requests.
"""

from __future__ import annotations

from typing import Final

from pyworkerd_isolates.wasm.core import I32, I64, FunctionType
from pyworkerd_isolates.wasm.preview1 import Around

INTERPRETER: Final = Around(
    FunctionType(bytes((I32, I64, I64, I64, I32, I32, I32)), bytes((I64,))), "interpret", "called"
)
"""QuickJS's `JS_CallInternal`: whoever calls a function calls it."""
DEEPEST: Final = 2000
"""Calls in calls. A level takes 1 to 1.4 KiB of native stack (more where the engine's own functions lie between), of
`native.MAX_WASM_STACK`; the most that was seen to fit are 2,600 and 4,300."""
_LOWEST: Final = 96 << 10
"""Where the stack that the module itself keeps, from `room` down to 0, is as good as used up."""
_OWN: Final = 50, 16 << 10
"""How much further both may go in QuickJS's own functions: what a program calls last comes to its end."""
_RESERVE: Final = 100, 64 << 10
"""How much further both may go while the error is made, from wherever that is."""
_OBJECT: Final = -1
"""`JS_TAG_OBJECT`."""
_CLASS: Final = 6
"""Where an object says what class it is of (`JSObject.class_id`)."""
_EXCEPTION: Final = 6 << 32
"""`JS_EXCEPTION`: the tag of a value that was thrown (`JS_TAG_EXCEPTION`), where values have 64 bits."""
_CALLS: Final = f"""\
(global $depth (mut i32) (i32.const 0))
(global $deepest (mut i32) (i32.const {DEEPEST}))
(global $lowest (mut i32) (i32.const {_LOWEST}))
(func (export "host:{INTERPRETER.outer}")
  (param $context i32) (param $function i64) (param $this i64) (param $target i64)
  (param $count i32) (param $arguments i32) (param $flags i32) (result i64)
  (local $made i64)
  (if (i32.or
      (i32.ge_u (global.get $depth) (global.get $deepest))
      (i32.lt_u (global.get $stack) (global.get $lowest)))
    (then (if (call $is_refused (local.get $function)) (then (return (call $too_deep))))))
  (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
  (local.set $made (call $interpret (local.get $context) (local.get $function) (local.get $this)
    (local.get $target) (local.get $count) (local.get $arguments) (local.get $flags)))
  (global.set $depth (i32.sub (global.get $depth) (i32.const 1)))
  (local.get $made))
(func $is_refused (param $function i64) (result i32)
  (i32.or
    (call $is_program (local.get $function))
    (i32.and
      (call $is_native (local.get $function))
      (i32.or
        (i32.ge_u (global.get $depth) (i32.add (global.get $deepest) (i32.const {_OWN[0]})))
        (i32.lt_u (global.get $stack) (i32.sub (global.get $lowest) (i32.const {_OWN[1]})))))))
(func $is_native (param $function i64) (result i32)
  (if (i64.ne (i64.shr_s (local.get $function) (i64.const 32)) (i64.const {_OBJECT}))
    (then (return (i32.const 0))))
  (i32.eq (call $kind (local.get $function)) (call $kind_of <own>)))
(func $is_program (param $function i64) (result i32)
  (local $kind i32)
  (if (i64.ne (i64.shr_s (local.get $function) (i64.const 32)) (i64.const {_OBJECT}))
    (then (return (i32.const 0))))
  (local.set $kind (call $kind (local.get $function)))
  (i32.or
    (i32.or (i32.eq (local.get $kind) (call $kind_of <too_deep>)) (i32.eq (local.get $kind) (call $kind_of <async>)))
    (i32.or
      (i32.eq (local.get $kind) (call $kind_of <generator>))
      (i32.eq (local.get $kind) (call $kind_of <generator1>)))))
(func $kind (param $object i64) (result i32)
  (i32.load16_u offset={_CLASS} (i32.wrap_i64 (local.get $object))))
(func $kind_of (param $kept i32) (result i32)
  (call $kind (i64.load (i32.load (local.get $kept)))))
(func $know_kinds
  (call $must (i32.ne (call $kind_of <step>) (call $kind_of <too_deep>)))
  (call $must (i32.eq (call $kind_of <async>) (call $kind_of <too_deep>)))
  (call $must (i32.eq (call $kind_of <async>) (call $kind_of <generator>)))
  (call $must (i32.eq (call $kind_of <generator1>) (call $kind_of <generator>)))
  (call $must (i32.eqz (call $is_program (i64.load (i32.load <step>)))))
  (call $must (call $is_program (i64.load (i32.load <own>)))))
(func $too_deep (result i64)
  (local $failed i32)
  (if (i32.eq (global.get $lowest) (i32.const {_LOWEST})) (then
    (global.set $deepest (i32.const {DEEPEST + _RESERVE[0]}))
    (global.set $lowest (i32.const {_LOWEST - _RESERVE[1]}))
    (local.set $failed (call $call_function
      (i32.load <too_deep>) (i32.load <undefined>) <inner_arguments> (i32.const 0) <error>))
    (global.set $deepest (i32.const {DEEPEST}))
    (global.set $lowest (i32.const {_LOWEST}))
    (if (i32.eqz (local.get $failed)) (then
      (drop (call $throw (i32.load <error>)))
      (call $free_value (i32.load <error>))
      (return (i64.const {_EXCEPTION}))))))
  (drop (call $throw (i32.load <undefined>)))
  (i64.const {_EXCEPTION}))"""
"""Refused is what calls can recurse by: a program's functions, of four kinds, and a little later QuickJS's own, which
can do so alone (an array's `toString` calls that of what is in it, and a client may have sent arrays in arrays). They
are known by the class which an object tells, as some that are kept do. Others are not refused, nor does QuickJS itself
refuse any: where it settles a promise, say, it does not expect that to fail.

Where a program's code that runs when an error is made (`Error.prepareStackTrace`) goes too deep once more, undefined is
thrown."""
_NESTING: Final = """\
(func $nesting (param $arguments i32) (result i32)
  (local $at i32) (local $end i32) (local $char i32) (local $depth i32) (local $most i32) (local $quoted i32)
  (if (call $get_string (i32.load (local.get $arguments))) (then (return (i32.const -1))))
  (local.set $at (call $qjs_last_ptr))
  (local.set $end (i32.add (local.get $at) (call $qjs_last_len)))
  (block $done (loop $more
    (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
    (local.set $char (i32.load8_u (local.get $at)))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (if (local.get $quoted)
      (then
        (if (i32.eq (local.get $char) (i32.const 0x22)) (then (local.set $quoted (i32.const 0)) (br $more)))
        (if (i32.eq (local.get $char) (i32.const 0x5c)) (then
          (local.set $at (i32.add (local.get $at) (i32.const 1)))))
        (br $more)))
    (if (i32.eq (local.get $char) (i32.const 0x22)) (then (local.set $quoted (i32.const 1)) (br $more)))
    (local.set $char (i32.or (local.get $char) (i32.const 0x20)))
    (if (i32.eq (local.get $char) (i32.const 0x7b)) (then
      (local.set $depth (i32.add (local.get $depth) (i32.const 1)))
      (if (i32.gt_s (local.get $depth) (local.get $most)) (then (local.set $most (local.get $depth))))))
    (if (i32.eq (local.get $char) (i32.const 0x7d)) (then
      (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))))
    (br $more)))
  (call $qjs_result_free)
  (call $number (f64.convert_i32_s (local.get $most))))"""
"""Brackets and braces differ in one bit."""
TEXT: Final = f"{_CALLS}\n{_NESTING}"
