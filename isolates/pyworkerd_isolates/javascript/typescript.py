"""TypeScript and JSX become JavaScript at deploy: OXC compiles them, as `quickjs-rs` ships it.

What a tenant wrote is hostile, and a compiler is a large program: it runs in a sandbox like a tenant's own code, with
as little to reach and with limits of its own.
"""

from __future__ import annotations

import importlib.resources
import re
import struct
import threading
import time
from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pyworkerd_isolates.capi import assemble
from pyworkerd_isolates.engine import Built, Source, load_engine
from pyworkerd_isolates.errors import CpuExhausted, OutputTooLarge, ProtocolError, TopLevelRaised, Trap
from pyworkerd_isolates.native import Instance
from pyworkerd_isolates.versions import installed_version

from .jsx import pragmas
from .positions import mappings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyworkerd_isolates.bundle import Bundle
    from pyworkerd_isolates.cache import Cache
    from pyworkerd_isolates.engine import Engine, Progress
    from pyworkerd_isolates.native import Machine
    from pyworkerd_isolates.wasm.preview1 import Glue

_SUFFIXES: Final = {".ts": 1, ".mts": 1, ".cts": 1, ".tsx": 2, ".jsx": 2}
"""Of files that are compiled, and which syntax is to be read."""
_STRIP: Final = 1 << 8
MAX_SOURCE: Final = 4 << 20
"""Bytes of one file; a megabyte takes about 0.1 s."""
MAX_MAPPED: Final = 1 << 20
"""Bytes of a worker's TypeScript whose lines are known afterwards: a megabyte takes about 0.3 s."""
MAX_WORDS: Final = 1 << 17
"""Words in them, as many as a megabyte usually has: what is made of single letters would take ten times as long."""
_WORD: Final = re.compile(rb"[\w$\x80-\xff]+")
MARK: Final = b"\n//# pyworkerd-mappings="
"""What stands before the mappings of a compiled file, at its end. The guest takes both off."""
MEMORY: Final = 512 << 20
BUDGET_MS: Final = 20_000
"""CPU time for all files of a worker: at that rate, the largest takes a third of it."""
LINE_S: Final = 1.0
"""CPU time for finding out in which line an error is."""
CODE: Final = ("code", "common")
"""Kinds of listed modules that may have types (`bundle.Listed.kind`)."""
_FORMAT: Final = "typescript 1"


def source() -> Source:
    """How the compiler of this installation is made."""
    return Source("typescript", f"{_FORMAT} {installed_version('quickjs_rs', 'quickjs-rs')}", _build)


class TypeScript:
    """See `engine.Compiler`. The compiler itself is loaded with the first file that needs it, and built (2 s) once per
    machine."""

    def __init__(self, machine: Machine, cache: Cache) -> None:
        self._machine, self._cache = machine, cache
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    def takes(self, bundle: Bundle) -> bool:
        """See `engine.Compiler`."""
        return any(True for _ in _typed(bundle))

    def compiled(self, bundle: Bundle, budget_ms: float = BUDGET_MS) -> Bundle:
        """The worker with its types left out. Raises `TopLevelRaised` with the file's name."""
        typed = list(_typed(bundle))
        if not typed:
            return bundle
        with self._lock:
            if self._engine is None:
                self._engine = load_engine(self._machine, self._cache, source())
            engine = self._engine
        instance = Instance(engine.code, engine.base(), MEMORY, engine.refusals)
        try:
            instance.seed(bytes(32))  # for hash tables; and the same source becomes the same text
            stripped, left, mapped, words = {}, float(budget_ms), 0, 0
            for name in typed:
                began, text = time.thread_time(), pragmas(bundle.files, name) + bundle.files[name]
                if left <= 0:
                    raise _too_long(name, budget_ms)
                stripped[name] = _strip(instance, name, text, left)
                left -= (time.thread_time() - began) * 1000
                mapped += 0 if _is_packaged(name) else len(text)
                if mapped > MAX_MAPPED or _is_packaged(name):
                    continue
                words += max(_words(text), _words(stripped[name]))
                if words <= MAX_WORDS:
                    stripped[name] += MARK + _mappings(bundle.files[name], stripped[name])
        finally:
            instance.close()
        return replace(bundle, files={**bundle.files, **stripped})

    def close(self) -> None:
        """Let go of the compiler."""
        if self._engine is not None:
            self._engine.close()


def _typed(bundle: Bundle) -> Iterator[str]:
    return (name for name in bundle.files if _kind(name) and bundle.kinds.get(name, "code") in CODE)


def _too_long(name: str, budget_ms: float) -> TopLevelRaised:
    return TopLevelRaised(
        f"the worker's TypeScript takes more than {budget_ms:g} ms to compile: compile it before the deploy",
        file=name,
    )


def _is_packaged(name: str) -> bool:
    return "node_modules" in name.split("/")


def _words(text: bytes) -> int:
    return sum(1 for _ in _WORD.finditer(text))


def _mappings(source: bytes, output: bytes) -> bytes:
    return mappings(source.decode(), output.decode()).encode()


def _kind(name: str) -> int:
    if name.endswith((".d.ts", ".d.mts", ".d.cts")):
        return 0
    return next((kind for suffix, kind in _SUFFIXES.items() if name.endswith(suffix)), 0)


def _strip(instance: Instance, name: str, source: bytes, budget_ms: float) -> bytes:
    if len(source) > MAX_SOURCE:
        raise TopLevelRaised(f"the file has more than {MAX_SOURCE} bytes", file=name)
    try:
        status, text = _compiled(instance, name, source, budget_ms)
    except _BREAKDOWNS as error:
        raise TopLevelRaised(f"TypeScript that the compiler cannot take in: {error}", file=name) from None
    if status == _UNCHANGED:
        return source
    if status == _DONE:
        return text
    message = text.decode("utf-8", "replace")[:1024] or f"status {status}"
    until = time.thread_time() + LINE_S

    def fails(beginning: bytes) -> bool:
        left_ms = (until - time.thread_time()) * 1000
        if left_ms < 1:
            raise TimeoutError
        return _compiled(instance, name, beginning, left_ms) == (status, text)

    message = message.removeprefix(f"source parse error in {name}: ")
    raise TopLevelRaised(f"SyntaxError: {message}", file=name, line=_line_of(source, fails))


def _compiled(instance: Instance, name: str, source: bytes, budget_ms: float) -> tuple[int, bytes]:
    label = name.encode()
    frame = struct.pack("<II", _kind(name) | _STRIP, len(label)) + label + source
    answer = instance.step("strip", time.time_ns(), frame, budget_ms, 4 * MAX_SOURCE)
    return int.from_bytes(answer[:4], "little"), answer[4:]


def _line_of(source: bytes, fails: Callable[[bytes], bool]) -> int | None:
    """The line of an error, which the compiler does not tell: the last of the shortest beginning that has the same one.

    What is behind an error is not looked at, so it is there with all that is longer. None if that takes too long.
    """
    lines = source.splitlines(keepends=True)
    try:
        return bisect_left(range(1, len(lines)), True, key=lambda n: fails(b"".join(lines[:n]))) + 1
    except (TimeoutError, *_BREAKDOWNS):
        return None


_BREAKDOWNS: Final = (CpuExhausted, Trap, OutputTooLarge, ProtocolError)


_DONE, _UNCHANGED = 0, 1


def _build(_progress: Progress) -> Built:
    from pyworkerd_isolates.wasm.preview1 import lone_engine  # noqa: PLC0415 (every start would pay for it)

    binary = importlib.resources.files("quickjs_rs").joinpath("_transform.wasm").read_bytes()
    return Built(*lone_engine(binary, _glue, assemble), is_guest=False)


def _glue(room: int, _slot: int) -> Glue:
    from pyworkerd_isolates.wasm.preview1 import Glue  # noqa: PLC0415 (every start would pay for it)

    return Glue(_TEXT.replace("<room>", f"(i32.const {room})"), _USES, {}, ("strip",))


_USES: Final = {
    "qjst_alloc": ("i", "i"),
    "qjst_free": ("ii", ""),
    "qjst_transform": ("iiiii", "i"),
    "qjst_result_ptr": ("", "i"),
    "qjst_result_len": ("", "i"),
    "qjst_error_ptr": ("", "i"),
    "qjst_error_len": ("", "i"),
    "qjst_result_free": ("", ""),
}
_TEXT: Final = """\
(func (export "prepare_strip") (param $previous i32) (param $size i32) (result i32)
  (if (local.get $previous) (then
    (call $qjst_free (i32.load <room>) (i32.load offset=4 <room>))
    (i64.store <room> (i64.const 0))))
  (if (i32.eqz (local.get $size)) (then (return (i32.const 0))))
  (call $qjst_alloc (local.get $size)))
(func (export "strip_at") (param $now i64) (param $pointer i32) (param $size i32) (result i32)
  (local $name i32) (local $length i32) (local $status i32) (local $from i32) (local $answer i32)
  (global.set $now_ns (local.get $now))
  (local.set $name (i32.add (local.get $pointer) (i32.const 8)))
  (local.set $length (i32.load offset=4 (local.get $pointer)))
  (local.set $status (call $qjst_transform
    (local.get $name) (local.get $length)
    (i32.add (local.get $name) (local.get $length))
    (i32.sub (i32.sub (local.get $size) (i32.const 8)) (local.get $length))
    (i32.load (local.get $pointer))))
  (call $qjst_free (local.get $pointer) (local.get $size))
  (if (local.get $status)
    (then
      (local.set $from (call $qjst_error_ptr))
      (local.set $length (call $qjst_error_len)))
    (else
      (local.set $from (call $qjst_result_ptr))
      (local.set $length (call $qjst_result_len))))
  (local.set $answer (call $qjst_alloc (i32.add (local.get $length) (i32.const 4))))
  (if (i32.eqz (local.get $answer)) (then unreachable))
  (i32.store (local.get $answer) (local.get $status))
  (memory.copy (i32.add (local.get $answer) (i32.const 4)) (local.get $from) (local.get $length))
  (call $qjst_result_free)
  (i32.store <room> (local.get $answer))
  (i32.store offset=4 <room> (i32.add (local.get $length) (i32.const 4)))
  <room>)"""
"""The frame is two numbers, flags and the name's length, the name, and the source; the answer a status and a text."""
