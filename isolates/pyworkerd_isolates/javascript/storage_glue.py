"""What joins JavaScript with SQLite, as WebAssembly text: more functions that the guest alone has.

They are called like those of `glue`, by one letter each, and take and give numbers, texts, bytes and lists of them. A
statement is a number. What SQLite refuses is the negative of its code, where a number is wanted otherwise.

The object's one database is in memory. `changes` compares it with what the host has kept, page by page.
"""

from __future__ import annotations

from typing import Final

PAGE: Final = 4096
"""Bytes of a page, as in the host's protocol."""
USES: Final = {
    "new_array": ("", "i"),
    "set_index": ("iii", "i"),
    "new_null": ("", "i"),
    "sqlite3_open_v2": ("iiii", "i"),
    "sqlite3_close_v2": ("i", "i"),
    "sqlite3_deserialize": ("iiilli", "i"),
    "sqlite3_serialize": ("iiii", "i"),
    "sqlite3_malloc64": ("l", "i"),
    "sqlite3_prepare_v2": ("iiiii", "i"),
    "sqlite3_step": ("i", "i"),
    "sqlite3_reset": ("i", "i"),
    "sqlite3_finalize": ("i", "i"),
    "sqlite3_bind_double": ("iid", "i"),
    "sqlite3_bind_text": ("iiiii", "i"),
    "sqlite3_bind_blob": ("iiiii", "i"),
    "sqlite3_bind_null": ("ii", "i"),
    "sqlite3_bind_parameter_count": ("i", "i"),
    "sqlite3_column_count": ("i", "i"),
    "sqlite3_column_name": ("ii", "i"),
    "sqlite3_column_type": ("ii", "i"),
    "sqlite3_column_int64": ("ii", "l"),
    "sqlite3_column_double": ("ii", "d"),
    "sqlite3_column_text": ("ii", "i"),
    "sqlite3_column_blob": ("ii", "i"),
    "sqlite3_column_bytes": ("ii", "i"),
    "sqlite3_errmsg": ("i", "i"),
    "sqlite3_extended_errcode": ("i", "i"),
    "sqlite3_total_changes": ("i", "i"),
    "sqlite3_get_autocommit": ("i", "i"),
    "sqlite3_limit": ("iii", "i"),
    "sqlite3_set_authorizer": ("iii", "i"),
    "sqlite3_stmt_readonly": ("i", "i"),
}
SQLITE: Final = tuple(name for name in USES if name.startswith("sqlite3_"))
HOST: Final = {
    "O": "open",  # a database with these pages, or (1) with those that the host has; the one before is closed
    "K": "keep",  # these pages are what the host has
    "P": "prepare",  # a text's first statement from this byte on; whether it is the guest's own. 0: there is none
    "T": "tail",  # the byte at which the next one begins
    "N": "names",  # of a statement's columns
    "U": "parameters",  # how many
    "S": "row",  # of a statement, whether it is the guest's own: the next one, a list; 101 if there is none
    "D": "bind_number",  # statement, place, value
    "X": "bind_text",
    "Y": "bind_bytes",
    "Z": "bind_null",
    "R": "reset",
    "F": "finish",
    "V": "reads",  # whether a statement only reads
    "M": "message",  # of the last failure
    "C": "code",  # of the last failure
    "G": "written",  # rows, since the database was opened
    "A": "outside",  # of every transaction
    "B": "kept_bytes",  # how many the host has
    "L": "limit",  # number of a limit, value
    "W": "changes",  # given the pages of an empty database: size in pages, numbers and bytes of those that changed
    "H": "pages",  # all of the database's
}
# What is kept between calls, from the beginning of the room above the stack; `glue` has what comes before.
_DATABASE, _TAIL, _IS_OWN, _KEPT, _KEPT_SIZE, _AUTHORIZE = 104, 108, 112, 116, 120, 124
_OUT, _NAME, _LIST, _ASKED, _ODD, ERRNO = 128, 144, 176, 192, 200, 248
KEPT: Final = (_AUTHORIZE,)
"""Handles of functions: `authorize(action, name)` says whether a statement may do this."""


def text(room: int, slot: int) -> str:
    """The functions, for an engine with room for their numbers at this address and in its table at this slot."""
    places = {
        "database": _DATABASE, "tail": _TAIL, "is_own": _IS_OWN, "kept": _KEPT, "kept_size": _KEPT_SIZE,
        "authorize": _AUTHORIZE, "sql_out": _OUT, "sql_out1": _OUT + 4, "name": _NAME, "name_end": _NAME + 8,
        "list": _LIST, "list1": _LIST + 4, "asked": _ASKED, "odd": _ODD,
    }  # fmt: skip
    filled = {**{name: room + place for name, place in places.items()}, "slot": slot, "page": PAGE}
    out = "\n".join((_MEMORY, _SYSTEM, _READING, _DATABASES, _STATEMENTS, _ROWS, _CHANGES, _AUTHORIZING))
    for name, value in filled.items():
        out = out.replace(f"<{name}>", f"(i32.const {value})")
    return out


_MEMORY: Final = """\
(func $malloc (param $size i32) (result i32)
  (local $at i32)
  (if (i32.gt_u (local.get $size) (i32.const 0x7fff0000)) (then (return (i32.const 0))))
  (local.set $at (call $qjs_alloc (i32.add (local.get $size) (i32.const 16))))
  (if (i32.eqz (local.get $at)) (then (return (i32.const 0))))
  (i32.store (local.get $at) (i32.add (local.get $size) (i32.const 16)))
  (i32.add (local.get $at) (i32.const 16)))
(func $free (param $at i32)
  (if (local.get $at) (then
    (local.set $at (i32.sub (local.get $at) (i32.const 16)))
    (call $qjs_free (local.get $at) (i32.load (local.get $at))))))
(func $realloc (param $at i32) (param $size i32) (result i32)
  (local $new i32) (local $before i32)
  (if (i32.eqz (local.get $at)) (then (return (call $malloc (local.get $size)))))
  (local.set $new (call $malloc (local.get $size)))
  (if (i32.eqz (local.get $new)) (then (return (i32.const 0))))
  (local.set $before (i32.sub (i32.load (i32.sub (local.get $at) (i32.const 16))) (i32.const 16)))
  (memory.copy (local.get $new) (local.get $at)
    (select (local.get $before) (local.get $size) (i32.lt_u (local.get $before) (local.get $size))))
  (call $free (local.get $at))
  (local.get $new))"""
"""As C has them; what is freed in QuickJS's memory has to be told its size, which stands before it."""
_SYSTEM: Final = """\
(func $time_of_day (param $at i32) (param $zone i32) (result i32)
  (i64.store (local.get $at) (i64.div_s (global.get $now_ns) (i64.const 1000000000)))
  (i64.store offset=8 (local.get $at)
    (i64.div_s (i64.rem_s (global.get $now_ns) (i64.const 1000000000)) (i64.const 1000)))
  (i32.const 0))
(func $randomness (param $size i32) (param $at i32)
  (if (i32.or (i32.le_s (local.get $size) (i32.const 0)) (i32.eqz (local.get $at))) (then (return)))
  (call $must (i32.eqz (global.get $keyed)))
  (call $fill_exactly (local.get $at) (local.get $size)))"""
_READING: Final = """\
(func $handle (param $arguments i32) (param $place i32) (result i32)
  (i32.load (i32.add (local.get $arguments) (i32.shl (local.get $place) (i32.const 2)))))
(func $double (param $arguments i32) (param $place i32) (result f64)
  (call $must (call $get_number (call $handle (local.get $arguments) (local.get $place)) <inner>))
  (f64.load <inner>))
(func $whole_at (param $arguments i32) (param $place i32) (result i32)
  (i32.trunc_sat_f64_s (call $double (local.get $arguments) (local.get $place))))
(func $whole_number (param i32) (result i32)
  (call $number (f64.convert_i32_s (local.get 0))))
(func $bytes_of (param $arguments i32) (param $place i32) (result i32)
  (if (result i32) (call $get_typed_array_buffer
      (call $handle (local.get $arguments) (local.get $place)) <inner> <inner1> <inner2>)
    (then (i32.const 0))
    (else (call $qjs_last_len))))
(func $made_bytes (param $at i32) (param $size i32) (result i32)
  (call $must (call $new_uint8array (local.get $at) (local.get $size) <inner>))
  (i32.load <inner>))
(func $length (param $at i32) (result i32)
  (local $end i32)
  (local.set $end (local.get $at))
  (block $found (loop $more
    (br_if $found (i32.eqz (i32.load8_u (local.get $end))))
    (local.set $end (i32.add (local.get $end) (i32.const 1)))
    (br $more)))
  (i32.sub (local.get $end) (local.get $at)))
(func $text (param $at i32) (param $size i32) (result i32)
  (local $made i32) (local $list i32)
  (local.set $made (call $new_string (local.get $at) (local.get $size)))
  (if (local.get $made) (then (return (local.get $made))))
  (i32.store <odd> (i32.const 1))
  (local.set $list (call $new_array))
  (call $append_to (local.get $list) (i32.const 0) (call $made_bytes (local.get $at) (local.get $size)))
  (local.get $list))
(func $append_to (param $list i32) (param $place i32) (param $item i32)
  (call $must (call $set_index (local.get $list) (local.get $place) (local.get $item)))
  (call $free_value (local.get $item)))"""
"""`bytes_of` gives how many there are, at `qjs_last_ptr`; an array without any is no array to QuickJS. What is no
UTF-8 is a list with its bytes. A second handle of what is in a list is given back."""
_DATABASES: Final = """\
(func $main (result i32)
  (i64.store <name> (i64.const 0x6e69616d)) ;; "main"
  <name>)
(func $open (param $arguments i32) (result i32)
  (local $failed i32) (local $at i32) (local $size i32) (local $from i32)
  (if (i32.load <database>) (then (drop (call $sqlite3_close_v2 (i32.load <database>)))))
  (i32.store <database> (i32.const 0))
  (i64.store <name> (i64.const 0x3a79726f6d656d3a)) ;; ":memory:"
  (i32.store8 <name_end> (i32.const 0))
  (local.set $failed (call $sqlite3_open_v2 <name> <database> (i32.const 6) (i32.const 0)))
  (if (local.get $failed) (then (return (call $whole_number (local.get $failed)))))
  (local.set $size (call $bytes_of (local.get $arguments) (i32.const 0)))
  (local.set $from (call $qjs_last_ptr))
  (if (call $whole_at (local.get $arguments) (i32.const 1)) (then
    (local.set $size (i32.load <kept_size>))
    (local.set $from (i32.load <kept>))))
  (if (local.get $size) (then
    (local.set $at (call $sqlite3_malloc64 (i64.extend_i32_u (local.get $size))))
    (call $must (i32.eqz (local.get $at)))
    (memory.copy (local.get $at) (local.get $from) (local.get $size))
    (local.set $failed (call $sqlite3_deserialize (i32.load <database>) (call $main) (local.get $at)
      (i64.extend_i32_u (local.get $size)) (i64.extend_i32_u (local.get $size)) (i32.const 3)))))
  (call $qjs_result_free)
  (drop (call $sqlite3_set_authorizer (i32.load <database>) <slot> (i32.const 0)))
  (call $whole_number (local.get $failed)))
(func $keep (param $arguments i32) (result i32)
  (local $size i32)
  (local.set $size (call $bytes_of (local.get $arguments) (i32.const 0)))
  (call $resize_kept (local.get $size))
  (memory.copy (i32.load <kept>) (call $qjs_last_ptr) (local.get $size))
  (call $qjs_result_free)
  (call $new_undefined))
(func $resize_kept (param $size i32)
  (if (i32.eq (local.get $size) (i32.load <kept_size>)) (then (return)))
  (i32.store <kept> (call $realloc (i32.load <kept>) (local.get $size)))
  (call $must (i32.eqz (i32.load <kept>)))
  (i32.store <kept_size> (local.get $size)))
(func $kept_bytes (param $arguments i32) (result i32)
  (call $whole_number (i32.load <kept_size>)))
(func $limit (param $arguments i32) (result i32)
  (call $whole_number (call $sqlite3_limit (i32.load <database>)
    (call $whole_at (local.get $arguments) (i32.const 0)) (call $whole_at (local.get $arguments) (i32.const 1)))))
(func $message (param $arguments i32) (result i32)
  (local $at i32)
  (local.set $at (call $sqlite3_errmsg (i32.load <database>)))
  (call $text (local.get $at) (call $length (local.get $at))))
(func $code (param $arguments i32) (result i32)
  (call $whole_number (call $sqlite3_extended_errcode (i32.load <database>))))
(func $written (param $arguments i32) (result i32)
  (call $whole_number (call $sqlite3_total_changes (i32.load <database>))))
(func $outside (param $arguments i32) (result i32)
  (call $whole_number (call $sqlite3_get_autocommit (i32.load <database>))))"""
"""Flags of opening: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE; of deserialising: FREEONCLOSE | RESIZEABLE."""
_STATEMENTS: Final = """\
(func $prepare (param $arguments i32) (result i32)
  (local $size i32) (local $text i32) (local $from i32) (local $failed i32)
  (call $must (call $get_string (call $handle (local.get $arguments) (i32.const 0))))
  (local.set $size (call $qjs_last_len))
  (local.set $text (call $malloc (i32.add (local.get $size) (i32.const 1))))
  (call $must (i32.eqz (local.get $text)))
  (memory.copy (local.get $text) (call $qjs_last_ptr) (local.get $size))
  (i32.store8 (i32.add (local.get $text) (local.get $size)) (i32.const 0))
  (call $qjs_result_free)
  (local.set $from (call $whole_at (local.get $arguments) (i32.const 1)))
  (call $must (i32.gt_u (local.get $from) (local.get $size)))
  (i32.store <is_own> (call $whole_at (local.get $arguments) (i32.const 2)))
  (local.set $failed (call $sqlite3_prepare_v2 (i32.load <database>)
    (i32.add (local.get $text) (local.get $from))
    (i32.add (i32.sub (local.get $size) (local.get $from)) (i32.const 1)) <sql_out> <sql_out1>))
  (i32.store <is_own> (i32.const 0))
  (i32.store <tail> (i32.sub (i32.load <sql_out1>) (local.get $text)))
  (call $free (local.get $text))
  (if (local.get $failed) (then (return (call $whole_number (i32.sub (i32.const 0) (local.get $failed))))))
  (call $whole_number (i32.load <sql_out>)))
(func $tail (param $arguments i32) (result i32)
  (call $whole_number (i32.load <tail>)))
(func $names (param $arguments i32) (result i32)
  (local $statement i32) (local $list i32) (local $place i32) (local $count i32) (local $at i32)
  (local.set $statement (call $whole_at (local.get $arguments) (i32.const 0)))
  (local.set $list (call $new_array))
  (local.set $count (call $sqlite3_column_count (local.get $statement)))
  (block $end (loop $more
    (br_if $end (i32.ge_u (local.get $place) (local.get $count)))
    (local.set $at (call $sqlite3_column_name (local.get $statement) (local.get $place)))
    (call $must (i32.eqz (local.get $at)))
    (call $append_to (local.get $list) (local.get $place)
      (call $text (local.get $at) (call $length (local.get $at))))
    (local.set $place (i32.add (local.get $place) (i32.const 1)))
    (br $more)))
  (local.get $list))
(func $parameters (param $arguments i32) (result i32)
  (call $whole_number (call $sqlite3_bind_parameter_count (call $whole_at (local.get $arguments) (i32.const 0)))))
(func $reads (param $arguments i32) (result i32)
  (call $whole_number (call $sqlite3_stmt_readonly (call $whole_at (local.get $arguments) (i32.const 0)))))
(func $reset (param $arguments i32) (result i32)
  (call $whole_number (call $sqlite3_reset (call $whole_at (local.get $arguments) (i32.const 0)))))
(func $finish (param $arguments i32) (result i32)
  (call $whole_number (call $sqlite3_finalize (call $whole_at (local.get $arguments) (i32.const 0)))))
(func $bind_number (param $arguments i32) (result i32)
  (call $whole_number (call $sqlite3_bind_double
    (call $whole_at (local.get $arguments) (i32.const 0)) (call $whole_at (local.get $arguments) (i32.const 1))
    (call $double (local.get $arguments) (i32.const 2)))))
(func $bind_null (param $arguments i32) (result i32)
  (call $whole_number (call $sqlite3_bind_null
    (call $whole_at (local.get $arguments) (i32.const 0)) (call $whole_at (local.get $arguments) (i32.const 1)))))
(func $bind_text (param $arguments i32) (result i32)
  (local $failed i32)
  (call $must (call $get_string (call $handle (local.get $arguments) (i32.const 2))))
  (local.set $failed (call $sqlite3_bind_text
    (call $whole_at (local.get $arguments) (i32.const 0)) (call $whole_at (local.get $arguments) (i32.const 1))
    (call $some (call $qjs_last_ptr)) (call $qjs_last_len) (i32.const -1)))
  (call $qjs_result_free)
  (call $whole_number (local.get $failed)))
(func $bind_bytes (param $arguments i32) (result i32)
  (local $failed i32) (local $size i32)
  (local.set $size (call $bytes_of (local.get $arguments) (i32.const 2)))
  (local.set $failed (call $sqlite3_bind_blob
    (call $whole_at (local.get $arguments) (i32.const 0)) (call $whole_at (local.get $arguments) (i32.const 1))
    (call $some (call $qjs_last_ptr)) (local.get $size) (i32.const -1)))
  (call $qjs_result_free)
  (call $whole_number (local.get $failed)))
(func $some (param i32) (result i32) (select (local.get 0) <name> (local.get 0)))"""
"""A null pointer would be NULL to SQLite, and not a text without a character. SQLITE_TRANSIENT is -1."""
_ROWS: Final = """\
(func $row (param $arguments i32) (result i32)
  (local $statement i32) (local $list i32) (local $place i32) (local $count i32) (local $status i32) (local $odd i32)
  (local.set $statement (call $whole_at (local.get $arguments) (i32.const 0)))
  (i32.store <is_own> (call $whole_at (local.get $arguments) (i32.const 1)))
  (local.set $status (call $sqlite3_step (local.get $statement)))
  (i32.store <is_own> (i32.const 0))
  (if (i32.ne (local.get $status) (i32.const 100)) (then (return (call $whole_number (local.get $status)))))
  (i32.store <odd> (i32.const 0))
  (local.set $list (call $new_array))
  (local.set $count (call $sqlite3_column_count (local.get $statement)))
  (block $end (loop $more
    (br_if $end (i32.ge_u (local.get $place) (local.get $count)))
    (call $append_to (local.get $list) (local.get $place) (call $column (local.get $statement) (local.get $place)))
    (local.set $place (i32.add (local.get $place) (i32.const 1)))
    (br $more)))
  (if (i32.eqz (i32.load <odd>)) (then (return (local.get $list))))
  (local.set $odd (call $new_array))
  (call $append_to (local.get $odd) (i32.const 0) (local.get $list))
  (local.get $odd))
(func $column (param $statement i32) (param $place i32) (result i32)
  (local $kind i32) (local $at i32)
  (local.set $kind (call $sqlite3_column_type (local.get $statement) (local.get $place)))
  (if (i32.eq (local.get $kind) (i32.const 1)) (then
    (return (call $number (f64.convert_i64_s
      (call $sqlite3_column_int64 (local.get $statement) (local.get $place)))))))
  (if (i32.eq (local.get $kind) (i32.const 2)) (then
    (return (call $number (call $sqlite3_column_double (local.get $statement) (local.get $place))))))
  (if (i32.eq (local.get $kind) (i32.const 3)) (then
    (local.set $at (call $sqlite3_column_text (local.get $statement) (local.get $place)))
    (call $must (i32.eqz (local.get $at)))
    (return (call $text (local.get $at)
      (call $sqlite3_column_bytes (local.get $statement) (local.get $place))))))
  (if (i32.eq (local.get $kind) (i32.const 4)) (then
    (local.set $at (call $sqlite3_column_blob (local.get $statement) (local.get $place)))
    (return (call $made_bytes (call $some (local.get $at))
      (call $sqlite3_column_bytes (local.get $statement) (local.get $place))))))
  (call $new_null))"""
"""SQLITE_ROW is 100. Kinds: SQLITE_INTEGER 1, SQLITE_FLOAT 2, SQLITE_TEXT 3, SQLITE_BLOB 4, SQLITE_NULL 5.

A row with a text that is no UTF-8 is in a list of its own. Whose a statement is has to be known, since SQLite may
prepare it anew."""
_CHANGES: Final = """\
(func $serialized (result i32)
  (call $sqlite3_serialize (i32.load <database>) (call $main) <sql_out> (i32.const 1)))
(func $pages (param $arguments i32) (result i32)
  (local $at i32) (local $made i32)
  (i32.store <is_own> (i32.const 1))
  (local.set $at (call $sqlite3_serialize (i32.load <database>) (call $main) <sql_out> (i32.const 0)))
  (i32.store <is_own> (i32.const 0))
  (call $must (i32.eqz (local.get $at)))
  (local.set $made (call $made_bytes (local.get $at) (i32.load <sql_out>)))
  (call $free (local.get $at))
  (local.get $made))
(func $differ (param $one i32) (param $other i32) (param $size i32) (result i32)
  (local $end i32)
  (local.set $end (i32.add (local.get $one) (local.get $size)))
  (block $same (loop $more
    (br_if $same (i32.ge_u (local.get $one) (local.get $end)))
    (if (i64.ne (i64.load (local.get $one)) (i64.load (local.get $other))) (then (return (i32.const 1))))
    (local.set $one (i32.add (local.get $one) (i32.const 8)))
    (local.set $other (i32.add (local.get $other) (i32.const 8)))
    (br $more)))
  (i32.const 0))
(func $changes (param $arguments i32) (result i32)
  (local $now i32) (local $size i32) (local $kept i32) (local $kept_size i32) (local $at i32)
  (local $numbers i32) (local $pages i32) (local $count i32) (local $list i32)
  (local.set $now (call $serialized))
  (local.set $size (i32.load <sql_out>))
  (call $must (i32.and (i32.eqz (local.get $now)) (i32.ne (local.get $size) (i32.const 0))))
  (if (i32.eq (local.get $size) (call $bytes_of (local.get $arguments) (i32.const 0))) (then
    (if (i32.eqz (call $differ (local.get $now) (call $qjs_last_ptr) (local.get $size)))
      (then (local.set $size (i32.const 0))))))
  (call $qjs_result_free)
  (local.set $kept (i32.load <kept>))
  (local.set $kept_size (i32.load <kept_size>))
  (block $counted (loop $more
    (br_if $counted (i32.ge_u (local.get $at) (local.get $size)))
    (if (call $changed (local.get $now) (local.get $at))
      (then (local.set $count (i32.add (local.get $count) (i32.const 1)))))
    (local.set $at (i32.add (local.get $at) <page>))
    (br $more)))
  (local.set $numbers (call $malloc (i32.mul (local.get $count) (i32.const 4))))
  (local.set $pages (call $malloc (i32.mul (local.get $count) <page>)))
  (call $must (i32.or (i32.eqz (local.get $numbers)) (i32.eqz (local.get $pages))))
  (local.set $at (i32.const 0))
  (local.set $count (i32.const 0))
  (block $copied (loop $more
    (br_if $copied (i32.ge_u (local.get $at) (local.get $size)))
    (if (call $changed (local.get $now) (local.get $at)) (then
      (i32.store (i32.add (local.get $numbers) (i32.mul (local.get $count) (i32.const 4)))
        (i32.div_u (local.get $at) <page>))
      (memory.copy (i32.add (local.get $pages) (i32.mul (local.get $count) <page>))
        (i32.add (local.get $now) (local.get $at)) <page>)
      (local.set $count (i32.add (local.get $count) (i32.const 1)))))
    (local.set $at (i32.add (local.get $at) <page>))
    (br $more)))
  (call $resize_kept (local.get $size))
  (memory.copy (i32.load <kept>) (local.get $now) (local.get $size))
  (local.set $list (call $new_array))
  (call $append_to (local.get $list) (i32.const 0) (call $whole_number (i32.div_u (local.get $size) <page>)))
  (call $append_to (local.get $list) (i32.const 1)
    (call $made_bytes (local.get $numbers) (i32.mul (local.get $count) (i32.const 4))))
  (call $append_to (local.get $list) (i32.const 2)
    (call $made_bytes (local.get $pages) (i32.mul (local.get $count) <page>)))
  (call $free (local.get $numbers))
  (call $free (local.get $pages))
  (local.get $list))
(func $changed (param $now i32) (param $at i32) (result i32)
  (if (i32.ge_u (local.get $at) (i32.load <kept_size>)) (then (return (i32.const 1))))
  (call $differ (i32.add (local.get $now) (local.get $at))
    (i32.add (i32.load <kept>) (local.get $at)) <page>))"""
"""SQLITE_SERIALIZE_NOCOPY is 1: the pages are looked at where they are. What was not committed is not among them."""
_AUTHORIZING: Final = """\
(elem <slot> func $authorize_statement)
(func $is_own_name (param $at i32) (result i32)
  (if (i32.eqz (local.get $at)) (then (return (i32.const 0))))
  (i32.eq (i32.or (i32.load align=1 (local.get $at)) (i32.const 0x20202020)) (i32.const 0x7f66637f)))
(func $authorize_statement
  (param $data i32) (param $action i32) (param $first i32) (param $second i32) (param $database i32) (param $from i32)
  (result i32)
  (local $asked i32)
  (if (i32.load <is_own>) (then (return (i32.const 0))))
  ;; PRAGMA 19, TRANSACTION 22, ATTACH 24, DETACH 25, SAVEPOINT 32
  (if (i32.lt_u (local.get $action) (i32.const 32))
    (then (local.set $asked (i32.and
      (i32.shr_u (i32.const 0x03480000) (local.get $action)) (i32.const 1))))
    (else (local.set $asked (i32.eq (local.get $action) (i32.const 32)))))
  ;; REINDEX 27 and ANALYZE 28 are for all tables at once
  (if (i32.or (i32.eq (local.get $action) (i32.const 27)) (i32.eq (local.get $action) (i32.const 28)))
    (then (return (i32.const 0))))
  (if (call $is_own_name (local.get $first)) (then (local.set $asked (i32.const 1))))
  ;; READ 20: a column may be called anything
  (if (i32.ne (local.get $action) (i32.const 20))
    (then (if (call $is_own_name (local.get $second)) (then (local.set $asked (i32.const 1))))))
  (if (result i32) (local.get $asked)
    (then (call $ask_guest (local.get $action) (local.get $first) (local.get $second)))
    (else (i32.const 0))))
(func $text_at (param $at i32) (result i32)
  (if (i32.eqz (local.get $at)) (then (return (call $new_null))))
  (call $text (local.get $at) (call $length (local.get $at))))
(func $ask_guest (param $action i32) (param $first i32) (param $second i32) (result i32)
  (local $status i32) (local $allowed i32) (local $one i32) (local $two i32) (local $three i32)
  (local.set $one (call $whole_number (local.get $action)))
  (local.set $two (call $text_at (local.get $first)))
  (local.set $three (call $text_at (local.get $second)))
  (i32.store <list> (local.get $one))
  (i32.store <list1> (local.get $two))
  (i32.store offset=4 <list1> (local.get $three))
  (local.set $status
    (call $call_function (i32.load <authorize>) (i32.load <undefined>) <list> (i32.const 3) <asked>))
  (call $free_value (local.get $one))
  (call $free_value (local.get $two))
  (call $free_value (local.get $three))
  (if (local.get $status) (then (return (i32.const 1))))
  (local.set $allowed (i32.load <asked>))
  (local.set $status (call $get_number (local.get $allowed) <inner>))
  (call $free_value (local.get $allowed))
  (if (local.get $status) (then (return (i32.const 1))))
  (i32.trunc_sat_f64_s (f64.load <inner>)))"""
"""Names that begin with "_cf_" are the platform's. Any other answer of the guest than 0 (SQLITE_OK) refuses."""
