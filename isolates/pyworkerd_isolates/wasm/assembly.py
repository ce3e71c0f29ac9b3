"""Write an engine: the parts of it behind each other in one module, and what they say of each other renumbered.

A part is a core module, and what each of its functions and globals really is (`linking.Part`). One of the parts defines
memory, table, globals and data: the state. Another is the system (`system`, `preview1`), whose functions answer what
the others import, and which alone may have constants: passive data, which its code copies into the memory when it
wants some. The engine owns its table and imports nothing but a memory; `check_engine` reads the result again and raises
if anything else could be the case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .binary import MODULE_HEADER, name, section, vector
from .component import Lowered
from .core import FUNCREF, I32, I64, KINDS, Constant, FunctionType, Global, Import, parse_module
from .errors import WasmFormatError
from .instructions import Renumbering, renumber
from .leb import encode_signed, encode_unsigned
from .linking import Definition, Part, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .core import CoreModule

SYSTEM = -1
"""The number of the system's part: the others have that of their instance."""
_NOTHING = FunctionType(b"", b"")
_NUMBER = FunctionType(b"", bytes((I32,)))
_RESET, _AT_REST = "reset", "at_rest"
_STANDARD_EXPORTS = frozenset(("memory", "now_ns", "seed", "refused", "refused_call", _RESET, _AT_REST))
_GLOBAL_GET, _GLOBAL_SET, _I32_CONST, _I32_AND, _END = b"\x23", b"\x24", b"\x41", b"\x71", b"\x0b"
_EQUAL = {I32: b"\x46", I64: b"\x51"}


MEMORY = Import("image", "memory", "memory")
"""What every engine imports."""
ASK = Import("host", "ask", "func")
"""What the engine of a program imports besides, for calls that wait: see `program`."""
ASK_TYPE = FunctionType(bytes((I32, *(I64,) * 9)), bytes((I64,)))
"""The number of a question, and what it asks about; the answer."""
ASKED = Lowered(ASK.module, ASK.name, None)
"""The same, for code that calls it."""
MEMORY_SIZE, MEMORY_GROW = "host:memory_size", "host:memory_grow"
"""What the system of a program exports for all others to call instead of the instructions."""


def check_engine(engine: bytes, exports: Iterable[str], imports: Sequence[Import] = (MEMORY,)) -> None:
    """Raise `WasmFormatError` unless the module is an engine of code and constants that reaches nothing but its
    memory, or what else is named by `imports`.
    """
    module = parse_module(engine)
    if module.imports != list(imports):
        raise WasmFormatError(f"the engine imports {module.imports}, not just its memory")
    active = module.data_segments - len(module.constants)
    if len(module.memories) != 1 or active or module.start is not None:
        raise WasmFormatError("the engine has a memory, active data or a start function of its own")
    wanted = _STANDARD_EXPORTS.union(exports)
    if module.exports.keys() != wanted:
        raise WasmFormatError(f"the engine exports {sorted(module.exports.keys() ^ wanted)} wrongly")


def step_exports(names: Iterable[str]) -> list[str]:
    """What an engine exports for each function that takes bytes and gives bytes."""
    return [export for name in names for export in (f"{name}_at", f"prepare_{name}")]


def system_part(
    binary: bytes, guest: Mapping[str, Target], globals_: Mapping[str, Definition] | None = None
) -> Part:
    """The system as a part; `guest` says which functions of the others its imports are, `globals_` which globals."""
    module = parse_module(binary)
    if module.data_segments != len(module.constants):
        raise WasmFormatError("the system has data that is copied into the memory at the start")
    imported: list[Target] = [guest[item.name] for item in module.imported["func"]]
    own = [Definition(SYSTEM, index) for index in range(len(imported), len(module.functions))]
    shared = [(globals_ or {})[item.name] for item in module.imported["global"]]
    own_globals = [Definition(SYSTEM, index) for index in range(len(shared), len(module.globals))]
    return Part(module, [*imported, *own], [*shared, *own_globals])


class Assembly:
    """Lays the parts out behind each other in one module and renumbers what they say of each other.

    `calls` are imports of the parts; the system exports the answer to each as `host:<place>`.
    """

    def __init__(
        self,
        parts: Mapping[int, Part],
        state: int,
        system: Part,
        calls: Sequence[Target],
        table: int | None = None,
    ) -> None:
        self._parts = {**parts, SYSTEM: system}
        self._state = parts[state].module
        """Where the memory is, and the table, unless `table` is another part."""
        self._entries = _table_size(parts[state if table is None else table].module)
        self._asks = ASKED in system.functions
        self._types: dict[FunctionType, int] = {}
        self._functions: dict[Target, int] = {}
        self._globals: dict[Definition, int] = {}
        if self._asks:
            self._functions[ASKED] = 0
        for number, part in self._parts.items():
            module = part.module
            for index in range(len(module.imported["func"]), len(module.functions)):
                self._functions[Definition(number, index)] = len(self._functions)
            for index in range(len(module.imported["global"]), len(module.globals)):
                self._globals[Definition(number, index)] = len(self._globals)
        self._reset_function = len(self._functions)
        """Its number: it comes behind all the others, and `at_rest` behind it."""
        for place, call in enumerate(calls):
            answer = Definition(SYSTEM, system.module.export(f"host:{place}", "func"))
            self._functions[call] = self._functions[answer]

    def write(self, called_often: Sequence[int]) -> bytes:
        """The engine's binary."""
        table, limits = self._table(), self._state.memories[0]
        bodies, function_types = self._code()
        constants = self._parts[SYSTEM].module.constants
        asked = (
            [name(ASK.module) + name(ASK.name) + b"\0" + self._type_number(ASK_TYPE)] if self._asks else []
        )
        entries = encode_unsigned(self._entries)
        memory = b"\x02\0" + encode_unsigned(limits.minimum)
        contents = {
            1: [b"\x60" + _sized(params) + _sized(results) for params, results in self._types],
            2: [name(MEMORY.module) + name(MEMORY.name) + memory, *asked],
            3: function_types,
            4: [bytes((FUNCREF, 1)) + entries + entries],
            6: [self._global(definition) for definition in self._globals],
            7: self._export_section(),
            9: [
                _declared(called_often, frozenset(table.values())),
                *(
                    b"\0\x41"
                    + encode_signed(start)
                    + b"\x0b"
                    + vector([encode_unsigned(x) for x in functions])
                    for start, functions in _runs(table)
                ),
            ],
            12: [b""] * len(constants),
            10: bodies,
            11: [b"\x01" + _sized(bytes(each)) for each in constants],
        }
        return MODULE_HEADER + b"".join(section(number, vector(items)) for number, items in contents.items())

    def _code(self) -> tuple[list[bytes], list[bytes]]:
        """Bodies with their sizes, and the type of each."""
        bodies: list[bytes] = []
        function_types: list[bytes] = []
        for part in self._parts.values():
            module = part.module
            types = [self._types.setdefault(x, len(self._types)) for x in module.types]
            globals_ = [self._globals[x] for x in part.globals]
            constants = range(len(module.constants)) if part is self._parts[SYSTEM] else ()
            sizes = None if part is self._parts[SYSTEM] else self._sizes()
            functions = [self._functions[x] for x in part.functions]
            numbers = Renumbering(functions, types, globals_, constants, sizes)
            bodies += [_sized(renumber(body, numbers)) for body in module.bodies]
            own = module.functions[len(module.imported["func"]) :]
            function_types += [encode_unsigned(types[x]) for x in own]
        for body, type_ in ((self._reset(), _NOTHING), (self._at_rest(), _NUMBER)):
            bodies.append(_sized(body))
            function_types.append(self._type_number(type_))
        return bodies, function_types

    def _sizes(self) -> tuple[int, int] | None:
        """Numbers of the functions that stand for `memory.size` and `memory.grow`, where the system has them."""
        module = self._parts[SYSTEM].module
        if MEMORY_SIZE not in module.exports:
            return None
        size, grow = (
            self._functions[Definition(SYSTEM, module.exports[x][1])] for x in (MEMORY_SIZE, MEMORY_GROW)
        )
        return size, grow

    def _type_number(self, type_: FunctionType) -> bytes:
        return encode_unsigned(self._types.setdefault(type_, len(self._types)))

    def _reset(self) -> bytes:
        """A function that gives every global the value it begins with: no code can change anything else of an instance
        but its memory, because `instructions` knows no instruction that changes a table or drops a segment.
        """
        body = b"\0"
        for definition, number in self._globals.items():
            if self._item(definition)[0].mutable:
                body += self._initial(definition) + _GLOBAL_SET + encode_unsigned(number)
        return body + _END

    def _at_rest(self) -> bytes:
        """A function that says whether the guest's globals have the values that they begin with, as they do between
        two calls. Then a memory is all that there is of an isolate, the system's clock and generator aside, which the
        host sets.
        """
        body = b"\0" + _I32_CONST + encode_signed(1)
        for definition, number in self._globals.items():
            item = self._item(definition)[0]
            if item.mutable and definition.instance != SYSTEM:
                body += _GLOBAL_GET + encode_unsigned(number) + self._initial(definition)
                body += _EQUAL[item.value_type] + _I32_AND
        return body + _END

    def _table(self) -> dict[int, int]:
        """Which function goes to which slot of the table; a later segment wins, as at a start."""
        size = self._entries
        table: dict[int, int] = {}
        for part in self._parts.values():
            for element in part.module.elements:
                start = self._evaluate(part, element.offset, I32) % (1 << 32)
                if start + len(element.functions) > size:
                    raise WasmFormatError("an element segment goes past the end of the table")
                table.update(
                    (start + place, self._functions[part.functions[index]])
                    for place, index in enumerate(element.functions)
                )
        return table

    def _global(self, definition: Definition) -> bytes:
        item, _ = self._item(definition)
        return bytes((item.value_type, item.mutable)) + self._initial(definition) + _END

    def _initial(self, definition: Definition) -> bytes:
        """The instruction that gives a global's first value."""
        item, part = self._item(definition)
        value = encode_signed(self._evaluate(part, item.initial, item.value_type))
        return (_I32_CONST if item.value_type == I32 else b"\x42") + value

    def _item(self, definition: Definition) -> tuple[Global, Part]:
        part = self._parts[definition.instance]
        return part.module.globals[definition.place], part

    def _evaluate(self, part: Part, expression: tuple[Constant, ...], value_type: int, depth: int = 0) -> int:
        """The number that a constant expression comes to, in the signed form that it is written with."""
        if value_type not in (I32, I64) or depth > len(self._parts):
            raise WasmFormatError("a global is no integer, or depends on itself")
        stack: list[int] = []
        for op, value in expression:
            if op == "add" and len(stack) > 1:
                stack.append(stack.pop() + stack.pop())
            elif op == "const":
                stack.append(value)
            elif op == "global" and value < len(part.globals):
                item, owner = self._item(part.globals[value])
                stack.append(self._evaluate(owner, item.initial, item.value_type, depth + 1))
            else:
                raise WasmFormatError("a malformed constant expression")
        if len(stack) != 1:
            raise WasmFormatError("a malformed constant expression")
        half = 1 << (31 if value_type == I32 else 63)
        return (stack[0] + half) % (2 * half) - half

    def _export_section(self) -> list[bytes]:
        """What the system module exports for the host, and the memory."""
        module = self._parts[SYSTEM].module
        spaces: dict[str, Mapping[Definition, int] | Mapping[Target, int]] = {
            "func": self._functions,
            "global": self._globals,
        }
        out = [
            name("memory") + b"\x02\0",
            name(_RESET) + b"\0" + encode_unsigned(self._reset_function),
            name(_AT_REST) + b"\0" + encode_unsigned(self._reset_function + 1),
        ]
        for key, (kind, index) in module.exports.items():
            if not key.startswith("host:"):
                number = spaces[kind][Definition(SYSTEM, index)]
                out.append(name(key) + bytes((KINDS.index(kind),)) + encode_unsigned(number))
        return out


def _table_size(module: CoreModule) -> int:
    """Entries of the table that a module has; 0 if it has none."""
    return module.tables[0].minimum if module.tables else 0


def _declared(functions: Sequence[int], known: frozenset[int]) -> bytes:
    """A segment that puts nothing into the table. wasmtime numbers its records of the functions that can be called
    through the table in the order in which element segments name them, and each isolate fills in those it needs.
    """
    return b"\x03\0" + vector([encode_unsigned(number) for number in functions if number in known])


def _sized(content: bytes) -> bytes:
    return encode_unsigned(len(content)) + content


def _runs(table: Mapping[int, int]) -> list[tuple[int, list[int]]]:
    """Slots as start and functions, one entry for each run without a hole."""
    runs: list[tuple[int, list[int]]] = []
    for slot in sorted(table):
        if runs and runs[-1][0] + len(runs[-1][1]) == slot:
            runs[-1][1].append(table[slot])
        else:
            runs.append((slot, [table[slot]]))
    return runs
