"""How the frame of a step becomes calls of guest functions, and what those give out a frame again: a part of the text
that `glue` is.

Most steps are for requests without a body to the default entrypoint. Such an event is taken apart here (`$requests`),
and the guest is given its number, its method, its URL and its header fields, which stay a text of JSON until somebody
asks for them. `init`, which comes before the first of them, goes to the guest as a text where it has no blobs. What is
written in another way, be it with one backslash, the guest parses itself (`system/json`).

The guest answers a step with a list (`outbox.take`): when it wants to run again, its effects, its blobs, how many of
the first and of the second there are. A blob is bytes, or a text that is written as UTF-8. The header is written before
their lengths are known, so these have a place of ten digits each.
"""

from __future__ import annotations

from typing import Final


def _word(text: str) -> str:
    return f"(i64.const {int.from_bytes(text.encode(), 'little')})"


def _half(text: str) -> str:
    return f"(i32.const {int.from_bytes(text.encode(), 'little')})"


_STRING: Final = -7, -6
"""`JS_TAG_STRING`, `JS_TAG_STRING_ROPE`."""
_PLACE: Final = 11
"""Bytes that the length of a blob takes: ten digits, behind a comma or a space."""
_FIRST_PLACE: Final = 6
"""Where the first of them is: behind the header's length, and two brackets."""
COLLECTING: Final = f"""\
(func $member (param $list i32) (param $place i32) (result i32)
  (call $must (call $get_index (local.get $list) (local.get $place) <out>))
  (i32.load <out>))
(func $count_at (param $list i32) (param $place i32) (result i32)
  (local $item i32) (local $value i64)
  (local.set $item (call $member (local.get $list) (local.get $place)))
  (local.set $value (i64.load (local.get $item)))
  (call $free_value (local.get $item))
  (call $must (i64.ne (i64.shr_u (local.get $value) (i64.const 32)) (i64.const 0)))
  (i32.wrap_i64 (local.get $value)))
(func $append_member (param $list i32) (param $place i32)
  (local $item i32) (local $tag i64)
  (local.set $item (call $member (local.get $list) (local.get $place)))
  (local.set $tag (i64.shr_s (i64.load (local.get $item)) (i64.const 32)))
  (if (i32.or
      (i64.eq (local.get $tag) (i64.const {_STRING[0]}))
      (i64.eq (local.get $tag) (i64.const {_STRING[1]})))
    (then (call $must (call $get_string (local.get $item))))
    (else (call $must (call $get_typed_array_buffer (local.get $item) <out> <out1> <out2>))))
  (call $free_value (local.get $item))
  (call $append_last))
(func $append_word (param $text i32) (param $size i32)
  (i32.store <inner_arguments> (local.get $text))
  (call $append <inner_arguments> (local.get $size)))
(func $append_place (param $first i32)
  (i64.store <inner_arguments> (i64.const 0x2020202020202020))
  (i64.store offset=8 <inner_arguments> (i64.const 0x2020202020202020))
  (i32.store8 <inner_arguments> (local.get $first))
  (call $append <inner_arguments> (i32.const {_PLACE})))
(func $fill_place (param $place i32) (param $number i32)
  (local $at i32)
  (local.set $at (i32.add (i32.load <answer>)
    (i32.add (i32.const {_FIRST_PLACE}) (i32.mul (local.get $place) (i32.const {_PLACE})))))
  (local.set $at (i32.add (local.get $at) (i32.const {_PLACE})))
  (loop $more
    (local.set $at (i32.sub (local.get $at) (i32.const 1)))
    (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10))))
    (local.set $number (i32.div_u (local.get $number) (i32.const 10)))
    (br_if $more (local.get $number))))
(func $collect (param $given i32)
  (local $list i32) (local $count i32) (local $place i32) (local $before i32)
  (call $forget)
  (call $append <out> (i32.const 4))
  (call $append_word {_half("[[")} (i32.const 2))
  (local.set $count (call $count_at (local.get $given) (i32.const 4)))
  (block $end (loop $more
    (br_if $end (i32.eq (local.get $place) (local.get $count)))
    (call $append_place (select (i32.const 44) (i32.const 32) (local.get $place)))
    (local.set $place (i32.add (local.get $place) (i32.const 1)))
    (br $more)))
  (call $append_word {_half("],[")} (i32.const 3))
  (call $append_member (local.get $given) (i32.const 0))
  (call $append_word {_half(",[")} (i32.const 2))
  (local.set $list (call $member (local.get $given) (i32.const 1)))
  (local.set $count (call $count_at (local.get $given) (i32.const 3)))
  (local.set $place (i32.const 0))
  (block $end (loop $more
    (br_if $end (i32.eq (local.get $place) (local.get $count)))
    (if (local.get $place) (then (call $append_word (i32.const 44) (i32.const 1))))
    (call $append_member (local.get $list) (local.get $place))
    (local.set $place (i32.add (local.get $place) (i32.const 1)))
    (br $more)))
  (call $free_value (local.get $list))
  (call $append_word {_half("]]]")} (i32.const 3))
  (i32.store (i32.load <answer>) (i32.sub (i32.load <used>) (i32.const 4)))
  (local.set $count (call $count_at (local.get $given) (i32.const 4)))
  (if (i32.eqz (local.get $count)) (then (return)))
  (local.set $list (call $member (local.get $given) (i32.const 2)))
  (local.set $place (i32.const 0))
  (block $end (loop $more
    (br_if $end (i32.eq (local.get $place) (local.get $count)))
    (local.set $before (i32.load <used>))
    (call $append_member (local.get $list) (local.get $place))
    (call $fill_place (local.get $place) (i32.sub (i32.load <used>) (local.get $before)))
    (local.set $place (i32.add (local.get $place) (i32.const 1)))
    (br $more)))
  (call $free_value (local.get $list)))"""
TAKING_APART: Final = f"""\
(func $has (param $eight i64) (param $wanted i64) (result i64)
  (local $odd i64)
  (local.set $odd (i64.xor (local.get $eight) (local.get $wanted)))
  (i64.and
    (i64.and
      (i64.sub (local.get $odd) (i64.const 0x0101010101010101))
      (i64.xor (local.get $odd) (i64.const -1)))
    (i64.const 0x8080808080808080)))
(func $text_end (param $at i32) (param $end i32) (result i32)
  (local $char i32) (local $eight i64)
  (block $near (loop $more
    (br_if $near (i32.lt_u (i32.sub (local.get $end) (local.get $at)) (i32.const 8)))
    (local.set $eight (i64.load align=1 (local.get $at)))
    (br_if $near (i64.ne (i64.const 0) (i64.or
      (call $has (local.get $eight) (i64.const 0x2222222222222222))
      (call $has (local.get $eight) (i64.const 0x5c5c5c5c5c5c5c5c)))))
    (local.set $at (i32.add (local.get $at) (i32.const 8)))
    (br $more)))
  (block $none (loop $more
    (br_if $none (i32.ge_u (local.get $at) (local.get $end)))
    (local.set $char (i32.load8_u (local.get $at)))
    (if (i32.eq (local.get $char) (i32.const 0x22)) (then (return (local.get $at))))
    (br_if $none (i32.eq (local.get $char) (i32.const 0x5c)))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (br $more)))
  (i32.const 0))
(func $list_end (param $at i32) (param $end i32) (result i32)
  (local $char i32) (local $depth i32)
  (block $none (loop $more
    (br_if $none (i32.ge_u (local.get $at) (local.get $end)))
    (local.set $char (i32.load8_u (local.get $at)))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (if (i32.eq (local.get $char) (i32.const 0x22)) (then
      (local.set $at (call $text_end (local.get $at) (local.get $end)))
      (br_if $none (i32.eqz (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $more)))
    (if (i32.eq (local.get $char) (i32.const 0x5b)) (then
      (local.set $depth (i32.add (local.get $depth) (i32.const 1)))
      (br $more)))
    (if (i32.eq (local.get $char) (i32.const 0x5d)) (then
      (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
      (if (i32.eqz (local.get $depth)) (then (return (local.get $at))))))
    (br $more)))
  (i32.const 0))
(func $requests (param $at i32) (param $end i32) (param $begin i32) (result i32)
  (local $number i64) (local $digit i32) (local $method i32) (local $method_end i32)
  (local $url i32) (local $url_end i32) (local $fields i32)
  (if (i32.lt_u (i32.sub (local.get $end) (local.get $at)) (i32.const 40)) (then (return (i32.const 0))))
  (if (i32.ne (i32.load (local.get $at)) {_half("[[],")}) (then (return (i32.const 0))))
  (local.set $at (i32.add (local.get $at) (i32.const 4)))
  (block $no (loop $more
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (br_if $no (i32.lt_u (i32.sub (local.get $end) (local.get $at)) (i32.const 35)))
    (if (i64.eq (i64.load align=1 (local.get $at)) {_word('["init",')}) (then
      (local.set $fields (local.get $at))
      (local.set $at (call $list_end (local.get $fields) (local.get $end)))
      (br_if $no (i32.eqz (local.get $at)))
      (if (local.get $begin) (then
        (call $tell (i32.load <init>) (i32.const 1)
          (call $new_string (local.get $fields) (i32.sub (local.get $at) (local.get $fields)))
          (i32.const 0) (i32.const 0) (i32.const 0))))
      (br_if $more (i32.eq (i32.load8_u (local.get $at)) (i32.const 44)))
      (return (i32.const 0))))
    (br_if $no (i64.ne (i64.load align=1 (local.get $at)) {_word('["fetch"')}))
    (br_if $no (i32.ne (i32.load8_u offset=8 (local.get $at)) (i32.const 44)))
    (local.set $at (i32.add (local.get $at) (i32.const 9)))
    (local.set $number (i64.const 0))
    (block $whole (loop $digits
      (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
      (br_if $whole (i32.gt_u (local.get $digit) (i32.const 9)))
      (local.set $number (i64.add
        (i64.mul (local.get $number) (i64.const 10)) (i64.extend_i32_u (local.get $digit))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $digits (i32.lt_u (local.get $at) (local.get $end)))))
    (br_if $no (i64.gt_u (local.get $number) (i64.const 0x1fffffffffffff)))
    (br_if $no (i32.lt_u (i32.sub (local.get $end) (local.get $at)) (i32.const 20)))
    (br_if $no (i64.ne (i64.load (local.get $at)) {_word(",null,{}")}))
    (br_if $no (i32.ne (i32.load16_u offset=8 (local.get $at)) {_half(',"')}))
    (local.set $method (i32.add (local.get $at) (i32.const 10)))
    (local.set $method_end (call $text_end (local.get $method) (local.get $end)))
    (br_if $no (i32.eqz (local.get $method_end)))
    (br_if $no (i32.ne (i32.load16_u offset=1 (local.get $method_end)) {_half(',"')}))
    (local.set $url (i32.add (local.get $method_end) (i32.const 3)))
    (local.set $url_end (call $text_end (local.get $url) (local.get $end)))
    (br_if $no (i32.eqz (local.get $url_end)))
    (br_if $no (i32.ne (i32.load16_u offset=1 (local.get $url_end)) {_half(",[")}))
    (local.set $fields (i32.add (local.get $url_end) (i32.const 2)))
    (local.set $at (call $list_end (local.get $fields) (local.get $end)))
    (br_if $no (i32.eqz (local.get $at)))
    (br_if $no (i32.lt_u (i32.sub (local.get $end) (local.get $at)) (i32.const 8)))
    (br_if $no (i32.ne (i32.load (local.get $at)) {_half(",nul")}))
    (br_if $no (i32.ne (i32.load16_u offset=4 (local.get $at)) {_half("l]")}))
    (if (local.get $begin) (then
      (call $tell (i32.load <fetch>) (i32.const 4)
        (call $number (f64.convert_i64_u (local.get $number)))
        (call $new_string (local.get $method) (i32.sub (local.get $method_end) (local.get $method)))
        (call $new_string (local.get $url) (i32.sub (local.get $url_end) (local.get $url)))
        (call $new_string (local.get $fields) (i32.sub (local.get $at) (local.get $fields))))))
    (local.set $at (i32.add (local.get $at) (i32.const 6)))
    (br_if $more (i32.eq (i32.load8_u (local.get $at)) (i32.const 44)))
    (return (i32.and
      (i32.eq (i32.load16_u (local.get $at)) {_half("]]")})
      (i32.eq (i32.sub (local.get $end) (local.get $at)) (i32.const 2))))))
  (i32.const 0))
(func $tell (param $function i32) (param $count i32)
  (param $first i32) (param $second i32) (param $third i32) (param $fourth i32)
  (i32.store <four> (local.get $first))
  (i32.store offset=4 <four> (local.get $second))
  (i32.store offset=8 <four> (local.get $third))
  (i32.store offset=12 <four> (local.get $fourth))
  (call $must (call $call_function
    (local.get $function) (i32.load <undefined>) <four> (local.get $count) <out>))
  (call $free_value (i32.load <out>))
  (call $free_value (local.get $first))
  (if (local.get $second) (then (call $free_value (local.get $second))))
  (if (local.get $third) (then (call $free_value (local.get $third))))
  (if (local.get $fourth) (then (call $free_value (local.get $fourth)))))"""
"""`$requests` is asked twice: whether all of a header are such requests, and to begin them. It reads no further than
the header and the two bytes behind it, which are there. `$has` finds one byte among eight; `$wanted` is that byte,
eight times."""
ENTERING: Final = """\
(func $step (param $pointer i32) (param $size i32) (result i32)
  (local $text i32) (local $end i32) (local $made i32)
  (call $must (i32.lt_u (local.get $size) (i32.const 4)))
  (local.set $text (i32.add (local.get $pointer) (i32.const 4)))
  (local.set $end (i32.add (local.get $pointer) (local.get $size)))
  (if (i32.eq (i32.load align=1 (local.get $pointer)) (i32.sub (local.get $size) (i32.const 4))) (then
    (if (call $requests (local.get $text) (local.get $end) (i32.const 0)) (then
      (drop (call $requests (local.get $text) (local.get $end) (i32.const 1)))
      (call $qjs_free (local.get $pointer) (local.get $size))
      (call $must (call $call_function
        (i32.load <finish>) (i32.load <undefined>) <four> (i32.const 0) <out>))
      (local.set $made (i32.load <out>))
      (call $collect (local.get $made))
      (call $free_value (local.get $made))
      (return <answer>)))))
  (local.set $made (call $enter (i32.load <step>) (local.get $pointer) (local.get $size)))
  (call $collect (local.get $made))
  (call $free_value (local.get $made))
  <answer>)
(func $load (param $pointer i32) (param $size i32) (result i32)
  (local $made i32)
  (local.set $made (call $enter (i32.load <load>) (local.get $pointer) (local.get $size)))
  (call $forget)
  (call $append <out> (i32.const 4))
  (call $must (call $get_string (local.get $made)))
  (call $append_last)
  (call $free_value (local.get $made))
  (i32.store (i32.load <answer>) (i32.sub (i32.load <used>) (i32.const 4)))
  <answer>)
(func $enter (param $function i32) (param $pointer i32) (param $size i32) (result i32)
  (local $length i32) (local $header i32) (local $rest i32)
  (call $must (i32.lt_u (local.get $size) (i32.const 4)))
  (local.set $length (i32.load align=1 (local.get $pointer)))
  (call $must (i32.gt_u (local.get $length) (i32.sub (local.get $size) (i32.const 4))))
  (local.set $header (call $new_string (i32.add (local.get $pointer) (i32.const 4)) (local.get $length)))
  (call $must (call $new_uint8array
    (i32.add (i32.add (local.get $pointer) (i32.const 4)) (local.get $length))
    (i32.sub (i32.sub (local.get $size) (i32.const 4)) (local.get $length))
    <out>))
  (local.set $rest (i32.load <out>))
  (call $qjs_free (local.get $pointer) (local.get $size))
  (i32.store <arguments> (local.get $header))
  (i32.store <argument1> (local.get $rest))
  (call $must
    (call $call_function (local.get $function) (i32.load <undefined>) <arguments> (i32.const 2) <out>))
  (local.set $length (i32.load <out>))
  (call $free_value (local.get $header))
  (call $free_value (local.get $rest))
  (local.get $length))
(func $plain_text (param $arguments i32) (result i32)
  (local $at i32) (local $end i32) (local $made i32)
  (if (call $get_typed_array_buffer (i32.load (local.get $arguments)) <inner> <inner1> <inner2>)
    (then (return (i32.const -1))))
  (local.set $at (call $qjs_last_ptr))
  (local.set $end (i32.add (local.get $at) (call $qjs_last_len)))
  (block $no
    (br_if $no (i32.or
      (i32.lt_u (call $qjs_last_len) (i32.const 8))
      (i32.gt_u (call $qjs_last_len) <most_plain>)))
    (br_if $no (i32.ne (i32.load align=1 (local.get $at)) (i32.sub (call $qjs_last_len) (i32.const 4))))
    (br_if $no (i32.ne (i32.load offset=4 align=1 (local.get $at)) (i32.const EMPTY)))
    (loop $more
      (local.set $end (i32.sub (local.get $end) (i32.const 1)))
      (br_if $no (i32.eq (i32.load8_u (local.get $end)) (i32.const 36)))
      (br_if $more (i32.gt_u (local.get $end) (local.get $at))))
    (local.set $made (call $new_string
      (i32.add (local.get $at) (i32.const 4)) (i32.sub (call $qjs_last_len) (i32.const 4))))
    (call $qjs_result_free)
    (return (local.get $made)))
  (call $qjs_result_free)
  (call $new_undefined))""".replace("EMPTY", str(int.from_bytes(b"[[],", "little")))
"""A frame that is a value (`plain_text`) has a tag only where it has a `$`, whatever else that may mean there."""
MOST_PLAIN: Final = 4096
"""Bytes of such a frame: JSON that is no longer is not deep either."""
