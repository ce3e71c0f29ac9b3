"""The link plan of a component: which core instance is made of what, and where each core function comes from.

Only what a merge asks is kept. Types are skipped over (a section at a time), nested components are refused
where they matter: a world that exports plain functions needs none. Everything in a component refers back to
what stands before it, and that is checked here, so following references always ends.

Source: component-model design/mvp/Binary.md (WASI 0.2: binary version 13).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .binary import COMPONENT_HEADER, Reader, sections
from .core import KINDS, Kind
from .errors import WasmFormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sized

    from .leb import Buffer

_FUNC, _VALUE, _TYPE, _COMPONENT, _INSTANCE = 1, 2, 3, 4, 5
_MEMORY, _REALLOC, _POST_RETURN = 3, 4, 5
_OPTIONS = {0: False, _MEMORY: True, _REALLOC: True, _POST_RETURN: True}
"""Canonical options (canonopt) and whether an index follows; strings are UTF-8, the asynchronous ones are refused."""
_RENAMED = "import-func-"
"""wit-component makes an exported interface with a small component, and names what it is given like this."""


class Instantiation(NamedTuple):
    """A core instance made of a module; `arguments` maps an import's module name to a core instance."""

    module: int
    arguments: Mapping[str, int]


class Bundle(NamedTuple):
    """A core instance made of items that exist already: name to sort and index."""

    items: Mapping[str, tuple[Kind, int]]


class CoreAlias(NamedTuple):
    """A core item that is an export of a core instance."""

    instance: int
    name: str


class Lowered(NamedTuple):
    """A core function that is an import of the component, lowered; `realloc` is the core function it
    allocates with.
    """

    module: str
    name: str
    realloc: int | None


class Lifted(NamedTuple):
    """A component function made of a core function, with what the canonical ABI needs to call it."""

    function: int
    realloc: int | None
    post_return: int | None


class ImportedFunction(NamedTuple):
    """A component function that comes from outside: the interface (empty for a bare one) and its own name."""

    interface: str
    name: str


CoreItem = CoreAlias | Lowered


@dataclass(slots=True)
class Component:
    """A parsed component."""

    modules: list[Buffer] = field(default_factory=list)
    instances: list[Instantiation | Bundle] = field(default_factory=list)
    core: dict[Kind, list[CoreItem]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    functions: list[ImportedFunction | Lifted | None] = field(default_factory=list)
    """None stands for a function of a nested component."""
    interfaces: list[str | None] = field(default_factory=list)
    """For each component instance the name it is imported under, None if it is made here."""
    exports: dict[str, Lifted] = field(default_factory=dict)
    """The functions that the component itself exports."""
    exported: dict[str, dict[str, Lifted]] = field(default_factory=dict)
    """The interfaces that it exports, and the functions of each."""
    made: dict[int, dict[str, Lifted]] = field(default_factory=dict)
    """The functions of component instances that are made here, by the number of the instance."""


def parse_component(binary: Buffer) -> Component:
    """Parse the outer level of a component; raises `WasmFormatError`. Core modules are left as bytes."""
    component = Component()
    for section_id, content in sections(memoryview(binary), COMPONENT_HEADER):
        if section_id == 1:
            component.modules.append(content)
        elif section_id in _SECTIONS:
            read_item = _SECTIONS[section_id]
            reader = Reader(content)
            for _ in range(reader.count()):
                read_item(component, reader)
            reader.finish()
        elif section_id not in _SKIPPED:
            raise WasmFormatError(f"component section {section_id} is not supported")
    return component


def _known(index: int, items: Sized, what: str) -> int:
    if index >= len(items):
        raise WasmFormatError(f"there is no {what} {index} yet")
    return index


def _core_sort(reader: Reader) -> Kind | None:
    """The sort of a core item; None for types, modules and instances."""
    number = reader.byte()
    if number >= len(KINDS) and number not in (0x10, 0x11, 0x12):
        raise WasmFormatError(f"core sort {number:#x} is unknown")
    return KINDS[number] if number < len(KINDS) else None


def _sort(reader: Reader) -> tuple[int, Kind | None]:
    """A component sort, and for sort 0 the core sort behind it."""
    number = reader.byte()
    if number > _INSTANCE:
        raise WasmFormatError(f"sort {number:#x} is unknown")
    return number, _core_sort(reader) if number == 0 else None


def _extern_name(reader: Reader) -> str:
    if reader.byte() > 1:
        raise WasmFormatError("this form of import or export name is not supported")
    return reader.name()


def _extern_type(reader: Reader) -> int:
    """Skip over the description of an import or export and return its sort."""
    sort = reader.byte()
    if sort not in (0, _FUNC, _TYPE, _COMPONENT, _INSTANCE):
        raise WasmFormatError(f"an import or export of sort {sort:#x} is not supported")
    if sort == 0 and reader.byte() != 0x11:
        raise WasmFormatError("only modules can be core imports of a component")
    if sort == _TYPE and reader.byte() == 1:
        return sort
    reader.unsigned()
    return sort


def _read_core_instance(component: Component, reader: Reader) -> None:
    form = reader.byte()
    if form > 1:
        raise WasmFormatError(f"core instance of form {form:#x} is unknown")
    if form == 0:
        module = reader.unsigned()
        if module >= len(component.modules):
            raise WasmFormatError(f"there is no core module {module} yet")
        arguments: dict[str, int] = {}
        for _ in range(reader.count()):
            name = reader.name()
            if reader.byte() != 0x12:
                raise WasmFormatError("core modules can only be given instances")
            arguments[name] = _known(reader.unsigned(), component.instances, "core instance")
        component.instances.append(Instantiation(module, arguments))
        return
    items: dict[str, tuple[Kind, int]] = {}
    for _ in range(reader.count()):
        name, kind = reader.name(), _core_sort(reader)
        if kind is None:
            raise WasmFormatError("core instances can only hold functions, tables, memories and globals")
        items[name] = (kind, _known(reader.unsigned(), component.core[kind], f"core {kind}"))
    component.instances.append(Bundle(items))


def _read_instance(component: Component, reader: Reader) -> None:
    form = reader.byte()
    if form > 1:
        raise WasmFormatError(f"instance of form {form:#x} is unknown")
    if form == 0:
        reader.unsigned()
    functions: dict[str, Lifted] = {}
    for _ in range(reader.count()):
        name = _extern_name(reader) if form else reader.name()
        sort, _ = _sort(reader)
        index = reader.unsigned()
        if sort == _FUNC and index < len(component.functions):
            function = component.functions[index]
            if isinstance(function, Lifted):
                functions[name.removeprefix(_RENAMED)] = function
    component.made[len(component.interfaces)] = functions
    component.interfaces.append(None)


def _read_alias(component: Component, reader: Reader) -> None:
    sort, kind = _sort(reader)
    target = reader.byte()
    if target == 1:
        alias = CoreAlias(_known(reader.unsigned(), component.instances, "core instance"), reader.name())
        if kind is not None:
            component.core[kind].append(alias)
        return
    if target == 0:
        instance, name = reader.unsigned(), reader.name()
        if instance >= len(component.interfaces):
            raise WasmFormatError(f"there is no instance {instance} yet")
        interface = component.interfaces[instance]
        if sort == _FUNC:
            component.functions.append(None if interface is None else ImportedFunction(interface, name))
    elif target == 2:
        reader.unsigned()
        reader.unsigned()
        if sort not in (0, _TYPE, _COMPONENT) or kind is not None:
            raise WasmFormatError("only types, modules and components can be aliased from outside")
    else:
        raise WasmFormatError(f"alias of form {target:#x} is unknown")
    if sort == _INSTANCE:
        component.interfaces.append(None)


def _options(component: Component, reader: Reader) -> dict[int, int]:
    """Canonical options that carry an index, by number; each but the memory is a core function."""
    found: dict[int, int] = {}
    for _ in range(reader.count()):
        option = reader.byte()
        if option not in _OPTIONS:
            raise WasmFormatError(f"canonical option {option:#x} is not supported")
        if _OPTIONS[option]:
            kind: Kind = "memory" if option == _MEMORY else "func"
            found[option] = _known(reader.unsigned(), component.core[kind], f"core {kind}")
    return found


def _read_canonical(component: Component, reader: Reader) -> None:
    form = reader.byte()
    if form > 4:
        raise WasmFormatError(f"canonical definition {form:#x} is not supported")
    if form in (0, 1) and reader.byte() != 0:
        raise WasmFormatError("malformed canonical definition")
    index = reader.unsigned()
    functions = component.core["func"]
    if form == 0:
        _known(index, functions, "core func")
        options = _options(component, reader)
        reader.unsigned()
        component.functions.append(Lifted(index, options.get(_REALLOC), options.get(_POST_RETURN)))
    elif form == 1:
        if index >= len(component.functions):
            raise WasmFormatError(f"there is no function {index} yet")
        function = component.functions[index]
        if not isinstance(function, ImportedFunction):
            raise WasmFormatError("only imported functions can be lowered")
        functions.append(Lowered(*function, _options(component, reader).get(_REALLOC)))
    else:
        functions.append(Lowered(RESOURCE, f"{_RESOURCE[form]} {index}", None))


RESOURCE = "resource"
"""What `Lowered.module` says of the canonical built-ins for resources; `name` is the operation and a type
index.
"""
_RESOURCE = {2: "new", 3: "drop", 4: "rep"}


def _read_import(component: Component, reader: Reader) -> None:
    name, sort = _extern_name(reader), _extern_type(reader)
    if sort == _INSTANCE:
        component.interfaces.append(name)
    elif sort == _FUNC:
        component.functions.append(ImportedFunction("", name))


def _read_export(component: Component, reader: Reader) -> None:
    name = _extern_name(reader)
    sort, _ = _sort(reader)
    index = reader.unsigned()
    if reader.byte():
        _extern_type(reader)
    if sort == _FUNC:
        if index >= len(component.functions):
            raise WasmFormatError(f"there is no function {index} yet")
        function = component.functions[index]
        component.functions.append(function)
        if isinstance(function, Lifted):
            component.exports[name] = function
    elif sort == _INSTANCE:
        component.exported[name] = component.made.get(index, {})
        component.interfaces.append(None)


_SKIPPED = frozenset((0, 3, 4, 7))
"""Custom sections, core types, nested components and types."""
_SECTIONS: dict[int, Callable[[Component, Reader], None]] = {
    2: _read_core_instance,
    5: _read_instance,
    6: _read_alias,
    8: _read_canonical,
    10: _read_import,
    11: _read_export,
}
