"""Effects that are many, and simple values, written by the engine: a part of the text that `glue` is.

The guest gives such an effect out as a number (`system/outbox`): eight times its invocation's, and which it is. What
belongs to it, a value or the text of a body, is in another list, in the same order; its bytes come behind all other
blobs. A simple value is given as it is, another one that has no blobs as a list of one text, which is JSON; either
becomes a frame here, as `wire.py` writes them. What has been written already is bytes.
"""

from __future__ import annotations

from typing import Final

from .marking import ARRAY, CLASS, VALUE_COUNT, VALUES

RESULT, RETURN, DONE, RESPOND, REPLIED = range(5)
"""Which effect it is: the three low bits."""
PAGE: Final = b'200,[["content-type","text/plain;charset=UTF-8"]]'
"""The head of a response with a text."""
_INT, _BOOL, _NULL, _UNDEFINED, _STRING, _ROPE, _OBJECT = 0, 1, 2, 3, -7, -6, -1
"""`JS_TAG_INT` and so on: the upper half of a value. Of other numbers it says nothing."""
_WORD: Final = 8
_ESCAPE: Final = int.from_bytes(rb"\u0000", "little")


def append(text: str) -> str:
    """Append this text, eight bytes at a time."""
    data = text.encode("ascii")
    parts = [data[at : at + _WORD] for at in range(0, len(data), _WORD)]
    return "\n".join(
        f"  (call $append_eight (i64.const {int.from_bytes(part, 'little')}) (i32.const {len(part)}))"
        for part in parts
    )


TEXT: Final = f"""\
(func $append_eight (param $text i64) (param $size i32)
  (i64.store <inner_arguments> (local.get $text))
  (call $append <inner_arguments> (local.get $size)))
(func $append_number (param $number i64)
  (local $at i32)
  (local.set $at (i32.const {2 * _WORD}))
  (loop $more
    (local.set $at (i32.sub (local.get $at) (i32.const 1)))
    (i32.store8 (i32.add <inner_arguments> (local.get $at))
      (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $number) (i64.const 10)))))
    (local.set $number (i64.div_u (local.get $number) (i64.const 10)))
    (br_if $more (i64.ne (local.get $number) (i64.const 0))))
  (call $append
    (i32.add <inner_arguments> (local.get $at)) (i32.sub (i32.const {2 * _WORD}) (local.get $at))))
(func $value_of (param $list i32) (param $place i32) (result i64)
  (local $at i32) (local $value i64)
  (local.set $at (i32.wrap_i64 (i64.load (local.get $list))))
  (if (i32.and
      (i32.eq (i32.load16_u offset={CLASS} (local.get $at)) (i32.const {ARRAY}))
      (i32.lt_u (local.get $place) (i32.load offset={VALUE_COUNT} (local.get $at))))
    (then (return (i64.load
      (i32.add (i32.load offset={VALUES} (local.get $at)) (i32.shl (local.get $place) (i32.const 3)))))))
  (local.set $at (call $member (local.get $list) (local.get $place)))
  (local.set $value (i64.load (local.get $at)))
  (call $free_value (local.get $at))
  (local.get $value))
(func $is_text (param $value i64) (result i32)
  (local $tag i64)
  (local.set $tag (i64.shr_s (local.get $value) (i64.const 32)))
  (i32.or
    (i64.eq (local.get $tag) (i64.const {_STRING})) (i64.eq (local.get $tag) (i64.const {_ROPE}))))
(func $short_of (param $list i32) (param $place i32) (result i64)
  (local $value i64) (local $item i32)
  (local.set $value (call $value_of (local.get $list) (local.get $place)))
  (if (i64.eqz (i64.shr_u (local.get $value) (i64.const 32))) (then (return (local.get $value))))
  (if (call $is_text (local.get $value)) (then (return (i64.const -1))))
  (local.set $item (call $member (local.get $list) (local.get $place)))
  (call $must (call $get_number (local.get $item) <out>))
  (call $free_value (local.get $item))
  (i64.trunc_sat_f64_s (f64.load <out>)))
(func $is_answer (param $short i64) (result i32)
  (i32.and
    (i64.ge_s (local.get $short) (i64.const 0))
    (i64.ne (i64.and (local.get $short) (i64.const 7)) (i64.const {DONE}))))
(func $is_page (param $short i64) (result i32)
  (i32.or
    (i64.eq (i64.and (local.get $short) (i64.const 7)) (i64.const {RESPOND}))
    (i64.eq (i64.and (local.get $short) (i64.const 7)) (i64.const {REPLIED}))))
(func $append_short (param $short i64) (param $blob i32)
  (local $kind i32) (local $number i64)
  (local.set $kind (i32.and (i32.wrap_i64 (local.get $short)) (i32.const 7)))
  (local.set $number (i64.shr_u (local.get $short) (i64.const 3)))
  (block $told
    (if (i32.eq (local.get $kind) (i32.const {DONE})) (then
{append('["done",')}
      (call $append_number (local.get $number))
      (br $told)))
    (if (call $is_page (local.get $short)) (then
      (if (i32.eq (local.get $kind) (i32.const {RESPOND}))
        (then
{append('["respond",')})
        (else
{append('["replied",')}))
      (call $append_number (local.get $number))
{append(f',{PAGE.decode()},["b",')}
      (call $append_number (i64.extend_i32_u (local.get $blob)))
{append("]")}
      (br $told)))
    (if (i32.eq (local.get $kind) (i32.const {RESULT}))
      (then
{append('["result",')})
      (else
{append('["return",')}))
    (call $append_number (local.get $number))
{append(",")}
    (call $append_number (i64.extend_i32_u (local.get $blob))))
{append("]")})
(func $append_value (param $list i32) (param $place i32)
  (local $value i64) (local $before i32) (local $is_object i32)
  (local.set $value (call $value_of (local.get $list) (local.get $place)))
  (local.set $is_object
    (i64.eq (i64.shr_s (local.get $value) (i64.const 32)) (i64.const {_OBJECT})))
  (if (local.get $is_object) (then
    (if (i32.ne (i32.load16_u offset={CLASS} (i32.wrap_i64 (local.get $value))) (i32.const {ARRAY})) (then
      (call $append_member (local.get $list) (local.get $place))
      (return)))))
  (local.set $before (i32.load <used>))
  (call $append_eight (i64.const {int.from_bytes(b"[[],", "little") << 32}) (i32.const {_WORD}))
  (if (local.get $is_object)
    (then (call $append_first (local.get $list) (local.get $place)))
    (else
      (if (call $is_text (local.get $value))
        (then (call $append_quoted (local.get $list) (local.get $place)))
        (else (call $append_plain (local.get $list) (local.get $place) (local.get $value))))))
{append("]")}
  (i32.store
    (i32.add (i32.load <answer>) (local.get $before))
    (i32.sub (i32.sub (i32.load <used>) (local.get $before)) (i32.const 4))))
(func $append_first (param $list i32) (param $place i32)
  (local $item i32)
  (local.set $item (call $member (local.get $list) (local.get $place)))
  (call $append_member (local.get $item) (i32.const 0))
  (call $free_value (local.get $item)))
(func $append_plain (param $list i32) (param $place i32) (param $value i64)
  (local $tag i64)
  (local.set $tag (i64.shr_s (local.get $value) (i64.const 32)))
  (if (i64.eq (local.get $tag) (i64.const {_INT})) (then
    (call $append_whole (i64.extend_i32_s (i32.wrap_i64 (local.get $value))))
    (return)))
  (if (i64.eq (local.get $tag) (i64.const {_BOOL})) (then
    (if (i32.wrap_i64 (local.get $value))
      (then
{append("true")})
      (else
{append("false")}))
    (return)))
  (if (i32.or (i64.eq (local.get $tag) (i64.const {_NULL})) (i64.eq (local.get $tag) (i64.const {_UNDEFINED}))) (then
{append("null")}
    (return)))
  (call $append_double (local.get $list) (local.get $place)))
(func $append_whole (param $number i64)
  (if (i64.lt_s (local.get $number) (i64.const 0)) (then
    (local.set $number (i64.sub (i64.const 0) (local.get $number)))
{append("-")}))
  (call $append_number (local.get $number)))
(func $append_double (param $list i32) (param $place i32)
  (local $item i32)
  (local.set $item (call $member (local.get $list) (local.get $place)))
  (call $must (call $get_number (local.get $item) <out>))
  (call $free_value (local.get $item))
  (call $append_whole (i64.trunc_sat_f64_s (f64.load <out>))))
(func $append_quoted (param $list i32) (param $place i32)
  (local $item i32) (local $at i32) (local $end i32) (local $from i32) (local $char i32)
  (local.set $item (call $member (local.get $list) (local.get $place)))
  (call $must (call $get_string (local.get $item)))
  (call $free_value (local.get $item))
  (local.set $at (call $qjs_last_ptr))
  (local.set $end (i32.add (local.get $at) (call $qjs_last_len)))
  (local.set $from (local.get $at))
{append('"')}
  (block $all (loop $more
    (br_if $all (i32.eq (local.get $at) (local.get $end)))
    (local.set $char (i32.load8_u (local.get $at)))
    (if (i32.or
        (i32.lt_u (local.get $char) (i32.const 32))
        (i32.or (i32.eq (local.get $char) (i32.const 34)) (i32.eq (local.get $char) (i32.const 92))))
      (then
        (call $append (local.get $from) (i32.sub (local.get $at) (local.get $from)))
        (call $append_escaped (local.get $char))
        (local.set $from (i32.add (local.get $at) (i32.const 1)))))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (br $more)))
  (call $append (local.get $from) (i32.sub (local.get $end) (local.get $from)))
  (call $qjs_result_free)
{append('"')})
(func $append_escaped (param $char i32)
  (if (i32.gt_u (local.get $char) (i32.const 32)) (then
    (call $append_eight
      (i64.extend_i32_u (i32.add (i32.const 92) (i32.shl (local.get $char) (i32.const 8)))) (i32.const 2))
    (return)))
  (call $append_eight
    (i64.add (i64.const {_ESCAPE})
      (i64.add
        (i64.shl (i64.extend_i32_u (i32.shr_u (local.get $char) (i32.const 4))) (i64.const 32))
        (i64.shl (i64.extend_i32_u (call $digit_of (local.get $char))) (i64.const 40))))
    (i32.const 6)))
(func $digit_of (param $char i32) (result i32)
  (local.set $char (i32.and (local.get $char) (i32.const 15)))
  (select (i32.add (local.get $char) (i32.const {ord("a") - 10 - ord("0")})) (local.get $char)
    (i32.gt_u (local.get $char) (i32.const 9))))"""
"""`$value_of` reads a list without a reference of its own: lists of the guest's are arrays of QuickJS's fast kind. What
may not stand in JSON as it is (a quote, a backslash, what is below a space) is escaped."""
