"""Follow a component's imports to where each core item is really defined.

wit-component (which componentize-py links with) breaks the circle between libraries and lowered imports with
two helper modules: a *shim* whose functions jump through a table, and a *fixup* that fills this table last. A
merge needs neither: a call of the shim's n-th function is a call of what the fixup puts into slot n. They are
known by the name of the table that passes between them, `$imports`.
Source: wit-component, src/encoding.rs (`create_shim_module`, `create_fixup_module`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .component import Bundle, Component, Instantiation, Lifted, Lowered
from .core import Constant, CoreModule, FunctionType, Kind, parse_module
from .errors import WasmFormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHIM_TABLE = "$imports"
_SHARED: tuple[Kind, ...] = ("memory", "table")
_MAX_HOPS = 1000
"""Imports followed for one item; a real component needs fewer than ten. Shim and fixup could make a circle.
"""


class Definition(NamedTuple):
    """A core item: the instance that defines it and its index there."""

    instance: int
    place: int


Target = Definition | Lowered


@dataclass(slots=True)
class Part:
    """One core instance to be merged: its module, and what each of its functions and globals really is."""

    module: CoreModule
    functions: list[Target]
    globals: list[Definition]


class Linkage:
    """A component with its core modules parsed. Raises `WasmFormatError` if it is not made as described
    above.

    `fresh`: it has run nothing yet, so start functions are allowed, and `starts` is what has to run first.
    """

    def __init__(self, component: Component, *, fresh: bool = False) -> None:
        self._component = component
        self._fresh = fresh
        parsed = [parse_module(binary) for binary in component.modules]
        self._modules = {
            number: parsed[instance.module]
            for number, instance in enumerate(component.instances)
            if isinstance(instance, Instantiation)
        }
        self._shim, self._fixup, self._filled = -1, -1, list[int]()
        self._shim, self._fixup, self._filled = self._find_shim()
        self.parts = {
            number: self._part(number) for number in self._modules if number not in (self._shim, self._fixup)
        }
        self.state = self._find_state()
        """The instance that defines the memory."""
        self.table = self._owner("table")
        """The instance that defines the table; None without one."""

    def state_module(self) -> bytes:
        """The binary of the module whose data is the memory's content."""
        return self.binary(self.state)

    def binary(self, number: int) -> bytes:
        """The binary of a part's module."""
        instance = self._component.instances[number]
        assert isinstance(instance, Instantiation)
        return bytes(self._component.modules[instance.module])

    def starts(self) -> list[Definition]:
        """The start functions, in the order in which they run."""
        found = [
            (number, part, part.module.start)
            for number, part in self.parts.items()
            if part.module.start is not None
        ]
        return [self._defined(number, part.functions[start]) for number, part, start in found]

    def _defined(self, number: int, target: Target) -> Definition:
        if isinstance(target, Lowered):
            raise WasmFormatError(f"core instance {number} starts with an import of the component")
        return target

    def interface(self, name: str) -> dict[str, Lifted] | None:
        """The functions of an exported interface, whatever its version; None if it is not exported."""
        exported = self._component.exported
        return next((found for key, found in exported.items() if key.partition("@")[0] == name), None)

    def number(self, definition: Definition) -> int:
        """The number that a global begins with."""
        stack: list[int] = []
        for op, value in self._modules[definition.instance].globals[definition.place].initial:
            if op == "const":
                stack.append(value)
            elif op == "global":
                stack.append(self.number(self.parts[definition.instance].globals[value]))
            elif len(stack) > 1:
                stack.append(stack.pop() + stack.pop())
        if len(stack) != 1:
            raise WasmFormatError("a malformed constant expression")
        return stack[0]

    def exports(self) -> Iterator[tuple[str, Lifted]]:
        """The lifted functions with their names, in the component's order."""
        yield from self._component.exports.items()

    def core_function(self, index: int) -> Definition:
        """Where a core function of the component is defined."""
        target = self._through("func", index)
        if isinstance(target, Lowered):
            raise WasmFormatError(f"core function {index} is an import of the component")
        return target

    def library_function(self, name: str) -> Definition:
        """The function that a library of the guest exports under this name."""
        for number, part in self.parts.items():
            kind, index = part.module.exports.get(name, (None, -1))
            target = part.functions[index] if kind == "func" else None
            if isinstance(target, Definition):
                return Definition(number, index) if target.instance == number else target
        raise WasmFormatError(f"no library of the component exports a function {name!r}")

    def type_of(self, definition: Definition) -> FunctionType:
        """The core type of a function."""
        return self._modules[definition.instance].type_of(definition.place)

    def _find_shim(self) -> tuple[int, int, list[int]]:
        """Shim, fixup, and the functions of the fixup by the slot that they go to."""
        for number, module in self._modules.items():
            for item in module.imported["table"]:
                if item.name == _SHIM_TABLE:
                    table = self._find("table", number, 0)
                    if isinstance(table, Lowered) or module.bodies or len(module.elements) != 1:
                        raise WasmFormatError("the fixup of the lowered imports is not made as expected")
                    if module.elements[0].offset != (Constant("const", 0),):
                        raise WasmFormatError("the fixup of the lowered imports does not begin at slot 0")
                    return table.instance, number, list(module.elements[0].functions)
        return -1, -1, []

    def _find_state(self) -> int:
        for part in self.parts.values():
            module = part.module
            if len(module.memories) > 1 or len(module.tables) > 1:
                raise WasmFormatError("a core module with two memories or two tables is not supported")
            if module.start is not None and not self._fresh:
                raise WasmFormatError(
                    "a core module has a start function: its memory is not a finished image"
                )
        state = self._owner("memory")
        if state is None or (not self._fresh and self._owner("table") != state):
            raise WasmFormatError("memory and table must be defined once, in one core module")
        for kind in _SHARED:
            owner = self._owner(kind)
            for number, part in self.parts.items():
                for place in range(len(part.module.imported[kind])):
                    if owner is None or self._find(kind, number, place) != Definition(owner, 0):
                        raise WasmFormatError(f"a core module uses another {kind} than the others")
        if any(part.module.data_segments for number, part in self.parts.items() if number != state):
            raise WasmFormatError("a core module has data of its own: its memory is not a finished image")
        return state

    def _owner(self, kind: Kind) -> int | None:
        """The instance that defines the only memory, or the only table."""
        owners = [
            number
            for number, part in self.parts.items()
            if len(part.module.memories if kind == "memory" else part.module.tables)
            > len(part.module.imported[kind])
        ]
        if len(owners) > 1:
            raise WasmFormatError("memory and table must be defined once, in one core module")
        return owners[0] if owners else None

    def _part(self, number: int) -> Part:
        module = self._modules[number]
        globals_: list[Definition] = []
        for index in range(len(module.globals)):
            target = self._find("global", number, index)
            if isinstance(target, Lowered) or target.instance in (self._shim, self._fixup):
                raise WasmFormatError("a global is not defined in a core module that stays")
            globals_.append(target)
        return Part(module, [self._find("func", number, i) for i in range(len(module.functions))], globals_)

    def _find(self, kind: Kind, instance: int, index: int) -> Target:
        for _ in range(_MAX_HOPS):
            imports = self._modules[instance].imported[kind]
            if index < len(imports):
                arguments = self._instantiation(instance).arguments
                item = imports[index]
                if item.module not in arguments:
                    raise WasmFormatError(f"import {item.module!r} is not given")
                target = self._export(kind, arguments[item.module], item.name)
            elif kind == "func" and instance == self._shim:
                if index >= len(self._filled):
                    raise WasmFormatError(f"slot {index} of the shim is not filled")
                target = Definition(self._fixup, self._filled[index])
            else:
                return Definition(instance, index)
            if isinstance(target, Lowered):
                return target
            instance, index = target
        raise WasmFormatError("imports go round in a circle")

    def _export(self, kind: Kind, instance: int, name: str) -> Target:
        """What a core instance exports under a name."""
        while isinstance(bundle := self._component.instances[instance], Bundle):
            found = bundle.items.get(name)
            if found is None or found[0] != kind:
                raise WasmFormatError(f"a core instance holds no {kind} {name!r}")
            item = self._component.core[kind][found[1]]
            if isinstance(item, Lowered):
                return item
            instance, name = item
        return Definition(instance, self._modules[instance].export(name, kind))

    def _through(self, kind: Kind, index: int) -> Target:
        item = self._component.core[kind][index]
        if isinstance(item, Lowered):
            return item
        target = self._export(kind, item.instance, item.name)
        return target if isinstance(target, Lowered) else self._find(kind, target.instance, target.place)

    def _instantiation(self, number: int) -> Instantiation:
        instance = self._component.instances[number]
        assert isinstance(instance, Instantiation)
        return instance
