"""Programs for tests: a driver that asks a host's questions without any WebAssembly, and small components in text."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import wasmtime
from pyworkerd_isolates.component.answers import answering
from pyworkerd_isolates.component.compiler import compile_program
from pyworkerd_isolates.component.host import Host
from pyworkerd_isolates.component.isolate import ProgramIsolate
from pyworkerd_isolates.errors import ImageError, Trap
from pyworkerd_isolates.events import Events
from pyworkerd_isolates.wasm.questions import ALLOCATE, CONTINUE, KINDS
from pyworkerd_isolates.wire import decode

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = tuple(KINDS)
ROOM = 0
"""Where answers go that need an address."""
HEAP = 4096
LINE = "wasi:http/types "


class FakeMemory:
    """A program's memory with an allocator that never frees."""

    def __init__(self, size: int = 1 << 20) -> None:
        self.data = bytearray(size)
        self.top = HEAP
        self.sizes: list[int] = []
        """What was read at once."""

    def read(self, at: int, size: int) -> bytes:
        self.sizes.append(size)
        if at + size > len(self.data):
            raise Trap("outside")
        return bytes(self.data[at : at + size])

    def write(self, at: int, data: bytes) -> None:
        if at + len(data) > len(self.data):
            raise Trap("outside")
        self.data[at : at + len(data)] = data

    def allocate(self, size: int, align: int = 1) -> int:
        at = -(-self.top // align) * align
        self.top = at + size
        return at

    def put(self, data: bytes | str) -> tuple[int, int]:
        """Address and size of a string that the program made."""
        raw = data.encode() if isinstance(data, str) else data
        at = self.allocate(len(raw))
        self.write(at, raw)
        return at, len(raw)

    def number(self, at: int, size: int = 4) -> int:
        return int.from_bytes(self.read(at, size), "little")

    def text(self, at: int) -> bytes:
        """What a pair of address and size names."""
        where, size = struct.unpack("<II", self.read(at, 8))
        return self.read(where, size)

    def texts(self, at: int, width: int = 1) -> list[bytes]:
        """A list of strings, or of tuples of strings."""
        where, count = struct.unpack("<II", self.read(at, 8))
        return [self.text(where + 8 * i) for i in range(count * width)]


class Asker:
    """Asks a host as a program would."""

    def __init__(self, make: Any = Host, **request: Any) -> None:
        self.memory = FakeMemory()
        self.host: Any = make(self.memory, answering(NAMES))
        self.bindings: list[Any] = request.pop("bindings", [])
        self.meta = {"outbound": True, "log_bytes": 10_000, **request.pop("meta", {})}
        events = Events()
        url, method = request.pop("url", "http://test.invalid/a?b=c"), request.pop("method", "GET")
        events.fetch(1, None, None, method, url, request.pop("headers", ()), request.pop("body", None))
        events.init(self.bindings, self.meta)
        self.request, self.outparam = self.tell(events)

    def tell(self, events: Events) -> Any:
        return self.host.happened(*events.parts())

    def ask(self, name: str, *values: int) -> int | None:
        """The answer; None if the program would wait."""
        return self._settle(self.host.ask([NAMES.index(name), *values, *[0] * 9]))

    def look_again(self) -> int | None:
        return self._settle(self.host.look_again())

    def _settle(self, answer: int | None) -> int | None:
        memory = self.memory
        while answer is not None and answer >> 32:
            kind, low = answer >> 32, answer & 0xFFFFFFFF
            if kind & 255 == ALLOCATE:
                low = memory.allocate(low, kind >> 8)
            else:
                for at in range(low, low + 8 * (kind >> 8), 8):
                    memory.write(at, memory.allocate(memory.number(at + 4)).to_bytes(4, "little"))
            answer = self.host.ask([CONTINUE, low, *[0] * 8])
        return answer

    def fields(self, *pairs: tuple[str, bytes]) -> int:
        """A handle of fields with these."""
        me = self.ask(f"{LINE}fields")
        assert me is not None
        for name, value in pairs:
            self.ask(f"{LINE}fields.append", me, *self.memory.put(name), *self.memory.put(value), ROOM)
            assert self.memory.number(ROOM, 1) == 0
        return me

    def effects(self, *, over: bool = False) -> list[Any]:
        return list(self.host.output(over=over).effects)


# programs ------------------------------------------------------------------------------------------------------------

_LETTERS = {"i": "i32", "l": "i64"}


def _type(kind: str) -> str:
    params, _, results = kind.partition(":")
    return "".join(f" (param {_LETTERS[x]})" for x in params) + "".join(
        f" (result {_LETTERS[x]})" for x in results
    )


def _form(name: str) -> str:
    """A function as a component imports it, from the name that its question has."""
    return next(
        form for form in (f"[static]{name}", f"[method]{name}", f"[constructor]{name}", name) if _fits(form)
    )


_STATIC = ("fields.from-list", "response-outparam.set", "incoming-body.finish", "outgoing-body.finish")
_CONSTRUCTORS = ("fields", "outgoing-response", "outgoing-request", "request-options")


def _fits(form: str) -> bool:
    kind, _, name = form.rpartition("]")
    expected = (
        "[static"
        if name in _STATIC
        else "[method"
        if "." in name
        else "[constructor"
        if name in _CONSTRUCTORS
        else ""
    )
    return kind == expected


ALLOCATOR = "(local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))"
TYPES = {**KINDS, "wasi:random/random get-random-bytes": "li:"}


def component(body: str, uses: Mapping[str, str], extra: str = "", allocator: str = ALLOCATOR) -> bytes:
    """A component whose `handle(request, out)` is in the text `body`. It calls `uses`: names in the text, questions.

    The text has `$realloc`, which never frees, and `(data ...)` goes to the memory's module by `extra`.
    """
    interfaces: dict[str, list[tuple[str, str]]] = {}
    for alias, question in uses.items():
        if question != "drop":
            interface, _, name = question.partition(" ")
            interfaces.setdefault(interface, []).append((alias, name))
    lines, items = [], []
    for number, (interface, names) in enumerate(interfaces.items()):
        exports = "".join(f' (export "{_form(name)}" (func))' for _, name in names)
        lines.append(f'(import "{interface}@0.2.3" (instance $i{number}{exports}))')
        for alias, name in names:
            lines.append(f'(alias export $i{number} "{_form(name)}" (func $f-{alias}))')
            items.append(alias)
    lines.append(f"""
      (core module $state (memory (export "memory") 2) (global $top (mut i32) (i32.const 65536)) {extra}
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
          {allocator}
          (global.set $top (i32.add (local.get $at) (local.get 3)))
          (local.get $at)))
      (core instance $state (instantiate $state))
      (alias core export $state "memory" (core memory $memory))
      (alias core export $state "realloc" (core func $realloc))""")
    lines += [
        f"(core func $c-{alias} (canon lower (func $f-{alias}) (memory $memory) (realloc $realloc)))"
        for alias in items
    ]
    given = [f'(export "{alias}" (func $c-{alias}))' for alias in items]
    if "drop" in uses.values():
        lines.append('(import "x:y/z" (instance $own (export "thing" (type (sub resource)))))')
        lines.append(
            '(alias export $own "thing" (type $thing)) (core func $c-drop (canon resource.drop $thing))'
        )
        given.append('(export "drop" (func $c-drop))')
    imports = [
        f'(import "env" "{alias}" (func ${alias}{_type(TYPES[question])}))'
        for alias, question in uses.items()
    ]
    lines.append(f"""
      (core instance $env {" ".join(given)} (export "memory" (memory $memory)) (export "realloc" (func $realloc)))
      (core module $main {" ".join(imports)}
        (import "env" "memory" (memory 1))
        (import "env" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
        {body})
      (core instance $main (instantiate $main (with "env" (instance $env))))
      (func $handle (canon lift (core func $main "handle")))
      (instance $handler (export "handle" (func $handle)))
      (export "wasi:http/incoming-handler@0.2.3" (instance $handler))""")
    return bytes(wasmtime.wat2wasm("(component " + "\n".join(lines) + ")"))


def handle(code: str, before: str = "") -> str:
    """The text of a component's function; `$request` and `$out` are its handles."""
    return (
        f'{before} (func $handle (export "handle") (param $request i32) (param $out i32) '
        f"(local $i i32) (local $j i32) (local $k i32) {code})"
    )


RESPONDING = {
    "fields": f"{LINE}fields",
    "response": f"{LINE}outgoing-response",
    "body": f"{LINE}outgoing-response.body",
    "write": f"{LINE}outgoing-body.write",
    "put": "wasi:io/streams output-stream.blocking-write-and-flush",
    "finish": f"{LINE}outgoing-body.finish",
    "set": f"{LINE}response-outparam.set",
}
"""What it takes to answer."""
RESPOND = """
  (func $respond (param $out i32) (result i32) (local $response i32)
    (local.set $response (call $response (call $fields)))
    (call $body (local.get $response) (i32.const 0))
    (call $set (local.get $out) (i32.const 0) (local.get $response)
      (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (call $write (i32.load (i32.const 4)) (i32.const 8))
    (i32.load (i32.const 12)))
  (func $close (call $finish (i32.load (i32.const 4)) (i32.const 0) (i32.const 0) (i32.const 32)))"""
"""`$respond` answers and returns the stream of its body, which `$close` completes."""
HELLO = component(
    handle(
        "(call $put (call $respond (local.get $out)) (i32.const 1024) (i32.const 5) (i32.const 32)) (call $close)",
        RESPOND,
    ),
    RESPONDING,
    '(data (i32.const 1024) "hello")',
)


def cgi(code: str, data: str = "", imports: str = "") -> bytes:
    """A command for WASI preview 1. `$say` prints bytes of its memory from an address on."""
    return bytes(
        wasmtime.wat2wasm(f"""(module
      (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      {imports}
      (memory (export "memory") 2)
      (data (i32.const 1024) "{data}")
      (func $say (param $at i32) (param $size i32)
        (loop $more (if (local.get $size) (then
          (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $size))
          (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))
            (then (call $exit (i32.const 9))))
          (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
          (local.set $size (i32.sub (local.get $size) (i32.load (i32.const 8))))
          (br $more)))))
      (func (export "_start") (local $i i32) {code}))""")
    )


class Clocked(ProgramIsolate):
    """One whose clock can be moved on: see `testing.Driver`."""

    __slots__ = ("ahead_ns",)

    def __init__(self, *arguments: Any) -> None:
        self.ahead_ns = 0
        super().__init__(*arguments)

    def now_ns(self) -> int:
        return super().now_ns() + self.ahead_ns


def compiled_here(binary: bytes, name: str, _children: object) -> tuple[bytes, bytes, dict[str, Any]]:
    """`compiler.compiled`, without a process of its own: that is tested by itself."""
    notes, blobs = decode(compile_program(binary), max_header=1 << 22, max_blobs=2)
    if "error" in notes:
        raise ImageError(notes["error"], file=name)
    return bytes(blobs[0]), bytes(blobs[1]), notes
