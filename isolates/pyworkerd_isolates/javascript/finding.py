"""What QuickJS keeps to itself, found in its memory: a part of the text that `glue` is.

That is the queue of jobs, its own record, and where a function is put that hears of rejections. Whatever is not found
is done without.
"""

from __future__ import annotations

from typing import Final

QUEUE: Final = """\
(func $next (param i32) (result i32) (i32.load offset=4 (local.get 0)))
(func $link (param $one i32) (param $other i32)
  (i32.store offset=4 (local.get $one) (local.get $other))
  (i32.store (local.get $other) (local.get $one)))
(func $points (param $at i32) (result i32)
  (i32.and
    (i32.eqz (i32.and (local.get $at) (i32.const 3)))
    (i32.lt_u (local.get $at) (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 8)))))
(func $is_ring (param $at i32) (param $other i32) (result i32)
  (if (i32.ne (i32.load (local.get $at)) (call $next (local.get $at))) (then (return (i32.const 0))))
  (if (i32.eqz (call $points (local.get $other))) (then (return (i32.const 0))))
  (i32.and
    (i32.eq (i32.load (local.get $other)) (local.get $at))
    (i32.eq (call $next (local.get $other)) (local.get $at))))
(func $find_queue
  (local $at i32) (local $found i32) (local $count i32) (local $place i32) (local $left i32)
  (local.set $found (call $qjs_alloc <block>))
  (call $must (i32.eqz (local.get $found)))
  (local.set $at (i32.const 8))
  (loop $more
    (if (i32.ne (call $next (local.get $at)) (local.get $at)) (then
      (if (call $is_ring (local.get $at) (call $next (local.get $at))) (then
        (call $must (i32.ge_u (local.get $count) (i32.div_u <block> (i32.const 4))))
        (i32.store (i32.add (local.get $found) (i32.mul (local.get $count) (i32.const 4))) (local.get $at))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))))))
    (local.set $at (i32.add (local.get $at) (i32.const 4)))
    (br_if $more (call $points (local.get $at))))
  (drop (call $execute_pending_jobs))
  (block $end (loop $more
    (br_if $end (i32.eq (local.get $place) (local.get $count)))
    (local.set $at (i32.load (i32.add (local.get $found) (i32.mul (local.get $place) (i32.const 4)))))
    (if (call $is_ring (local.get $at) (local.get $at)) (then
      (i32.store <queue> (local.get $at))
      (local.set $left (i32.add (local.get $left) (i32.const 1)))))
    (local.set $place (i32.add (local.get $place) (i32.const 1)))
    (br $more)))
  (call $qjs_free (local.get $found) <block>)
  (if (i32.ne (local.get $left) (i32.const 1)) (then (i32.store <queue> (i32.const 0)))))"""
"""The queue is a ring of links (`struct list_head`: what is before, what is next) whose head lies in the runtime. The
boot script leaves one job in it. So the head is the only place in memory that is a ring with one other place before
that job has run, and a ring with itself afterwards."""
REJECTIONS: Final = f"""\
(elem <slot> func $on_rejection)
(func $minted (param $value i64) (result i32)
  (local $blank i32) (local $nothing i64) (local $made i32)
  (local.set $blank (call $new_undefined))
  (call $must (i32.eqz (local.get $blank)))
  (local.set $nothing (i64.load (local.get $blank)))
  (i64.store (local.get $blank) (local.get $value))
  (local.set $made (call $dup_handle (local.get $blank)))
  (i64.store (local.get $blank) (local.get $nothing))
  (call $free_value (local.get $blank))
  (call $must (i32.eqz (local.get $made)))
  (local.get $made))
(func $on_rejection
  (param $context i32) (param $promise i64) (param $reason i64) (param $is_handled i32) (param $opaque i32)
  (local $first i32) (local $second i32)
  (if (i32.ne (i32.load <hears>) (i32.const 1)) (then
    (i32.store <hears> (i32.const 1))
    (i32.store <runtime> (i32.load offset=16 (local.get $context)))
    (return)))
  (local.set $first (call $minted (local.get $promise)))
  (local.set $second (call $minted (local.get $reason)))
  (i32.store <rejection> (local.get $first))
  (i32.store <rejection1> (local.get $second))
  (if (i32.eqz (call $call_function (i32.load <rejected>) (i32.load <undefined>)
      <rejection> (i32.sub (i32.const 2) (local.get $is_handled)) <ignored>))
    (then (call $free_value (i32.load <ignored>))))
  (call $free_value (local.get $first))
  (call $free_value (local.get $second)))
(func $first_word (param $number f64) (result i64)
  (local $handle i32) (local $word i64)
  (local.set $handle (call $number (local.get $number)))
  (local.set $word (i64.load (local.get $handle)))
  (call $free_value (local.get $handle))
  (local.get $word))
(func $hear_rejections
  (local $tracker i32)
  (if (i32.eqz (i32.load <queue>)) (then (return)))
  (local.set $tracker (i32.sub (i32.load <queue>) (i32.const 8)))
  (if (i64.ne (i64.load (local.get $tracker)) (i64.const 0)) (then (return)))
  (if (i64.ne
      (i64.sub (call $first_word (f64.const 0.5)) (call $first_word (f64.const 0.25)))
      (i64.sub (i64.reinterpret_f64 (f64.const 0.5)) (i64.reinterpret_f64 (f64.const 0.25))))
    (then (return)))
  (i32.store (local.get $tracker) <slot>)
  (i64.store <inner_arguments> (i64.const {int.from_bytes(b"Promise.", "little")}))
  (i64.store offset=8 <inner_arguments> (i64.const {int.from_bytes(b"reject()", "little")}))
  (call $must (call $eval_code <inner_arguments> (i32.const 16) <inner>))
  (call $free_value (i32.load <inner>))
  (if (i32.eqz (i32.load <hears>)) (then (i32.store (local.get $tracker) (i32.const 0)))))"""
"""QuickJS calls a function that it was given (`JSHostPromiseRejectionTracker`) when a promise is rejected that nobody
has handled, and when somebody does so later. Its address lies in the runtime before the queue of jobs; a rejection
tells whether it does. The values that it is given become handles by way of one for another value, whose first word that
value is; two numbers tell whether it is."""
