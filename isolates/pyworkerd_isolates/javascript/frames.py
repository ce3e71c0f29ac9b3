"""How the frame of a step becomes calls of guest functions, and what those give out a frame again: a part of the text
that `glue` is.

Most steps are for requests without a body to the default entrypoint, and for calls of methods with simple arguments.
Such an event is taken apart here (`$begin_all`). Of a request the guest is given its number, its method, its URL and
its header fields, which stay a text of JSON until somebody asks for them; of a call its number, the method's name and
its positional arguments as a list. What they have made ready runs then, without the guest being asked. `init`, which
comes before the first of them, goes to the guest as a text where it has no blobs. What is written in another way, be it
with one backslash, the guest parses itself (`system/json`), all of the step. One call may come as a short frame
(`pyworkerd_isolates.short`), and what one returned goes out as such, and what all replied (`$is_short`).

The guest answers a step with a list (`outbox.take`): when it wants to run again, its effects, its blobs, what belongs
to effects that are numbers (`short`), and how many there are of each. A blob is bytes, or a text that is written as
UTF-8. The header is written before their lengths are known, so these have a place of ten digits each.
"""

from __future__ import annotations

from typing import Final

from pyworkerd_isolates.short import CALLED, RETURNED
from pyworkerd_isolates.short import REPLIED as REPLIED_FRAME

from .short import PAGE, REPLIED, RESULT, append


def _word(text: str) -> str:
    return f"(i64.const {int.from_bytes(text.encode(), 'little')})"


def _half(text: str) -> str:
    return f"(i32.const {int.from_bytes(text.encode(), 'little')})"


MOST_JOBS: Final = 100_000
"""After which QuickJS comes back in between, and has to be asked to go on."""
_PLACE: Final = 11
"""Bytes that the length of a blob takes: ten digits, behind a comma or a space."""
_FIRST_PLACE: Final = 6
"""Where the first of them is: behind the header's length, and two brackets."""
COLLECTING: Final = f"""\
(func $member (param $list i32) (param $place i32) (result i32)
  (call $must (call $get_index (local.get $list) (local.get $place) <out>))
  (i32.load <out>))
(func $count_at (param $list i32) (param $place i32) (result i32)
  (local $value i64)
  (local.set $value (call $value_of (local.get $list) (local.get $place)))
  (call $must (i64.ne (i64.shr_u (local.get $value) (i64.const 32)) (i64.const 0)))
  (i32.wrap_i64 (local.get $value)))
(func $append_member (param $list i32) (param $place i32)
  (local $item i32)
  (local.set $item (call $member (local.get $list) (local.get $place)))
  (if (call $is_text (i64.load (local.get $item)))
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
  (local $list i32) (local $count i32) (local $place i32) (local $before i32) (local $effects i32) (local $short i64)
  (local $blobs i32) (local $answers i32) (local $answer i32)
  (call $forget)
  (local.set $effects (call $count_at (local.get $given) (i32.const 4)))
  (local.set $blobs (call $count_at (local.get $given) (i32.const 5)))
  (local.set $answers (call $count_at (local.get $given) (i32.const 6)))
  (if (i32.and (i32.ne (local.get $effects) (i32.const 0)) (i32.eq (local.get $effects) (local.get $answers))) (then
    (if (call $is_short (local.get $given) (local.get $blobs) (local.get $effects)) (then (return)))))
  (call $append <out> (i32.const 4))
  (call $append_word {_half("[[")} (i32.const 2))
  (local.set $count (i32.add (local.get $blobs) (local.get $answers)))
  (block $end (loop $more
    (br_if $end (i32.eq (local.get $place) (local.get $count)))
    (call $append_place (select (i32.const 44) (i32.const 32) (local.get $place)))
    (local.set $place (i32.add (local.get $place) (i32.const 1)))
    (br $more)))
  (call $append_word {_half("],[")} (i32.const 3))
  (call $append_due (local.get $given))
  (call $append_word {_half(",[")} (i32.const 2))
  (local.set $list (call $member (local.get $given) (i32.const 1)))
  (local.set $place (i32.const 0))
  (local.set $answer (local.get $blobs))
  (block $end (loop $more
    (br_if $end (i32.eq (local.get $place) (local.get $effects)))
    (if (local.get $place) (then (call $append_word (i32.const 44) (i32.const 1))))
    (local.set $short (call $short_of (local.get $list) (local.get $place)))
    (if (i64.lt_s (local.get $short) (i64.const 0))
      (then (call $append_member (local.get $list) (local.get $place)))
      (else
        (call $append_short (local.get $short) (local.get $answer))
        (local.set $answer (i32.add (local.get $answer) (call $is_answer (local.get $short))))))
    (local.set $place (i32.add (local.get $place) (i32.const 1)))
    (br $more)))
  (call $must (i32.ne (local.get $answer) (local.get $count)))
  (call $append_word {_half("]]]")} (i32.const 3))
  (i32.store (i32.load <answer>) (i32.sub (i32.load <used>) (i32.const 4)))
  (if (local.get $blobs) (then (call $append_blobs (local.get $given) (local.get $blobs))))
  (if (local.get $answers) (then (call $append_answers (local.get $given) (local.get $list) (local.get $blobs))))
  (call $free_value (local.get $list)))
(func $is_short (param $given i32) (param $blobs i32) (param $effects i32) (result i32)
  (local $list i32) (local $short i64)
  (if (i32.or (local.get $blobs) (call $is_text (call $value_of (local.get $given) (i32.const 0))))
    (then (return (i32.const 0))))
  (local.set $list (call $member (local.get $given) (i32.const 1)))
  (local.set $short (call $short_of (local.get $list) (i32.const 0)))
  (if (call $is_kind (local.get $short) (i64.const {REPLIED})) (then
    (return (call $is_replied (local.get $given) (local.get $list) (local.get $effects)))))
  (call $free_value (local.get $list))
  (if (i32.or
      (i32.eqz (call $is_kind (local.get $short) (i64.const {RESULT}))) (i32.ne (local.get $effects) (i32.const 1)))
    (then (return (i32.const 0))))
  (call $append_kind (i64.const {RETURNED}) (local.get $short))
  (local.set $list (call $member (local.get $given) (i32.const 3)))
  (call $append_value (local.get $list) (i32.const 0))
  (call $free_value (local.get $list))
  (i32.const 1))
(func $is_kind (param $short i64) (param $kind i64) (result i32)
  (i32.and
    (i64.eq (i64.and (local.get $short) (i64.const 7)) (local.get $kind))
    (i64.le_u (local.get $short) (i64.const 0x7ffffffff))))
(func $append_kind (param $kind i64) (param $short i64)
  (call $append_eight
    (i64.or (local.get $kind) (i64.shl (i64.shr_u (local.get $short) (i64.const 3)) (i64.const 32)))
    (i32.const 8)))
(func $is_replied (param $given i32) (param $list i32) (param $effects i32) (result i32)
  (local $place i32) (local $are i32) (local $bodies i32) (local $before i32)
  (local.set $are (i32.const 1))
  (loop $more
    (local.set $are (i32.and (local.get $are)
      (call $is_kind (call $short_of (local.get $list) (local.get $place)) (i64.const {REPLIED}))))
    (local.set $place (i32.add (local.get $place) (i32.const 1)))
    (br_if $more (i32.lt_u (local.get $place) (local.get $effects))))
  (if (local.get $are) (then
    (local.set $bodies (call $member (local.get $given) (i32.const 3)))
    (local.set $place (i32.const 0))
    (loop $more
      (call $append_kind (i64.const {REPLIED_FRAME}) (call $short_of (local.get $list) (local.get $place)))
      (call $append_eight (i64.const {len(PAGE)}) (i32.const 8))
{append(PAGE.decode())}
      (local.set $before (i32.load <used>))
      (call $append_member (local.get $bodies) (local.get $place))
      (i32.store align=1
        (i32.sub (i32.add (i32.load <answer>) (local.get $before)) (i32.const {len(PAGE) + 4}))
        (i32.sub (i32.load <used>) (local.get $before)))
      (local.set $place (i32.add (local.get $place) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $place) (local.get $effects))))
    (call $free_value (local.get $bodies))))
  (call $free_value (local.get $list))
  (local.get $are))
(func $append_due (param $given i32)
  (if (call $is_text (call $value_of (local.get $given) (i32.const 0)))
    (then (call $append_member (local.get $given) (i32.const 0)))
    (else (call $append_word {_half("null")} (i32.const 4)))))
(func $append_blobs (param $given i32) (param $count i32)
  (local $list i32) (local $place i32) (local $before i32)
  (local.set $list (call $member (local.get $given) (i32.const 2)))
  (loop $more
    (local.set $before (i32.load <used>))
    (call $append_member (local.get $list) (local.get $place))
    (call $fill_place (local.get $place) (i32.sub (i32.load <used>) (local.get $before)))
    (local.set $place (i32.add (local.get $place) (i32.const 1)))
    (br_if $more (i32.lt_u (local.get $place) (local.get $count))))
  (call $free_value (local.get $list)))
(func $append_answers (param $given i32) (param $effects i32) (param $blob i32)
  (local $list i32) (local $place i32) (local $before i32) (local $left i32) (local $effect i32) (local $short i64)
  (local.set $list (call $member (local.get $given) (i32.const 3)))
  (local.set $left (call $count_at (local.get $given) (i32.const 6)))
  (loop $more
    (local.set $short (call $short_of (local.get $effects) (local.get $effect)))
    (local.set $effect (i32.add (local.get $effect) (i32.const 1)))
    (br_if $more (i32.eqz (call $is_answer (local.get $short))))
    (local.set $before (i32.load <used>))
    (if (call $is_page (local.get $short))
      (then (call $append_member (local.get $list) (local.get $place)))
      (else (call $append_value (local.get $list) (local.get $place))))
    (call $fill_place
      (i32.add (local.get $blob) (local.get $place)) (i32.sub (i32.load <used>) (local.get $before)))
    (local.set $place (i32.add (local.get $place) (i32.const 1)))
    (br_if $more (i32.lt_u (local.get $place) (local.get $left))))
  (call $free_value (local.get $list)))"""
TAKING_APART: Final = f"""\
(global $behind (mut i32) (i32.const 0))
(global $length_at (mut i32) (i32.const 0))
(global $blob (mut i32) (i32.const 0))
(global $blob_at (mut i32) (i32.const 0))
(global $blobs_end (mut i32) (i32.const 0))
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
(func $number_at (param $at i32) (param $end i32) (result i64)
  (local $number i64) (local $digit i32)
  (block $whole (loop $more
    (br_if $whole (i32.ge_u (local.get $at) (local.get $end)))
    (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
    (br_if $whole (i32.gt_u (local.get $digit) (i32.const 9)))
    (local.set $number (i64.add
      (i64.mul (local.get $number) (i64.const 10)) (i64.extend_i32_u (local.get $digit))))
    (if (i64.gt_u (local.get $number) (i64.const 0x1fffffffffffff)) (then
      (global.set $behind (local.get $end))
      (return (i64.const 0))))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (br $more)))
  (global.set $behind (local.get $at))
  (local.get $number))
(func $is_near (param $at i32) (param $end i32) (param $size i32) (result i32)
  (i32.lt_s (i32.sub (local.get $end) (local.get $at)) (local.get $size)))
(func $begin_init (param $at i32) (param $end i32) (param $tells i32) (result i32)
  (local $event i32)
  (local.set $event (local.get $at))
  (local.set $at (call $list_end (local.get $event) (local.get $end)))
  (if (i32.and (local.get $tells) (i32.ne (local.get $at) (i32.const 0))) (then
    (call $tell (i32.load <init>) (i32.const 1)
      (call $new_string (local.get $event) (i32.sub (local.get $at) (local.get $event)))
      (i32.const 0) (i32.const 0) (i32.const 0))))
  (local.get $at))
(func $begin_fetch (param $at i32) (param $end i32) (param $tells i32) (result i32)
  (local $number i64) (local $method i32) (local $method_end i32)
  (local $url i32) (local $url_end i32) (local $fields i32)
  (block $no
    (br_if $no (i32.ne (i32.load8_u offset=8 (local.get $at)) (i32.const 44)))
    (local.set $number (call $number_at (i32.add (local.get $at) (i32.const 9)) (local.get $end)))
    (local.set $at (global.get $behind))
    (br_if $no (call $is_near (local.get $at) (local.get $end) (i32.const 20)))
    (br_if $no (i64.ne (i64.load align=1 (local.get $at)) {_word(",null,{}")}))
    (br_if $no (i32.ne (i32.load16_u offset=8 align=1 (local.get $at)) {_half(',"')}))
    (local.set $method (i32.add (local.get $at) (i32.const 10)))
    (local.set $method_end (call $text_end (local.get $method) (local.get $end)))
    (br_if $no (i32.eqz (local.get $method_end)))
    (br_if $no (i32.ne (i32.load16_u offset=1 align=1 (local.get $method_end)) {_half(',"')}))
    (local.set $url (i32.add (local.get $method_end) (i32.const 3)))
    (local.set $url_end (call $text_end (local.get $url) (local.get $end)))
    (br_if $no (i32.eqz (local.get $url_end)))
    (br_if $no (i32.ne (i32.load16_u offset=1 align=1 (local.get $url_end)) {_half(",[")}))
    (local.set $fields (i32.add (local.get $url_end) (i32.const 2)))
    (local.set $at (call $list_end (local.get $fields) (local.get $end)))
    (br_if $no (i32.eqz (local.get $at)))
    (br_if $no (call $is_near (local.get $at) (local.get $end) (i32.const 8)))
    (br_if $no (i32.ne (i32.load align=1 (local.get $at)) {_half(",nul")}))
    (br_if $no (i32.ne (i32.load16_u offset=4 align=1 (local.get $at)) {_half("l]")}))
    (if (local.get $tells) (then
      (call $tell (i32.load <fetch>) (i32.const 4)
        (call $number (f64.convert_i64_u (local.get $number)))
        (call $new_string (local.get $method) (i32.sub (local.get $method_end) (local.get $method)))
        (call $new_string (local.get $url) (i32.sub (local.get $url_end) (local.get $url)))
        (call $new_string (local.get $fields) (i32.sub (local.get $at) (local.get $fields))))
      (call $run_jobs)))
    (return (i32.add (local.get $at) (i32.const 6))))
  (i32.const 0))
(func $begin_rpc (param $at i32) (param $end i32) (param $tells i32) (result i32)
  (local $number i64) (local $name i32) (local $name_end i32) (local $method i32) (local $method_end i32)
  (local $value i32) (local $size i32)
  (block $no
    (br_if $no (i32.ne (i32.load offset=3 align=1 (local.get $at)) {_half('pc",')}))
    (local.set $number (call $number_at (i32.add (local.get $at) (i32.const 7)) (local.get $end)))
    (local.set $at (global.get $behind))
    (br_if $no (call $is_near (local.get $at) (local.get $end) (i32.const 16)))
    (block $named
      (if (i32.eq (i32.load align=1 (local.get $at)) {_half(",nul")}) (then
        (br_if $no (i32.ne (i32.load8_u offset=4 (local.get $at)) (i32.const 108)))
        (local.set $at (i32.add (local.get $at) (i32.const 5)))
        (br $named)))
      (br_if $no (i32.ne (i32.load16_u align=1 (local.get $at)) {_half(',"')}))
      (local.set $name (i32.add (local.get $at) (i32.const 2)))
      (local.set $name_end (call $text_end (local.get $name) (local.get $end)))
      (br_if $no (i32.eqz (local.get $name_end)))
      (local.set $at (i32.add (local.get $name_end) (i32.const 1))))
    (br_if $no (call $is_near (local.get $at) (local.get $end) (i32.const 11)))
    (block $without
      (if (i32.eq (i32.load align=1 (local.get $at)) {_half(",{},")}) (then
        (local.set $at (i32.add (local.get $at) (i32.const 3)))
        (br $without)))
      (br_if $no (i32.ne (i32.load align=1 (local.get $at)) {_half(",nul")}))
      (local.set $at (i32.add (local.get $at) (i32.const 5))))
    (br_if $no (i32.ne (i32.load16_u align=1 (local.get $at)) {_half(',"')}))
    (local.set $method (i32.add (local.get $at) (i32.const 2)))
    (local.set $method_end (call $text_end (local.get $method) (local.get $end)))
    (br_if $no (i32.eqz (local.get $method_end)))
    (br_if $no (i32.ne (i32.load8_u offset=1 (local.get $method_end)) (i32.const 44)))
    (br_if $no (i64.ne
      (call $number_at (i32.add (local.get $method_end) (i32.const 2)) (local.get $end))
      (i64.extend_i32_u (global.get $blob))))
    (local.set $at (global.get $behind))
    (local.set $value (global.get $blob_at))
    (local.set $size (call $next_blob (local.get $end)))
    (br_if $no (i32.eqz (call $is_plain_call (local.get $value) (local.get $size))))
    (if (local.get $tells) (then
      (call $tell (i32.load <rpc>) (select (i32.const 4) (i32.const 3) (local.get $name))
        (call $number (f64.convert_i64_u (local.get $number)))
        (call $new_string (local.get $method) (i32.sub (local.get $method_end) (local.get $method)))
        (call $positional (local.get $value) (local.get $size))
        (if (result i32) (local.get $name)
          (then (call $new_string (local.get $name) (i32.sub (local.get $name_end) (local.get $name))))
          (else (i32.const 0))))
      (call $run_jobs)))
    (return (i32.add (local.get $at) (i32.const 1))))
  (i32.const 0))
(func $next_blob (param $end i32) (result i32)
  (local $size i32)
  (if (i32.ne (i32.load8_u (global.get $length_at)) (select (i32.const 44) (i32.const 91) (global.get $blob)))
    (then (return (i32.const 0))))
  (local.set $size (i32.wrap_i64 (call $number_at
    (i32.add (global.get $length_at) (i32.const 1)) (local.get $end))))
  (global.set $length_at (global.get $behind))
  (if (i32.gt_u (local.get $size) (i32.sub (global.get $blobs_end) (global.get $blob_at)))
    (then (return (i32.const 0))))
  (global.set $blob (i32.add (global.get $blob) (i32.const 1)))
  (global.set $blob_at (i32.add (global.get $blob_at) (local.get $size)))
  (local.get $size))
(func $is_plain_call (param $at i32) (param $size i32) (result i32)
  (local $end i32) (local $eight i64)
  (if (i32.or (i32.lt_u (local.get $size) (i32.const 16)) (i32.gt_u (local.get $size) <most_plain>))
    (then (return (i32.const 0))))
  (local.set $end (i32.add (local.get $at) (local.get $size)))
  (block $no
    (br_if $no (i32.ne (i32.load align=1 (local.get $at)) (i32.sub (local.get $size) (i32.const 4))))
    (br_if $no (i32.ne (i32.load offset=4 align=1 (local.get $at)) {_half("[[],")}))
    (br_if $no (i32.ne (i32.load16_u offset=8 align=1 (local.get $at)) {_half("[[")}))
    (br_if $no (i32.ne (i32.load align=1 (i32.sub (local.get $end) (i32.const 6))) {_half("],{}")}))
    (br_if $no (i32.ne (i32.load16_u align=1 (i32.sub (local.get $end) (i32.const 2))) {_half("]]")}))
    (local.set $at (i32.add (local.get $at) (i32.const 4)))
    (loop $more
      (local.set $eight (i64.load align=1 (local.get $at)))
      (br_if $no (i64.ne (i64.const 0) (i64.or
        (call $has (local.get $eight) (i64.const 0x2424242424242424))
        (i64.and (local.get $eight) (i64.const 0x8080808080808080)))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $more (i32.le_u (i32.add (local.get $at) (i32.const 8)) (local.get $end))))
    (local.set $eight (i64.load align=1 (i32.sub (local.get $end) (i32.const 8))))
    (return (i64.eqz (i64.or
      (call $has (local.get $eight) (i64.const 0x2424242424242424))
      (i64.and (local.get $eight) (i64.const 0x8080808080808080))))))
  (i32.const 0))
(func $positional (param $at i32) (param $size i32) (result i32)
  (if (call $new_from_json (i32.add (local.get $at) (i32.const 9)) (i32.sub (local.get $size) (i32.const 14)) <out>)
    (then (call $must (call $new_uint8array (local.get $at) (local.get $size) <out>))))
  (i32.load <out>))
(func $begin_called (param $at i32) (param $size i32)
  (local $length i32) (local $value i32)
  (call $must (i32.lt_u (local.get $size) (i32.const 12)))
  (local.set $length (i32.load offset=8 align=1 (local.get $at)))
  (local.set $size (i32.sub (local.get $size) (i32.const 12)))
  (call $must (i32.gt_u (local.get $length) (local.get $size)))
  (local.set $size (i32.sub (local.get $size) (local.get $length)))
  (local.set $value (i32.add (i32.add (local.get $at) (i32.const 12)) (local.get $length)))
  (call $must (i32.eqz (call $is_plain_call (local.get $value) (local.get $size))))
  (call $tell (i32.load <rpc>) (i32.const 3)
    (call $number (f64.convert_i32_u (i32.load offset=4 align=1 (local.get $at))))
    (call $new_string (i32.add (local.get $at) (i32.const 12)) (local.get $length))
    (call $positional (local.get $value) (local.get $size))
    (i32.const 0))
  (call $run_jobs))
(func $begin_all (param $at i32) (param $end i32) (param $blobs_end i32) (param $tells i32) (result i32)
  (if (i32.lt_u (i32.sub (local.get $end) (local.get $at)) (i32.const 31)) (then (return (i32.const 0))))
  (if (i32.ne (i32.load16_u align=1 (local.get $at)) {_half("[[")}) (then (return (i32.const 0))))
  (global.set $length_at (i32.add (local.get $at) (i32.const 1)))
  (global.set $blob (i32.const 0))
  (global.set $blob_at (local.get $end))
  (global.set $blobs_end (local.get $blobs_end))
  (local.set $at (call $list_end (global.get $length_at) (local.get $end)))
  (block $no
    (br_if $no (i32.eqz (local.get $at)))
    (br_if $no (call $is_near (local.get $at) (local.get $end) (i32.const 26)))
    (br_if $no (i32.ne (i32.load16_u align=1 (local.get $at)) {_half(",[")}))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (loop $more
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $no (call $is_near (local.get $at) (local.get $end) (i32.const 24)))
      (local.set $at (block $next (result i32)
        (if (i64.eq (i64.load align=1 (local.get $at)) {_word('["fetch"')})
          (then (br $next (call $begin_fetch (local.get $at) (local.get $end) (local.get $tells)))))
        (if (i32.eq (i32.load align=1 (local.get $at)) {_half('["rp')})
          (then (br $next (call $begin_rpc (local.get $at) (local.get $end) (local.get $tells)))))
        (if (i64.eq (i64.load align=1 (local.get $at)) {_word('["init",')})
          (then (br $next (call $begin_init (local.get $at) (local.get $end) (local.get $tells)))))
        (i32.const 0)))
      (br_if $no (i32.eqz (local.get $at)))
      (br_if $more (i32.eq (i32.load8_u (local.get $at)) (i32.const 44))))
    (br_if $no (i32.ne (i32.sub (local.get $end) (local.get $at)) (i32.const 2)))
    (br_if $no (i32.ne (i32.load16_u align=1 (local.get $at)) {_half("]]")}))
    (br_if $no (i32.ne (global.get $blob_at) (local.get $blobs_end)))
    (return (i32.eq
      (i32.load8_u (i32.add (global.get $length_at) (i32.eqz (global.get $blob))))
      (i32.const 93))))
  (i32.const 0))
(func $run_jobs
  (loop $more (br_if $more (i32.eq (call $execute_pending_jobs) (i32.const {MOST_JOBS})))))
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
"""`$begin_all` is asked twice: whether all of a header are such events, and to begin them. The header is the host's
own, so what it begins as it also ends as; the values of arguments may be anybody's. Those that are no list after all
(`$positional`) the guest gets as bytes, and refuses as it does others. `$has` finds one byte among eight; `$wanted` is
that byte, eight times."""
ENTERING: Final = """\
(func $ended (param $pointer i32) (param $size i32) (result i32)
  (local $made i32)
  (call $qjs_free (local.get $pointer) (local.get $size))
  (call $must (call $call_function
    (i32.load <finish>) (i32.load <undefined>) <four> (i32.const 0) <out>))
  (local.set $made (i32.load <out>))
  (call $collect (local.get $made))
  (call $free_value (local.get $made))
  <answer>)
(func $step (param $pointer i32) (param $size i32) (result i32)
  (local $text i32) (local $end i32) (local $header i32) (local $made i32)
  (call $must (i32.lt_u (local.get $size) (i32.const 4)))
  (local.set $text (i32.add (local.get $pointer) (i32.const 4)))
  (local.set $end (i32.add (local.get $pointer) (local.get $size)))
  (local.set $header (i32.load align=1 (local.get $pointer)))
  (if (i32.eq (local.get $header) (i32.const SHORT_CALL)) (then
    (call $begin_called (local.get $pointer) (local.get $size))
    (return (call $ended (local.get $pointer) (local.get $size)))))
  (if (i32.le_u (local.get $header) (i32.sub (local.get $size) (i32.const 4))) (then
    (local.set $header (i32.add (local.get $text) (local.get $header)))
    (if (call $begin_all (local.get $text) (local.get $header) (local.get $end) (i32.const 0)) (then
      (drop (call $begin_all (local.get $text) (local.get $header) (local.get $end) (i32.const 1)))
      (return (call $ended (local.get $pointer) (local.get $size)))))))
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
  (call $new_undefined))""".replace("EMPTY", str(int.from_bytes(b"[[],", "little"))).replace(
    "SHORT_CALL", str(CALLED)
)
"""A frame that is a value (`plain_text`) has a tag only where it has a `$`, whatever else that may mean there."""
MOST_PLAIN: Final = 4096
"""Bytes of such a frame: JSON that is no longer is not deep either."""
