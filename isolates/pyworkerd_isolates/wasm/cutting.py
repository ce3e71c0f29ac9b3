"""Cut a C library out of a position-independent module of a component, to be a part of another engine.

    library = Library(linkage, "sqlite3_initialize")
    piece = library.cut(["sqlite3_open_v2", ...], number, Place(...), resolve)

Such a module says `__memory_base + n` for a piece of data and `__table_base + n` for a function whose address is taken;
where its data holds addresses, `__wasm_apply_data_relocs` writes them. So all that a function can reach can be read
off: what it calls, the data that it names, the addresses in that data, the functions behind these, and so on. Data that
belongs together lies side by side, as the linker put it; what lies between two pieces that are reached is kept, too.
Everything kept is moved to where its new engine has room.

Sources: WebAssembly tool conventions, DynamicLinking.md; core specification, appendix "Custom sections" (names).
"""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from .binary import Reader, sections
from .core import I32, Constant, CoreModule, Element, Global
from .errors import WasmFormatError
from .instructions import CALLS, GLOBALS, named
from .leb import decode_signed, decode_unsigned
from .linking import Definition, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .core import FunctionType
    from .leb import Buffer
    from .linking import Linkage, Target

_MEMORY_BASE, _TABLE_BASE, _STACK_POINTER = "__memory_base", "__table_base", "__stack_pointer"
_RELOCATE: Final = "__wasm_apply_data_relocs"
_GAP: Final = 1 << 14
"""Bytes: what lies further apart belongs to different parts of the library's data."""
_ALIGNED: Final = 16
"""Bytes to which every base is aligned: max_align_t of wasm32."""
_NUMBER: Final = rb"[\x80-\xff]{0,4}+[\x00-\x7f]"
_MOVED: Final = re.compile(rb"\x41([\x80-\xff]{4}[\x00\x7f])", re.DOTALL).finditer
_FIVE_BYTES: Final = 1 << 27
"""A number that needs five bytes in signed LEB128 is not below this one."""
_RELOCATION: Final = re.compile(
    rb"\x41(%s)\x23(%s)\x6a\x23(%s)(?:\x41(%s)\x6a)?\x36\x02\x00" % ((_NUMBER,) * 4), re.DOTALL
).match
"""`i32.store(base + place, global + addend)`."""


def function_names(binary: Buffer) -> dict[str, int]:
    """The functions of a module by the names in its custom section "name"; of equal ones the first."""
    names: dict[str, int] = {}
    for section_id, content in sections(memoryview(binary)):
        if section_id or (reader := Reader(content)).name() != "name":
            continue
        while reader.at < reader.end:
            kind, entries = reader.byte(), Reader(reader.sized())
            if kind == 1:
                for _ in range(entries.count()):
                    index = entries.unsigned()
                    names.setdefault(entries.name(), index)
    return names


class Place(NamedTuple):
    """Where a piece goes."""

    part: int
    """The number that it has in the engine."""
    address: int
    """Of its first byte of data, a multiple of 16."""
    slot: int
    """Of its first function in the table."""


class Around(NamedTuple):
    """What there is for a library besides itself."""

    resolve: Callable[[str], Target | None]
    """What an imported function is, one that is `replaced` too; None if it is nothing."""
    addresses: Callable[[str], int]
    """The slot of an imported function, the address of imported data. 0 makes of it a null pointer."""
    stack: Definition
    """The stack pointer."""
    replaced: Sequence[str] = ()
    """Functions of the library itself that others stand in for."""


class Names(NamedTuple):
    """What a function names."""

    functions: frozenset[int]
    """By index; those that it calls."""
    data: frozenset[int]
    """By its offset. A slot may be among them that is no data."""
    slots: frozenset[int]
    """Of the module's own part of the table."""
    perhaps: frozenset[int]
    """Slots, or places in the data."""
    globals: frozenset[int]


@dataclass(slots=True)
class Piece:
    """Part of an engine: code, and data by address."""

    part: Part
    data: list[tuple[int, bytes]]
    exports: dict[str, Definition]
    end: int
    """Address behind its data."""
    slots: int
    """How many of the table it takes."""
    calls: dict[Target, FunctionType]
    """What it calls outside, with types."""


@dataclass(slots=True)
class _Kept:
    functions: set[int] = field(default_factory=set)
    data: set[int] = field(default_factory=set)
    slots: set[int] = field(default_factory=set)
    globals: set[int] = field(default_factory=set)


class Library:
    """The module of a component in which a function has this name. Raises `WasmFormatError` if there is none."""

    def __init__(self, linkage: Linkage, holds: str, memory: bytes) -> None:
        for number, part in linkage.parts.items():
            names = function_names(linkage.binary(number))
            if names.get(holds, -1) >= len(part.module.imported["func"]):
                break
        else:
            raise WasmFormatError(f"no library of the component has a function {holds!r}")
        self.names, self.module = names, part.module
        self._size = _size_of_data(linkage.binary(number))
        self._imported = part.module.imported["func"]
        self._global_names = [item.name for item in part.module.imported["global"]]
        self._first = len(self._imported)
        self._content = memoryview(memory)[linkage.number(part.globals[self._global(_MEMORY_BASE)]) :]
        if len(part.module.elements) != 1:
            raise WasmFormatError("a library has one element segment")
        self._element = part.module.elements[0].functions

    def _global(self, name: str) -> int:
        if name not in self._global_names:
            raise WasmFormatError(f"the library does not import {name}")
        return self._global_names.index(name)

    # what there is ---------------------------------------------------------------------------------------------------

    def _body(self, function: int) -> Buffer:
        return self.module.bodies[function - self._first]

    def _reached(self, function: int) -> Names:
        body = self._body(function)
        functions, globals_ = set[int](), set[int]()
        for op, index in named(body):
            if op in CALLS:
                functions.add(index)
            elif op in GLOBALS:
                globals_.add(index)
        # The linker writes what it moves in five bytes. Which base is added to it may be told far away.
        offsets = {
            offset
            for match in _MOVED(bytes(body))
            if -_FIVE_BYTES <= (offset := decode_signed(match[1], 0)[0]) < _FIVE_BYTES
        }
        data = offsets if self._global(_MEMORY_BASE) in globals_ else set[int]()
        slots = {each for each in offsets if 0 <= each < len(self._element)}
        slots = slots if self._global(_TABLE_BASE) in globals_ else set[int]()
        sure, perhaps = (set[int](), slots) if data else (slots, set[int]())
        return Names(*map(frozenset, (functions, data, sure, perhaps, globals_)))

    @cached_property
    def _reach(self) -> dict[int, Names]:
        return {
            index: self._reached(index)
            for index in range(self._first, len(self.module.functions))
            if index != self._relocate
        }

    @property
    def _relocate(self) -> int:
        return self.module.export(_RELOCATE, "func")

    @cached_property
    def _relocations(self) -> dict[int, tuple[int, int]]:
        """By offset in the data: the global that an address there is relative to, and what is added."""
        code = bytes(self._body(self._relocate))
        found, at = dict[int, tuple[int, int]](), 1
        while (match := _RELOCATION(code, at)) is not None:
            at = match.end()
            place, addend = decode_signed(match[1], 0)[0], decode_signed(match[4] or b"\0", 0)[0]
            if decode_unsigned(match[2], 0)[0] != self._global(_MEMORY_BASE):
                raise WasmFormatError("an address is written to what is not the library's data")
            found[place] = decode_unsigned(match[3], 0)[0], addend
        if code[at:] != b"\x0b" or code[0]:
            raise WasmFormatError("the relocations of the library are not of the form that is known")
        return found

    def _meaning(self, relocation: tuple[int, int]) -> tuple[str, int]:
        """The import that an address is relative to, and the offset."""
        index, addend = relocation
        if index < len(self._global_names):
            return self._global_names[index], addend
        match self.module.globals[index].initial:
            case (Constant("global", base), Constant("const", offset), Constant("add")):
                return self._global_names[base], offset + addend
        raise WasmFormatError("a global of the library is no address in it")

    @cached_property
    def _bounds(self) -> list[int]:
        """Offsets at which something of the data begins, as far as anybody names it."""
        known = {offset for names in self._reach.values() for offset in names.data}
        for relocation in self._relocations.values():
            base, offset = self._meaning(relocation)
            if base == _MEMORY_BASE:
                known.add(offset)
        return sorted(known)

    # what is kept ----------------------------------------------------------------------------------------------------

    def _keep(self, roots: Iterable[int], replaced: frozenset[int]) -> tuple[_Kept, list[tuple[int, int]]]:
        kept, ranges = _Kept(), list[tuple[int, int]]()
        new, perhaps = set(roots), set[int]()
        places = sorted(self._relocations)
        while new:
            kept.functions |= new
            reached = [self._reach[index] for index in new]
            for names in reached:
                kept.data |= names.data
                kept.slots |= names.slots
                perhaps |= names.perhaps
                kept.globals |= names.globals
            new = {index for names in reached for index in names.functions if index >= self._first}
            ranges = self._ranges(kept.data)
            for start, end in ranges:
                for place in places[bisect.bisect_left(places, start) : bisect.bisect_left(places, end)]:
                    base, offset = self._meaning(self._relocations[place])
                    if base == _MEMORY_BASE:
                        kept.data.add(offset)
                    elif base == _TABLE_BASE:
                        kept.slots.add(offset)
            # One that is a function of the library has its functions around it.
            first, last = min(kept.functions), max(kept.functions)
            kept.slots |= {slot for slot in perhaps if first <= self._element[slot] <= last}
            new |= {self._element[slot] for slot in kept.slots}
            new -= kept.functions | replaced
            if not new and ranges != (ranges := self._ranges(kept.data)):
                new = set(roots)  # there is more data to be looked at
        return kept, ranges

    def _ranges(self, offsets: set[int]) -> list[tuple[int, int]]:
        """What lies from the first to the last of these, with what belongs to the last, in a few pieces."""
        if not offsets:
            return []
        ordered = sorted(offsets)
        starts = [ordered[0], *(after for before, after in pairwise(ordered) if after - before > _GAP)]
        ends = [*(before for before, after in pairwise(ordered) if after - before > _GAP), ordered[-1]]
        return [(start, self._end(end)) for start, end in zip(starts, ends, strict=True)]

    def _end(self, offset: int) -> int:
        place = bisect.bisect_right(self._bounds, offset)
        return self._bounds[place] if place < len(self._bounds) else self._size

    # the cut ---------------------------------------------------------------------------------------------------------

    def cut(self, wanted: Sequence[str], place: Place, around: Around, exposed: Sequence[str] = ()) -> Piece:
        """The functions of these names with all that they reach, as a part of another engine. Those that are `exposed`
        are in its table, in this order, from `place.slot` on.

        Raises `WasmFormatError` for what is called and is not there.
        """
        replaced = {self.names[name]: name for name in around.replaced}
        kept, ranges = self._keep((self.names[name] for name in wanted), frozenset(replaced))
        order = sorted(kept.functions)
        own = {index: Definition(place.part, at) for at, index in enumerate(order)}
        slots = range(min(kept.slots, default=0), max(kept.slots, default=-1) + 1)
        first_slot = place.slot + len(exposed)
        start = ranges[0][0] & -_ALIGNED if ranges else 0
        bases = {_MEMORY_BASE: place.address - start, _TABLE_BASE: first_slot - slots.start}

        def address(name: str) -> int:
            return bases[name] if name in bases else around.addresses(name)

        module = CoreModule(types=self.module.types)
        module.functions = [self.module.functions[index] for index in order]
        module.bodies = [self._body(index) for index in order]
        globals_ = self._globals(module, kept.globals, place.part, around.stack, address)
        outside = self._outside(order, replaced, around.resolve)
        # What nobody calls has to be something, too.
        functions = [
            own.get(index) or outside.get(index) or own[order[0]]
            for index in range(len(self.module.functions))
        ]
        if exposed:
            module.elements.append(_element(place.slot, [self.names[name] for name in exposed]))
        module.elements += (
            _element(first_slot + run[0] - slots.start, [self._element[slot] for slot in run])
            for run in _runs(slot for slot in slots if self._element[slot] in own)
        )
        data = [(bases[_MEMORY_BASE] + at, self._moved(at, end, address)) for at, end in ranges]
        return Piece(
            Part(module, functions, globals_),
            data,
            {name: own[self.names[name]] for name in wanted},
            max((at + len(content) for at, content in data), default=place.address),
            len(exposed) + len(slots),
            {item: self.module.type_of(index) for index, item in outside.items()},
        )

    def _globals(
        self, module: CoreModule, used: set[int], part: int, stack: Definition, address: Callable[[str], int]
    ) -> list[Definition]:
        """What each global is there. Those that are numbers become the module's own."""
        module.globals = [Global(I32, False, (Constant("const", 0),))]  # what no code names
        found = [Definition(part, 0)] * len(self.module.globals)
        for index in sorted(used):
            if index >= len(self._global_names):
                raise WasmFormatError("code of the library names a global of its own")
            if self._global_names[index] == _STACK_POINTER:
                found[index] = stack
                continue
            found[index] = Definition(part, len(module.globals))
            value = _signed(address(self._global_names[index]))
            module.globals.append(Global(I32, False, (Constant("const", value),)))
        return found

    def _outside(
        self, order: list[int], replaced: dict[int, str], resolve: Callable[[str], Target | None]
    ) -> dict[int, Target]:
        """What is called and not kept, and what it is there."""
        found: dict[int, Target] = {}
        for index in {each for one in order for each in self._reach[one].functions}:
            name = self._imported[index].name if index < self._first else replaced.get(index)
            if name is not None:
                target = resolve(name)
                if target is None:
                    raise WasmFormatError(f"nothing is there for {name}(), which is called")
                found[index] = target
        return found

    def _moved(self, start: int, end: int, address: Callable[[str], int]) -> bytes:
        """Data with its addresses as they are where it goes."""
        content = bytearray(self._content[start:end])
        for place, relocation in self._relocations.items():
            if start <= place < end:
                base, offset = self._meaning(relocation)
                known = address(base)
                value = known + offset if known else 0
                content[place - start : place - start + 4] = (value % (1 << 32)).to_bytes(4, "little")
        return bytes(content)


def _size_of_data(binary: Buffer) -> int:
    """What the module says of itself: DynamicLinking.md, "dylink.0", WASM_DYLINK_MEM_INFO."""
    for section_id, content in sections(memoryview(binary)):
        if not section_id and (reader := Reader(content)).name() == "dylink.0" and reader.byte() == 1:
            return Reader(reader.sized()).unsigned()
    raise WasmFormatError("the library does not say how much data it has")


def _element(slot: int, functions: Sequence[int]) -> Element:
    return Element((Constant("const", slot),), tuple(functions))


def _signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 > 0 else value


def _runs(slots: Iterable[int]) -> Iterator[list[int]]:
    run: list[int] = []
    for slot in slots:
        if run and slot != run[-1] + 1:
            yield run
            run = []
        run.append(slot)
    if run:
        yield run
