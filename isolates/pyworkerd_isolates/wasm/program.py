"""Make an engine and an image of a program that somebody else's compiler made: a component that exports
`wasi:http/incoming-handler`, or a core module for WASI preview 1 that is run from `_start`.

The merge is that of `merge` and `preview1`, and so are the answers that need no host: entropy, clocks that stand still,
files and sockets that are not there. What is left are *questions* (`questions`). Each is a call of one import,
`host.ask`, with a number and what it asks about; the call waits, on the program's own native stack, until the host has
written an answer. So the engine of a program imports two things, its memory and `host.ask`, and `check_engine` sees to
that.

An answer that needs memory in the program cannot take it itself, since the program is in the middle of a call. It says
so, the functions here call the program's allocator, and ask again (`questions.ALLOCATE`, `FILL`).

Nothing of the program has run when this is done: its memory is what its data say, and start functions run in each
isolate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from .assembly import (
    ASK,
    ASKED,
    MEMORY,
    MEMORY_GROW,
    MEMORY_SIZE,
    Assembly,
    check_engine,
    system_part,
)
from .binary import COMPONENT_HEADER, MODULE_HEADER
from .chacha import generator
from .component import RESOURCE, Lowered, parse_component
from .core import I32, I64, CoreModule, FunctionType, parse_module
from .errors import WasmFormatError
from .image import image_of, memory_of
from .linking import Definition, Linkage, Part, Target
from .preview1 import FILL_EXACTLY, WASI, lone_answer
from .questions import ALLOCATE, CONTINUE, DROP, FILL, KINDS, OLDER
from .system import REALLOC, STATE, HostCall, call_name, host_function, value_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

HANDLER: Final = "wasi:http/incoming-handler"
ENTRY: Final = "handle_at"
"""What the engine exports: time, handle of the request, handle of its answer; a core module looks at none of them."""
MAX_MEMORY: Final = 1 << 30
MAX_SPREAD: Final = 128 << 20
"""Bytes of memory over which the file's data is spread: on disk an image has all of them. Compilers put data together;
CPython as a component has 30 MB.
"""
MAX_ENTRIES: Final = 1 << 18
"""Of the table, 8 bytes of the host's memory in each isolate: more than a hundred thousand functions no program has."""
MAX_GLOBALS: Final = 1 << 14
"""16 bytes of the host's memory in each isolate."""
_HANDLE: Final = FunctionType(bytes((I32, I32)), b"")
_REALLOC_TYPE: Final = FunctionType(bytes((I32,) * 4), bytes((I32,)))
_NOTHING: Final = FunctionType(b"", b"")
_ONLY: Final = 0
"""The number of the part that a lone core module is."""
_MOST: Final = 9
"""Parameters of a question."""


class Program(NamedTuple):
    """Two core modules; the names of questions by their numbers; and those of refused system calls."""

    engine: bytes
    image: bytes
    questions: tuple[str, ...]
    refusals: tuple[str, ...]
    memory_size: int
    """Bytes that it begins with."""
    is_component: bool


class _Parts(NamedTuple):
    """What is merged: core instances, where memory and table are, what is imported, and what is called."""

    parts: Mapping[int, Part]
    state: int
    table: int | None
    binary: bytes
    """Of the module whose data the memory begins with."""
    calls: dict[Lowered, HostCall]
    guest: dict[str, Definition]
    """What the system calls of the program, by the names of its own imports."""
    pages: int
    """Of memory that it begins with."""
    starts: int
    handler: str
    """How the program is called."""


def make_program(binary: bytes, assemble: Callable[[str], bytes]) -> Program:
    """The engine and the image of a program. Raises `WasmFormatError` for what is none, or not supported.

    `assemble` turns WebAssembly text into a binary.
    """
    is_component = binary.startswith(COMPONENT_HEADER)
    if not is_component and not binary.startswith(MODULE_HEADER):
        raise WasmFormatError("this is neither a component nor a core module of WebAssembly")
    found = _of_component(binary) if is_component else _of_module(binary)
    _check_sizes(found.parts.values())
    refusals: list[str] = []
    questions: list[str] = []
    text = _text(found, questions, refusals)
    guest: dict[str, Target] = {**found.guest, "ask": ASKED}
    system = system_part(assemble(text), guest)
    assembly = Assembly(found.parts, found.state, system, list(found.calls), found.table)
    engine = assembly.write(())
    check_engine(engine, [ENTRY], (MEMORY, ASK))
    memory = memory_of(found.binary, MAX_MEMORY)
    image = image_of(memory, maximum_spread=MAX_SPREAD)
    return Program(engine, image, tuple(questions), tuple(refusals), len(memory), is_component)


# parts ---------------------------------------------------------------------------------------------------------------


def _of_component(binary: bytes) -> _Parts:
    linkage = Linkage(parse_component(binary), fresh=True)
    exported = linkage.interface(HANDLER)
    if exported is None or "handle" not in exported:
        raise WasmFormatError(
            f"the component does not export {HANDLER}@0.2: build it for the world wasi:http/proxy"
        )
    lifted = exported["handle"]
    guest = {"handle": linkage.core_function(lifted.function)}
    _check_type(linkage.type_of(guest["handle"]), _HANDLE, f"{HANDLER} handle")
    allocators: dict[Definition, int] = {}
    calls: dict[Lowered, HostCall] = {}
    for part in linkage.parts.values():
        for index in range(len(part.module.imported["func"])):
            target = part.functions[index]
            if isinstance(target, Lowered) and target not in calls:
                allocator = None
                if target.realloc is not None:
                    definition = linkage.core_function(target.realloc)
                    _check_type(linkage.type_of(definition), _REALLOC_TYPE, "a realloc function")
                    allocator = allocators.setdefault(definition, len(allocators))
                calls[target] = HostCall(target.module, target.name, part.module.type_of(index), allocator)
    guest |= {f"realloc:{number}": definition for definition, number in allocators.items()}
    starts = linkage.starts()
    for number, start in enumerate(starts):
        _check_type(linkage.type_of(start), _NOTHING, "a start function")
        guest[f"start:{number}"] = start
    return _Parts(
        linkage.parts,
        linkage.state,
        linkage.table,
        linkage.state_module(),
        calls,
        guest,
        linkage.parts[linkage.state].module.memories[0].minimum,
        len(starts),
        "handle",
    )


def _of_module(binary: bytes) -> _Parts:
    module = parse_module(binary)
    _check_module(module)
    lowered = [Lowered(item.module, item.name, None) for item in module.imported["func"]]
    own = [Definition(_ONLY, index) for index in range(len(lowered), len(module.functions))]
    functions: list[Target] = [*lowered, *own]
    part = Part(module, functions, [Definition(_ONLY, index) for index in range(len(module.globals))])
    calls = {
        call: HostCall(call.module, call.name, module.type_of(index)) for index, call in enumerate(lowered)
    }
    if "_start" not in module.exports:
        raise WasmFormatError(
            "the module exports no _start: build it as a command for WASI preview 1, or as a component for "
            "the world wasi:http/proxy"
        )
    guest = {"_start": Definition(_ONLY, module.export("_start", "func"))}
    if module.start is not None:
        guest["start:0"] = Definition(_ONLY, module.start)
    for definition in guest.values():
        if definition.place < len(lowered):
            raise WasmFormatError("the module begins with something that it imports")
        _check_type(module.type_of(definition.place), _NOTHING, "_start")
    pages = module.memories[0].minimum
    return _Parts({_ONLY: part}, _ONLY, None, binary, calls, guest, pages, len(guest) - 1, "_start")


def _check_sizes(parts: Collection[Part]) -> None:
    """What the limit of the memory does not count: an isolate has it on the host."""
    entries = max((table.minimum for part in parts for table in part.module.tables), default=0)
    globals_ = sum(len(part.module.globals) - len(part.module.imported["global"]) for part in parts)
    for found, most, what in ((entries, MAX_ENTRIES, "table entries"), (globals_, MAX_GLOBALS, "globals")):
        if found > most:
            raise WasmFormatError(f"the program has {found} {what}; at most {most} are supported")


def _check_module(module: CoreModule) -> None:
    if len(module.imports) != len(module.imported["func"]):
        raise WasmFormatError("the module imports something besides functions")
    if len(module.memories) != 1 or len(module.tables) > 1:
        raise WasmFormatError("the module has to define one memory, and one table at most")


def _check_type(found: FunctionType, wanted: FunctionType, what: str) -> None:
    if found != wanted:
        raise WasmFormatError(f"{what} has another type than WASI says")


# text ----------------------------------------------------------------------------------------------------------------


def _text(found: _Parts, questions: list[str], refusals: list[str]) -> str:
    answers = [_answer(place, call, questions, refusals) for place, call in enumerate(found.calls.values())]
    allocators = sorted({call.allocator for call in found.calls.values() if call.allocator is not None})
    handled = "(local.get 1) (local.get 2)" if found.handler == "handle" else ""
    starts = range(found.starts)
    lines = [
        "(module",
        '(import "guest" "ask" (func $ask (param i32' + " i64" * _MOST + ") (result i64)))",
        *(REALLOC.format(number=number) for number in allocators),
        *(f'(import "guest" "start:{number}" (func $start:{number}))' for number in starts),
        f'(import "guest" "{found.handler}" (func $enter{" (param i32 i32)" if handled else ""}))',
        '(import "image" "memory" (memory 0))',
        STATE,
        generator(),
        FILL_EXACTLY,
        _SIZES.format(pages=found.pages, size=MEMORY_SIZE, grow=MEMORY_GROW),
        *(_ASK_WITH_MEMORY.format(number=number, **_WORDS) for number in allocators),
        "(global $started (mut i32) (i32.const 0))",
        f'(func (export "{ENTRY}") (param i64 i32 i32) (result i32)',
        "  (global.set $now_ns (local.get 0))",
        "  (call $refuse (i32.const 0) (i32.const 0))",
        "  (if (i32.eqz (global.get $started)) (then (global.set $started (i32.const 1))",
        *(f"    (call $start:{number})" for number in starts),
        "  ))",
        f"  (call $enter {handled})",
        "  (i32.const 0))",
        *answers,
        ")",
    ]
    return "\n".join(lines)


def _answer(place: int, call: HostCall, questions: list[str], refusals: list[str]) -> str:
    name = (
        DROP
        if call.module == RESOURCE and call.name.startswith("drop ")
        else call_name(call.module, call.name)
    )
    letters = _letters(call.type)
    name = OLDER.get((name, letters), name)
    if name in KINDS:
        if KINDS[name] != letters:
            raise WasmFormatError(f"the program imports {name} with another type than WASI has")
        if name not in questions:
            questions.append(name)
        return _question(place, call, questions.index(name))
    if call.module == WASI:
        return lone_answer(place, call, refusals)
    return host_function(place, call, refusals)


def _letters(kind: FunctionType) -> str:
    names = {I32: "i", I64: "l"}
    return ":".join("".join(names.get(x, "?") for x in part) for part in kind)


def _question(place: int, call: HostCall, number: int) -> str:
    params, results = call.type
    given = [
        f"(local.get {i})" if kind == I64 else f"(i64.extend_i32_u (local.get {i}))"
        for i, kind in enumerate(params)
    ]
    given += ["(i64.const 0)"] * (_MOST - len(given))
    wide = results == bytes((I64,))
    ask = "ask" if call.allocator is None or wide else f"ask:{call.allocator}"
    asked = f"(call ${ask} (i32.const {number}) {' '.join(given)})"
    signature = "".join(f" (param {value_name(x)})" for x in params)
    signature += "".join(f" (result {value_name(x)})" for x in results)
    body = asked if wide else f"(i32.wrap_i64 {asked})" if results else f"(drop {asked})"
    return f'(func (export "host:{place}"){signature} {body})'


_SIZES: Final = """\
(global $pages (mut i32) (i32.const {pages}))
(func (export "{size}") (result i32) (global.get $pages))
(func (export "{grow}") (param $more i32) (result i32) (local $before i32) (local $after i32)
  (local.set $before (global.get $pages))
  (local.set $after (i32.add (local.get $before) (local.get $more)))
  (if (i32.lt_u (local.get $after) (local.get $before)) (then (return (i32.const -1))))
  (if (i32.gt_u (local.get $after) (memory.size)) (then
    (if (i32.eq (i32.const -1) (memory.grow (i32.sub (local.get $after) (memory.size))))
      (then (return (i32.const -1))))))
  (global.set $pages (local.get $after))
  (local.get $before))"""
"""What the program believes of its memory's size. A memory never becomes smaller, but one that has grown for a request
can so be used again for the next, which begins with what the file says: see `component.instance`.
"""
_WORDS: Final = {
    "params": " ".join(f"(param $p{i} i64)" for i in range(_MOST)),
    "given": " ".join(f"(local.get $p{i})" for i in range(_MOST)),
    "nothing": " ".join(["(i64.const 0)"] * (_MOST - 1)),
    "allocate": ALLOCATE,
    "fill": FILL,
    "go_on": CONTINUE,
}
_ASK_WITH_MEMORY: Final = """\
(func $ask:{number} (param $question i32) {params} (result i64)
  (local $answer i64) (local $kind i32) (local $low i32) (local $count i32)
  (local.set $answer (call $ask (local.get $question) {given}))
  (loop $again
    (local.set $kind (i32.wrap_i64 (i64.shr_u (local.get $answer) (i64.const 32))))
    (if (i32.eqz (local.get $kind)) (then (return (local.get $answer))))
    (local.set $low (i32.wrap_i64 (local.get $answer)))
    (local.set $count (i32.shr_u (local.get $kind) (i32.const 8)))
    (if (i32.eq (i32.and (local.get $kind) (i32.const 255)) (i32.const {allocate}))
      (then (local.set $low (call $realloc{number}
        (i32.const 0) (i32.const 0) (local.get $count) (local.get $low))))
      (else (loop $next (if (local.get $count) (then
        (i32.store (local.get $low) (call $realloc{number}
          (i32.const 0) (i32.const 0) (i32.const 1) (i32.load offset=4 (local.get $low))))
        (local.set $low (i32.add (local.get $low) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next))))))
    (local.set $answer (call $ask (i32.const {go_on}) (i64.extend_i32_u (local.get $low)) {nothing}))
    (br $again))
  unreachable)"""
