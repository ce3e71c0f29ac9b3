"""Free memory before an image is taken: zeros in it, and no gaps between what is in use. A part of the text that `glue`
is.

Whatever an isolate makes would go into gaps all over the image, each on another page that has to be copied for it. So
gaps are taken for good, the largest first, and what an isolate makes lies together.
"""

from __future__ import annotations

from typing import Final

_LARGEST, _SMALLEST = 32 << 10, 8
"""Bytes of what gaps are filled with; larger pieces that are free stay so."""
_MOST: Final = 1 << 20
"""Bytes that are taken at most: a top level may leave many gaps, and its program wants that memory."""
_BEHIND: Final = 64 << 10
"""Bytes of one size from behind the last large piece, after which no gap of that size is looked for any more: the
allocator (dlmalloc) takes from what it split last before it looks for what fits."""
TEXT: Final = f"""\
(func $scrub
  (local $last i32) (local $at i32) (local $pages i32)
  (block $full (loop $more
    (local.set $pages (memory.size))
    (local.set $at (call $qjs_alloc <block>))
    (br_if $full (i32.eqz (local.get $at)))
    (memory.fill (local.get $at) (i32.const 0) <block>)
    (i32.store (local.get $at) (local.get $last))
    (local.set $last (local.get $at))
    (br_if $more (i32.eq (local.get $pages) (memory.size)))))
  (if (local.get $last) (then (call $close_gaps (local.get $last))))
  (call $free_all (local.get $last) <block>))
(func $free_all (param $at i32) (param $size i32)
  (local $next i32)
  (block $empty (loop $more
    (br_if $empty (i32.eqz (local.get $at)))
    (local.set $next (i32.load (local.get $at)))
    (i32.store (local.get $at) (i32.const 0))
    (call $qjs_free (local.get $at) (local.get $size))
    (local.set $at (local.get $next))
    (br $more))))
(func $close_gaps (param $end i32)
  (local $size i32) (local $at i32) (local $behind i32) (local $last i32) (local $left i32)
  (local.set $size (i32.const {_LARGEST}))
  (local.set $left (i32.const {_MOST}))
  (loop $sizes
    (local.set $behind (i32.const 0))
    (local.set $last (i32.const 0))
    (block $full (loop $more
      (local.set $at (call $qjs_alloc (local.get $size)))
      (br_if $full (i32.eqz (local.get $at)))
      (memory.fill (local.get $at) (i32.const 0) (local.get $size))
      (if (i32.lt_u (local.get $at) (local.get $end)) (then
        (local.set $left (i32.sub (local.get $left) (local.get $size)))
        (br_if $more (i32.gt_s (local.get $left) (i32.const 0)))
        (br $full)))
      (i32.store (local.get $at) (local.get $last))
      (local.set $last (local.get $at))
      (local.set $behind (i32.add (local.get $behind) (local.get $size)))
      (br_if $more (i32.lt_u (local.get $behind) (i32.const {_BEHIND})))))
    (call $free_all (local.get $last) (local.get $size))
    (local.set $size (i32.shr_u (local.get $size) (i32.const 1)))
    (br_if $sizes (i32.and
      (i32.gt_s (local.get $left) (i32.const 0))
      (i32.ge_u (local.get $size) (i32.const {_SMALLEST}))))))"""
"""Large pieces are held while gaps are filled; the last of them lies behind all that is in use."""
