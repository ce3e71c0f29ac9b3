"""Parse of a core module, as far as the merge needs it: everything but what instructions mean.

Source: WebAssembly core specification 2.0, section 5.5 (modules).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from .binary import Reader, sections
from .errors import WasmFormatError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .leb import Buffer

Kind = Literal["func", "table", "memory", "global"]
KINDS: tuple[Kind, ...] = ("func", "table", "memory", "global")
"""The sort's number in imports and exports is its place here (core specification 5.5.5)."""

I32, I64, F32, F64, V128, FUNCREF, EXTERNREF = 0x7F, 0x7E, 0x7D, 0x7C, 0x7B, 0x70, 0x6F
VALUE_TYPES = frozenset((I32, I64, F32, F64, V128, FUNCREF, EXTERNREF))


class FunctionType(NamedTuple):
    """Value types (one byte each) in and out."""

    params: bytes
    results: bytes


class Limits(NamedTuple):
    """Of a table in entries, of a memory in pages of 64 KiB."""

    minimum: int
    maximum: int | None


class Import(NamedTuple):
    """An import's two names and its sort."""

    module: str
    name: str
    kind: Kind


class Constant(NamedTuple):
    """One instruction of a constant expression: `const` and `global` carry a number, `add` ignores it."""

    op: Literal["const", "global", "add"]
    value: int


class Global(NamedTuple):
    """A global; `initial` is empty for an imported one."""

    value_type: int
    mutable: bool
    initial: tuple[Constant, ...]


class Element(NamedTuple):
    """An active element segment of table 0: function indices from an offset on."""

    offset: tuple[Constant, ...]
    functions: tuple[int, ...]


@dataclass(slots=True)
class CoreModule:
    """A parsed core module. In each index space the imported items come first."""

    types: list[FunctionType] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    imported: dict[Kind, list[Import]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    functions: list[int] = field(default_factory=list)
    """The type index of each function."""
    tables: list[Limits] = field(default_factory=list)
    memories: list[Limits] = field(default_factory=list)
    globals: list[Global] = field(default_factory=list)
    exports: dict[str, tuple[Kind, int]] = field(default_factory=dict)
    start: int | None = None
    elements: list[Element] = field(default_factory=list)
    bodies: list[Buffer] = field(default_factory=list)
    """The code of each function that is not imported: its locals and instructions."""
    data_segments: int = 0
    """Of every kind."""
    constants: list[Buffer] = field(default_factory=list)
    """The passive ones: bytes that code copies into the memory when it wants them."""

    def type_of(self, function: int) -> FunctionType:
        """The type of a function by its index."""
        if function >= len(self.functions):
            raise WasmFormatError(f"there is no function {function}")
        return self.types[self.functions[function]]

    def export(self, name: str, kind: Kind) -> int:
        """The index that is exported under a name; raises `WasmFormatError` if there is none of this sort."""
        found = self.exports.get(name)
        if found is None or found[0] != kind:
            raise WasmFormatError(f"the module exports no {kind} {name!r}")
        return found[1]


def parse_module(binary: Buffer) -> CoreModule:
    """Parse a core module; raises `WasmFormatError`. Code stays unread: `instructions` and the compiler check
    it.
    """
    module = CoreModule()
    for section_id, content in sections(binary):
        reader = Reader(content)
        if section_id == 8:
            module.start = reader.unsigned()
        elif section_id == 11:
            module.data_segments = reader.count()
            found = [_read_data(reader) for _ in range(module.data_segments)]
            module.constants = [data for data in found if data is not None]
            reader.finish()
        elif section_id in _SECTIONS:
            read_item = _SECTIONS[section_id]
            for _ in range(reader.count()):
                read_item(module, reader)
            reader.finish()
        elif section_id not in (0, 12):
            raise WasmFormatError(f"section {section_id} is not supported")
    _check_indices(module)
    return module


def _check_indices(module: CoreModule) -> None:
    sizes = {
        "func": len(module.functions),
        "table": len(module.tables),
        "memory": len(module.memories),
        "global": len(module.globals),
    }
    if any(index >= len(module.types) for index in module.functions):
        raise WasmFormatError("a function has a type that is not defined")
    if len(module.functions) - len(module.imported["func"]) != len(module.bodies):
        raise WasmFormatError("the function and code sections disagree")
    if any(index >= sizes[kind] for kind, index in module.exports.values()):
        raise WasmFormatError("an export names an item that is not defined")
    if any(function >= sizes["func"] for element in module.elements for function in element.functions):
        raise WasmFormatError("an element segment names a function that is not defined")


def read_limits(reader: Reader) -> Limits:
    """Limits of 32-bit tables and unshared memories; everything else is refused."""
    flags = reader.byte()
    if flags > 1:
        raise WasmFormatError(f"limits with flags {flags:#x} are not supported")
    minimum = reader.unsigned()
    return Limits(minimum, reader.unsigned() if flags else None)


def read_constant(reader: Reader) -> tuple[Constant, ...]:
    """A constant expression of integer constants, `global.get` and `i32.add`; anything else is refused."""
    out: list[Constant] = []
    while (op := reader.byte()) != 0x0B:
        if op in (0x41, 0x42):
            out.append(Constant("const", reader.signed(32 if op == 0x41 else 64)))
        elif op == 0x23:
            out.append(Constant("global", reader.unsigned()))
        elif op == 0x6A:
            out.append(Constant("add", 0))
        else:
            raise WasmFormatError(f"opcode {op:#x} in a constant expression is not supported")
    return tuple(out)


def _value_types(reader: Reader) -> bytes:
    types = bytes(reader.sized())
    if not VALUE_TYPES.issuperset(types):
        raise WasmFormatError(f"unknown value type in {types.hex()}")
    return types


def _global_type(reader: Reader) -> tuple[int, bool]:
    value_type, mutable = reader.byte(), reader.byte()
    if value_type not in VALUE_TYPES or mutable > 1:
        raise WasmFormatError(f"a global of type {value_type:#x} {mutable:#x} is not supported")
    return value_type, bool(mutable)


def _kind(reader: Reader) -> Kind:
    number = reader.byte()
    if number >= len(KINDS):
        raise WasmFormatError(f"an import or export of sort {number} is not supported")
    return KINDS[number]


def _read_type(module: CoreModule, reader: Reader) -> None:
    if reader.byte() != 0x60:
        raise WasmFormatError("only function types are supported")
    module.types.append(FunctionType(_value_types(reader), _value_types(reader)))


def _read_import(module: CoreModule, reader: Reader) -> None:
    item = Import(reader.name(), reader.name(), _kind(reader))
    if item.kind == "global":
        module.globals.append(Global(*_global_type(reader), ()))
    else:
        {"func": _read_function, "table": _read_table, "memory": _read_memory}[item.kind](module, reader)
    module.imports.append(item)
    module.imported[item.kind].append(item)


def _read_function(module: CoreModule, reader: Reader) -> None:
    module.functions.append(reader.unsigned())


def _read_table(module: CoreModule, reader: Reader) -> None:
    if reader.byte() != FUNCREF:
        raise WasmFormatError("only tables of functions are supported")
    module.tables.append(read_limits(reader))


def _read_memory(module: CoreModule, reader: Reader) -> None:
    module.memories.append(read_limits(reader))


def _read_global(module: CoreModule, reader: Reader) -> None:
    value_type, mutable = _global_type(reader)
    module.globals.append(Global(value_type, mutable, read_constant(reader)))


def _read_export(module: CoreModule, reader: Reader) -> None:
    name, kind, index = reader.name(), _kind(reader), reader.unsigned()
    if name in module.exports:
        raise WasmFormatError(f"two exports are called {name!r}")
    module.exports[name] = (kind, index)


def _read_element(module: CoreModule, reader: Reader) -> None:
    """Flags 0 to 3, core specification 5.5.12; passive and declared segments put nothing into the table."""
    flags = reader.unsigned()
    if flags > 3:
        raise WasmFormatError("element segments of expressions are not supported")
    if flags == 2 and reader.unsigned() != 0:
        raise WasmFormatError("only table 0 is supported")
    offset = () if flags & 1 else read_constant(reader)
    if flags and reader.byte() != 0:
        raise WasmFormatError("only element segments of functions are supported")
    functions = tuple(reader.unsigned() for _ in range(reader.count()))
    if not flags & 1:
        module.elements.append(Element(offset, functions))


def _read_data(reader: Reader) -> Buffer | None:
    """A passive segment's bytes; None for an active one (flags 0 to 2, core specification 5.5.14)."""
    flags = reader.unsigned()
    if flags > 2 or (flags == 2 and reader.unsigned() != 0):
        raise WasmFormatError("only data segments of memory 0 are supported")
    if flags != 1:
        read_constant(reader)
    data = reader.sized()
    return data if flags == 1 else None


def _read_body(module: CoreModule, reader: Reader) -> None:
    module.bodies.append(reader.sized())


_SECTIONS: dict[int, Callable[[CoreModule, Reader], None]] = {
    1: _read_type,
    2: _read_import,
    3: _read_function,
    4: _read_table,
    5: _read_memory,
    6: _read_global,
    7: _read_export,
    9: _read_element,
    10: _read_body,
}
