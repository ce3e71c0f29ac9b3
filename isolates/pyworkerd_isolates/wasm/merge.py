"""Make of a component one engine (all code, no state) and one image (all state, no code).

componentize-py builds a component of a dozen core modules. One of them defines memory, table, globals and
data; the others are position-independent libraries that import these. Started as it is, its function table of
thousands of entries has to be filled at every start, because an imported table cannot be filled lazily, and
thousands of imports are matched by name. Merged, the engine owns its table and imports nothing but a memory.

The component's own imports are answered by functions that `system` writes and that are merged in as well. So
no call ever leaves the sandbox; `check_engine` reads the result again and raises if anything else could be
the case.

What it relies on: libraries were linked and initialised when the component was built, none is loaded at run
time, and at rest every global is back at the value that it has in the component. So globals are part of the
engine, and a memory alone is a whole snapshot. *At rest* means after the post-return function of the last
call: until then the answer of a call lies on the guest's stack. So run `prepare_<name>(previous, 0)` before a
memory is written down, and begin with `previous = 0` on an isolate that is started from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .assembly import Assembly, check_engine, step_exports, system_part
from .component import Lowered, parse_component
from .core import I32, FunctionType
from .errors import WasmFormatError
from .image import image_of, memory_of
from .linking import Definition, Linkage
from .system import ExportedCall, HostCall, system_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LIST_TO_LIST = FunctionType(bytes((I32, I32)), bytes((I32,)))
"""`func(list<u8>) -> list<u8>` in the canonical ABI: pointer and length in, the address of pointer and length
out.
"""
_POST_RETURN = FunctionType(bytes((I32,)), b"")
_REALLOC = FunctionType(bytes((I32,) * 4), bytes((I32,)))


class Merged(NamedTuple):
    """Two core modules, and the names of system calls by the number that the engine's `refused_call()`
    returns.
    """

    engine: bytes
    image: bytes
    refusals: tuple[str, ...]


def merge(component: bytes, assemble: Callable[[str], bytes], called_often: Sequence[int] = ()) -> Merged:
    """Merge a component whose exported functions all are `func(list<u8>) -> list<u8>`; raises
    `WasmFormatError`.

    `assemble` turns WebAssembly text into a binary (`wasmtime.wat2wasm`). `called_often` are numbers of the
    engine's functions that most steps call through the table: what an isolate needs to know of them then lies
    together. The same arguments give the same bytes.
    """
    linkage = Linkage(parse_component(component))
    allocators: dict[Definition, int] = {}
    calls = _host_calls(linkage, allocators)
    guest, exports = _exports(linkage, allocators)
    guest["free"] = linkage.library_function("free")
    _check_type(linkage, guest["free"], _POST_RETURN, "free()")
    guest |= {f"realloc:{number}": definition for definition, number in allocators.items()}
    for definition in allocators:
        _check_type(linkage, definition, _REALLOC, "a realloc function")
    system = system_text(list(calls.values()), exports)
    part = system_part(assemble(system.text), guest)
    engine = Assembly(linkage.parts, linkage.state, part, list(calls)).write(called_often)
    check_engine(engine, step_exports(export.name for export in exports))
    return Merged(engine, image_of(memory_of(linkage.state_module())), system.refusals)


def _host_calls(linkage: Linkage, allocators: dict[Definition, int]) -> dict[Lowered, HostCall]:
    """Every import of the component that code refers to, in the order of reference."""
    calls: dict[Lowered, HostCall] = {}
    for part in linkage.parts.values():
        for index in range(len(part.module.imported["func"])):
            target = part.functions[index]
            if isinstance(target, Lowered) and target not in calls:
                allocator = None
                if target.realloc is not None:
                    definition = linkage.core_function(target.realloc)
                    allocator = allocators.setdefault(definition, len(allocators))
                calls[target] = HostCall(target.module, target.name, part.module.type_of(index), allocator)
    return calls


def _exports(
    linkage: Linkage, allocators: dict[Definition, int]
) -> tuple[dict[str, Definition], list[ExportedCall]]:
    guest: dict[str, Definition] = {}
    exports: list[ExportedCall] = []
    for key, lifted in linkage.exports():
        if lifted.realloc is None or lifted.post_return is None:
            raise WasmFormatError(f"export {key!r} is not of the form func(list<u8>) -> list<u8>")
        call, post = linkage.core_function(lifted.function), linkage.core_function(lifted.post_return)
        _check_type(linkage, call, _LIST_TO_LIST, f"export {key!r}")
        _check_type(linkage, post, _POST_RETURN, f"the post-return function of {key!r}")
        guest |= {f"call:{key}": call, f"post:{key}": post}
        allocator = allocators.setdefault(linkage.core_function(lifted.realloc), len(allocators))
        exports.append(ExportedCall(key, allocator))
    if not exports:
        raise WasmFormatError("the component exports no function of its own (only interfaces, or nothing)")
    return guest, exports


def _check_type(linkage: Linkage, definition: Definition, wanted: FunctionType, what: str) -> None:
    if linkage.type_of(definition) != wanted:
        raise WasmFormatError(f"{what} does not have the type that func(list<u8>) -> list<u8> brings with it")
