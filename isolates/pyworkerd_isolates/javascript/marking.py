"""What an image holds is marked as immortal before the image is taken: a part of the text that `glue` is.

See `counting` for what that is good for. Marked are all objects that QuickJS's garbage collector knows, all atoms, and
the texts that lie in properties, in arrays, in constants of functions and in variables. What is not found is counted
as ever, and costs a page where it is used.

The garbage collector forgets what is marked: nothing of an image is ever freed for good, and each of its runs would
write to all of it. What an isolate makes itself is collected as ever. It does not ask whether only garbage of the image
refers to it; but what an object of the image refers to is kept by that reference's count.
"""

from __future__ import annotations

from typing import Final

from .counting import IMMORTAL

_LIST: Final = 88
"""Of `JSRuntime`: `gc_obj_list`, a ring of links that lie in each object's header (`JSGCObjectHeader`)."""
_ATOMS, _ATOM_COUNT = 60, 48
"""Of `JSRuntime`: `atom_array`, `atom_size`. An entry that is odd is free."""
_LINK, _KIND = 8, 4
"""Of `JSGCObjectHeader`, which begins with the count."""
CLASS, _SHAPE, _PROPERTIES = 6, 16, 20
"""Of `JSObject`."""
ARRAY, VALUES, VALUE_COUNT = 2, 36, 40
"""`JS_CLASS_ARRAY`; of `JSObject`, where that is its class: `u.array`, empty where the array is of another kind."""
_PROPERTY_COUNT, _IS_HASHED = 32, 16
"""Of `JSShape`."""
_CONSTANTS, _CONSTANT_COUNT = 60, 52
"""Of `JSFunctionBytecode`: `cpool`."""
_VARIABLE: Final = 16
"""Of `JSVarRef`: where its value is."""
_OBJECT, _FUNCTION, _SHAPES, _REFERENCE = 0, 1, 2, 3
"""Kinds (`JSGCObjectTypeEnum`)."""
_FIRST_COUNTED, _LAST_COUNTED = -9, -6
"""Tags of values that are counted and that the garbage collector does not know: big integers, symbols, two kinds of
texts."""
TEXT: Final = f"""\
(func $mark (param $at i32)
  (if (i32.gt_s (i32.load (local.get $at)) (i32.const 0)) (then
    (i32.store (local.get $at) (i32.const {IMMORTAL})))))
(func $mark_value (param $value i64)
  (local $tag i64)
  (local.set $tag (i64.shr_s (local.get $value) (i64.const 32)))
  (if (i32.and
      (i64.ge_s (local.get $tag) (i64.const {_FIRST_COUNTED}))
      (i64.le_s (local.get $tag) (i64.const {_LAST_COUNTED})))
    (then (call $mark (i32.wrap_i64 (local.get $value))))))
(func $mark_values (param $at i32) (param $count i32)
  (block $end (loop $more
    (br_if $end (i32.eqz (local.get $count)))
    (call $mark_value (i64.load (local.get $at)))
    (local.set $at (i32.add (local.get $at) (i32.const 8)))
    (local.set $count (i32.sub (local.get $count) (i32.const 1)))
    (br $more))))
(func $mark_inside (param $at i32)
  (local $kind i32)
  (local.set $kind (i32.and (i32.load8_u offset={_KIND} (local.get $at)) (i32.const 15)))
  (if (i32.eq (local.get $kind) (i32.const {_OBJECT})) (then
    (call $mark_values
      (i32.load offset={_PROPERTIES} (local.get $at))
      (i32.load offset={_PROPERTY_COUNT} (i32.load offset={_SHAPE} (local.get $at))))
    (if (i32.eq (i32.load16_u offset={CLASS} (local.get $at)) (i32.const {ARRAY})) (then
      (call $mark_values
        (i32.load offset={VALUES} (local.get $at))
        (i32.load offset={VALUE_COUNT} (local.get $at)))))))
  (if (i32.eq (local.get $kind) (i32.const {_FUNCTION})) (then
    (call $mark_values
      (i32.load offset={_CONSTANTS} (local.get $at))
      (i32.load offset={_CONSTANT_COUNT} (local.get $at)))))
  (if (i32.eq (local.get $kind) (i32.const {_REFERENCE})) (then
    (call $mark_value (i64.load (i32.load offset={_VARIABLE} (local.get $at)))))))
(func $is_one_object's (param $at i32) (result i32)
  (if (i32.ne
      (i32.and (i32.load8_u offset={_KIND} (local.get $at)) (i32.const 15))
      (i32.const {_SHAPES}))
    (then (return (i32.const 0))))
  (i32.eqz (i32.load8_u offset={_IS_HASHED} (local.get $at))))
(func $mark_atoms (param $runtime i32)
  (local $at i32) (local $end i32) (local $atom i32)
  (local.set $at (i32.load offset={_ATOMS} (local.get $runtime)))
  (local.set $end
    (i32.add (local.get $at) (i32.shl (i32.load offset={_ATOM_COUNT} (local.get $runtime)) (i32.const 2))))
  (block $done (loop $more
    (br_if $done (i32.eq (local.get $at) (local.get $end)))
    (local.set $atom (i32.load (local.get $at)))
    (if (i32.and (i32.ne (local.get $atom) (i32.const 0)) (i32.eqz (i32.and (local.get $atom) (i32.const 1))))
      (then (call $mark (local.get $atom))))
    (local.set $at (i32.add (local.get $at) (i32.const 4)))
    (br $more))))
(func $immortalise
  (local $runtime i32) (local $head i32) (local $link i32) (local $next i32) (local $at i32)
  (local.set $runtime (i32.load <runtime>))
  (if (i32.eqz (local.get $runtime)) (then (return)))
  (local.set $head (i32.add (local.get $runtime) (i32.const {_LIST})))
  (local.set $link (call $next (local.get $head)))
  (block $end (loop $more
    (br_if $end (i32.eq (local.get $link) (local.get $head)))
    (local.set $next (call $next (local.get $link)))
    (call $must (i32.ne (i32.load (local.get $next)) (local.get $link)))
    (local.set $at (i32.sub (local.get $link) (i32.const {_LINK})))
    (if (i32.eqz (call $is_one_object's (local.get $at))) (then
      (call $mark_inside (local.get $at))
      (call $mark (local.get $at))
      (call $link (i32.load (local.get $link)) (local.get $next))
      (call $link (local.get $link) (local.get $link))))
    (local.set $link (local.get $next))
    (br $more)))
  (call $mark_atoms (local.get $runtime))
  (call $must (i32.ne
    (i32.load (i32.wrap_i64 (i64.load (i32.load <step>))))
    (i32.const {IMMORTAL}))))"""
"""A link that is forgotten is a ring of its own: what takes it out of a list does no harm.

A shape that is not hashed is that of one object alone, and QuickJS insists on its count of 1 when it changes it."""
