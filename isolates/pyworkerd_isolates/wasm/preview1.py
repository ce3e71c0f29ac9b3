"""Make an engine of one core module that was written for WASI preview 1.

What `merge` does for a component: the module's code becomes the engine, its data the image, and what it asks of an
operating system is answered by functions merged in. The rules are those of `system`: time stands still in a call,
random bytes need a key, the environment is empty, no file descriptor is open, and everything else is refused.

Source: WASI preview 1, phases/snapshot/witx/wasi_snapshot_preview1.witx (errno: success 0, badf 8, nosys 52).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .assembly import SYSTEM, Assembly, check_engine, step_exports, system_part
from .binary import WASM_PAGE
from .component import Lowered
from .core import F64, I32, I64, Constant, FunctionType, Limits, parse_module
from .errors import WasmFormatError
from .image import image_of, memory_of
from .linking import Definition, Part, Target
from .merge import Merged
from .system import NEEDS_KEY, REFUSED_CALL, REFUSED_ENTROPY, STATE, value_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .core import CoreModule
    from .leb import Buffer
    from .system import HostCall

WASI = "wasi_snapshot_preview1"
STACK_ROOM = 320
"""Bytes above the module's stack that are for the glue to keep numbers in: they lie where every call writes anyway."""
_STATE_INSTANCE = 0
_BAD_DESCRIPTOR = "(i32.const 8)"
_NOT_SUPPORTED = 52


class Around(NamedTuple):
    """A function of the module that the text has another one around: all of the module calls that instead.

    It is known by being the largest, as the loop of an interpreter is.
    """

    type: FunctionType
    """It has to have this one."""
    inner: str
    """The name by which the text calls the module's."""
    outer: str
    """The text's: it exports it as `host:` and this."""


class Glue(NamedTuple):
    """What joins the module with the host: text of functions that import what the module exports, from `module`."""

    text: str
    """Functions, among them `<name>_at` and `prepare_<name>` for each of `exports`, and those that answer imports. The
    global `$stack` is the module's stack pointer."""
    uses: Mapping[str, tuple[str, str]]
    """Exports of the module that the text calls, and what it was joined with, with their type: value types in and out,
    `i`, `l` and `d`."""
    answers: Mapping[tuple[str, str], str]
    """The module's other imports, and the function of the text that answers each."""
    exports: Sequence[str]
    constants: Mapping[tuple[str, str], int] = {}
    """Other imports that always answer the same number."""
    slots: int = 0
    """Of the table, from the first one that was free, that the text puts functions into."""
    around: Around | None = None


_NO_GLUE = Glue("", {}, {}, ())


class Ground(NamedTuple):
    """What is free in a module that others are joined with, and what they share."""

    address: int
    slot: int
    stack: Definition
    room: int
    """Address of the `STACK_ROOM` bytes."""


class Joined(NamedTuple):
    """Other code that becomes a part of the engine."""

    parts: Mapping[int, Part]
    data: Sequence[tuple[int, bytes]]
    """By address."""
    slots: int
    """Of the table, from the first one that was free."""
    exports: Mapping[str, Definition]
    calls: Mapping[Lowered, FunctionType]
    """What it asks of its surroundings."""


def lone_engine(
    binary: bytes,
    make_glue: Callable[[int, int], Glue],
    assemble: Callable[[str], bytes],
    join: Callable[[Ground], Joined] | None = None,
    rework: Callable[[CoreModule], None] | None = None,
) -> Merged:
    """The engine and the first image of a core module. Raises `WasmFormatError`.

    `make_glue` is given the address of the `STACK_ROOM` bytes and the first free slot of the table. The module has a
    memory, a table, active data, and as its first global the stack pointer, as every module that LLVM made. What `join`
    gives shares all of these. `rework` may change the module's code before.
    """
    module = parse_module(binary)
    if rework is not None:
        rework(module)
    room = _lower_stack(module)
    glue = make_glue(room, module.tables[0].minimum)
    module.tables[0] = Limits(module.tables[0].minimum + glue.slots, None)
    calls = {
        Lowered(item.module, item.name, None): module.type_of(place)
        for place, item in enumerate(module.imported["func"])
    }
    if len(module.imports) != len(calls):
        raise WasmFormatError("the module imports something besides functions")
    own = [Definition(_STATE_INSTANCE, index) for index in range(len(calls), len(module.functions))]
    functions: list[Target] = [*calls, *own]
    part = Part(module, functions, [Definition(_STATE_INSTANCE, i) for i in range(len(module.globals))])
    memory: Buffer = memory_of(binary)
    joined = Joined({}, (), 0, {}, {})
    if join is not None:
        joined = join(Ground(len(memory), module.tables[0].minimum, Definition(_STATE_INSTANCE, 0), room))
        module.tables[0] = Limits(module.tables[0].minimum + joined.slots, None)
        memory = _with(memory, joined.data)
        module.memories[0] = Limits(len(memory) // WASM_PAGE, None)
    calls.update(joined.calls)
    refusals: list[str] = []
    text = _text(calls, glue, refusals)
    guest = {
        name: joined.exports.get(name) or Definition(_STATE_INSTANCE, module.export(name, "func"))
        for name in glue.uses
    }
    if glue.around is not None:
        inner = _largest(module, glue.around.type)
        guest[glue.around.inner] = Definition(_STATE_INSTANCE, inner)
    system = system_part(assemble(text), guest, {"stack": Definition(_STATE_INSTANCE, 0)})
    if glue.around is not None:
        functions[inner] = Definition(SYSTEM, system.module.export(f"host:{glue.around.outer}", "func"))
    parts = {_STATE_INSTANCE: part, **joined.parts}
    engine = Assembly(parts, _STATE_INSTANCE, system, list(calls)).write(())
    check_engine(engine, step_exports(glue.exports))
    return Merged(engine, image_of(memory), tuple(refusals))


def _with(memory: Buffer, data: Sequence[tuple[int, bytes]]) -> bytearray:
    """The memory with more data behind it, a whole number of pages."""
    if min(address for address, _ in data) < len(memory):
        raise WasmFormatError("two parts of an engine have data at the same place")
    end = max(address + len(content) for address, content in data)
    grown = bytearray(memory) + bytes(-(-end // WASM_PAGE) * WASM_PAGE - len(memory))
    for address, content in data:
        grown[address : address + len(content)] = content
    return grown


def _largest(module: CoreModule, type_: FunctionType) -> int:
    """The number of the function that has most code; raises `WasmFormatError` unless it has this type."""
    sizes = [len(body) for body in module.bodies]
    found = len(module.imported["func"]) + sizes.index(max(sizes))
    if module.type_of(found) != type_:
        raise WasmFormatError("the module's largest function has another type than its interpreter had")
    return found


def _lower_stack(module: CoreModule) -> int:
    """Let the stack begin lower. Returns the address of what is free above it."""
    if not module.globals or module.start is not None:
        raise WasmFormatError("the module has no stack pointer, or a start function")
    pointer = module.globals[0]
    match pointer.initial:
        case (Constant("const", top),) if pointer.mutable and pointer.value_type == I32 and top > STACK_ROOM:
            lowered = (Constant("const", top - STACK_ROOM),)
            module.globals[0] = pointer._replace(initial=lowered)
            return top - STACK_ROOM
    raise WasmFormatError("the module's first global is not a stack pointer")


def _text(calls: Mapping[Lowered, FunctionType], glue: Glue, refusals: list[str]) -> str:
    from .chacha import generator  # noqa: PLC0415 - long text, needed once per machine

    answers = [_answer(place, item, calls[item], glue, refusals) for place, item in enumerate(calls)]
    uses = [
        f'(import "guest" "{name}" (func ${name}{_signature(*map(_types, kinds))}))'
        for name, kinds in glue.uses.items()
    ]
    if glue.around is not None:
        inner, type_ = glue.around.inner, glue.around.type
        uses.append(f'(import "guest" "{inner}" (func ${inner}{_signature(*type_)}))')
    return "\n".join(
        (
            "(module",
            *uses,
            '(import "image" "memory" (memory 0))',
            '(import "image" "table" (table 0 funcref))',
            '(import "image" "stack" (global $stack (mut i32)))',
            STATE,
            generator(),
            FILL_EXACTLY,
            glue.text,
            *answers,
            ")",
        )
    )


def _answer(place: int, item: Lowered, kind: FunctionType, glue: Glue, refusals: list[str]) -> str:
    function = f'(func (export "host:{place}"){_signature(*kind)}'
    arguments = " ".join(f"(local.get {i})" for i in range(len(kind.params)))
    if (answered := glue.answers.get((item.module, item.name))) is not None:
        return f"{function} (call ${answered} {arguments}))"
    if (constant := glue.constants.get((item.module, item.name))) is not None:
        return f"{function} ({value_name(kind.results[0])}.const {constant}))"
    name, number = f"{item.module} {item.name}", len(refusals)
    if item.module == WASI and item.name in _ANSWERS:
        params, results, body = _ANSWERS[item.name]
        if kind != FunctionType(_types(params), _types(results)):
            raise WasmFormatError(f"the module imports {name} with another signature than WASI has")
        if "$fill_exactly" in body:
            refusals.append(name)
            body = NEEDS_KEY.format(kind=REFUSED_ENTROPY, number=number) + body
        return f"{function} {body})"
    refusals.append(name)
    return f"{function} (call $refuse (i32.const {REFUSED_CALL}) (i32.const {number})) unreachable)"


def lone_answer(place: int, call: HostCall, refusals: list[str]) -> str:
    """The text of `host:<place>` for a function of WASI that nobody answers: an errno where it has one, `nosys` for
    what is not known.
    """
    item = Lowered(call.module, call.name, None)
    if call.name not in _ANSWERS and call.type.results == bytes((I32,)):
        return f'(func (export "host:{place}"){_signature(*call.type)} (i32.const {_NOT_SUPPORTED}))'
    return _answer(place, item, call.type, _NO_GLUE, refusals)


def _types(letters: str) -> bytes:
    return bytes({"i": I32, "l": I64, "d": F64}[letter] for letter in letters)


def _signature(params: bytes, results: bytes) -> str:
    return "".join(
        f" ({what} {value_name(kind)})"
        for what, kinds in (("param", params), ("result", results))
        for kind in kinds
    )


_EMPTY_SIZES = "(i32.store (local.get 0) (i32.const 0)) (i32.store (local.get 1) (i32.const 0)) (i32.const 0)"
_ANSWERS: dict[str, tuple[str, str, str]] = {
    "clock_time_get": ("ili", "i", "(i64.store (local.get 2) (global.get $now_ns)) (i32.const 0)"),
    "clock_res_get": ("ii", "i", "(i64.store (local.get 1) (i64.const 1)) (i32.const 0)"),
    "random_get": ("ii", "i", "(call $fill_exactly (local.get 0) (local.get 1)) (i32.const 0)"),
    "environ_sizes_get": ("ii", "i", _EMPTY_SIZES),
    "environ_get": ("ii", "i", "(i32.const 0)"),
    "args_sizes_get": ("ii", "i", _EMPTY_SIZES),
    "args_get": ("ii", "i", "(i32.const 0)"),
    "fd_close": ("i", "i", _BAD_DESCRIPTOR),
    "fd_fdstat_get": ("ii", "i", _BAD_DESCRIPTOR),
    "fd_seek": ("ilii", "i", _BAD_DESCRIPTOR),
    "fd_write": ("iiii", "i", _BAD_DESCRIPTOR),
    "fd_read": ("iiii", "i", _BAD_DESCRIPTOR),
    "fd_prestat_get": ("ii", "i", _BAD_DESCRIPTOR),
    "sched_yield": ("", "i", "(i32.const 0)"),
}
"""Value types in and out, and the body."""
_WORDS = range(8)
FILL_EXACTLY = "\n".join(
    (
        "(func $fill_exactly (param $at i32) (param $size i32)",
        *(f"  (local $w{i} i32)" for i in _WORDS),
        "  (local $end i32)",
        "  (local.set $end (i32.add (local.get $at) (i32.and (local.get $size) (i32.const -32))))",
        "  (call $fill (local.get $at) (local.get $end))",
        "  (local.set $at (local.get $end))",
        "  (local.set $size (i32.and (local.get $size) (i32.const 31)))",
        "  call $draw",
        *(f"  local.set $w{i}" for i in reversed(_WORDS)),
        *(
            f"  (if (i32.lt_u (local.get $size) (i32.const {4 * i + 4})) (then"
            f" (call $rest (local.get $at) (local.get $w{i}) (i32.and (local.get $size) (i32.const 3))) return))"
            f" (i32.store (local.get $at) (local.get $w{i}))"
            " (local.set $at (i32.add (local.get $at) (i32.const 4)))"
            for i in _WORDS
        ),
        ")",
        """\
(func $rest (param $at i32) (param $word i32) (param $size i32)
  (loop $more (if (local.get $size) (then
    (i32.store8 (local.get $at) (local.get $word))
    (local.set $word (i32.shr_u (local.get $word) (i32.const 8)))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (local.set $size (i32.sub (local.get $size) (i32.const 1)))
    (br $more)))))""",
    )
)
"""`$fill_exactly`: random bytes from an address on, as many as are asked for and not one more."""
