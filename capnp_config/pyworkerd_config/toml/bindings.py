"""Reads `[services.worker.bindings]`: `NAME = { kind = value, option = value }`, by the table of kinds."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from pyworkerd_config import decode
from pyworkerd_config.decode import MISSING, Cursor, Field, Reader, Table, nested, read_table, sound
from pyworkerd_config.kinds import NOT_YET, BindingKind, BindingKinds, ValueType
from pyworkerd_config.model import Binding
from pyworkerd_config.problems import did_you_mean, listing, quote

if TYPE_CHECKING:
    from collections.abc import Mapping


def bindings_reader(kinds: BindingKinds) -> Reader:
    """Reader of all bindings of one worker; bindings that are wrong are left out."""
    tables: dict[str, Table] = {}

    def read(value: Any, cursor: Cursor, field: Field) -> Any:
        if not isinstance(value, dict):
            return cursor.wrong("a table of bindings", value, field)
        items = (_read_binding(tables, name, entry, cursor.inside(name)) for name, entry in value.items())
        return tuple(item for item in items if item is not MISSING)

    readers: Mapping[ValueType, Reader] = {**_READERS, "bindings": read}
    tables.update({kind: _binding_table(kind, description, readers) for kind, description in kinds.items()})
    return read


def _read_binding(tables: Mapping[str, Table], name: str, value: Any, cursor: Cursor) -> Any:
    if not isinstance(value, dict):
        return cursor.wrong(
            "a table that names its kind", value, Field(name, MISSING, 'NAME = { text = "hello" }')
        )
    kind = _kind_of(value, tables, cursor)
    if kind is MISSING:
        return MISSING
    table = tables[kind]
    values = read_table(value, cursor, table, table.fields[0])
    if values is MISSING or MISSING in values.values():
        return MISSING
    content = values.pop(kind)
    return Binding(name, kind, content, values, cursor.place)


def _kind_of(value: dict[str, Any], tables: Mapping[str, Table], cursor: Cursor) -> Any:
    found = [key for key in value if key in tables]
    if len(found) == 1:
        return found[0]
    if found:
        message = f"{cursor.label} must be of one kind, found {listing(found, 'and')}"
        return cursor.report(message, "give each its own name")
    if not value:
        return cursor.report(f"{cursor.label} has no kind", 'write for example NAME = { text = "hello" }')
    absent = [key for key in value if key in NOT_YET]
    if absent:
        return cursor.report(f"{quote(absent[0])} bindings are not in this version yet", "leave it out")
    first = next(iter(value))
    return cursor.report(f"unknown binding kind {quote(first)}", unknown_kind_remedy(first, tables))


def unknown_kind_remedy(kind: str, kinds: Mapping[str, object]) -> str:
    """The nearest kind that exists, or all of them."""
    return did_you_mean(kind, kinds, f"there are {listing(sorted(kinds), 'and')}")


def _binding_table(kind: str, description: BindingKind, readers: Mapping[ValueType, Reader]) -> Table:
    if description.value == "table":
        inner = _fields(description.fields, description.example, readers, required=True)
        value = Field(kind, nested(Table(f"a {kind}", inner), _as_it_is), description.example, required=True)
    else:
        value = Field(kind, readers[description.value], description.example, required=True)
    return Table(f"a {kind} binding", (value, *_fields(description.options, description.example, readers)))


def _fields(
    types: Mapping[str, ValueType],
    example: str,
    readers: Mapping[ValueType, Reader],
    *,
    required: bool = False,
) -> tuple[Field, ...]:
    return tuple(Field(key, readers[kind], example, required) for key, kind in types.items())


def _as_it_is(values: dict[str, Any], _cursor: Cursor) -> Any:
    return MISSING if MISSING in values.values() else values


def _data(value: Any, cursor: Cursor, field: Field) -> Any:
    if isinstance(value, dict):
        return _DATA_FILE(value, cursor, field)
    return read_base64(value, cursor, field)


def read_base64(value: Any, cursor: Cursor, field: Field) -> Any:
    """Bytes as base64."""
    if not isinstance(value, str):
        return cursor.wrong("base64 text or { file = ... }", value, field)
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        remedy = "encode it, or name a file: { file = ... }"
        return cursor.report(f"{cursor.label} is not base64 (RFC 4648 section 4)", remedy)


_DATA_FILE = nested(
    Table("a data binding", (Field("file", decode.path, '{ file = "logo.png" }', required=True),)),
    lambda values, _cursor: sound(values).get("file", MISSING),
)

_READERS: Mapping[ValueType, Reader] = {
    "text": decode.text,
    "name": decode.name,
    "service": decode.name,
    "data": _data,
    "json": decode.json_value,
    "count": decode.count,
    "path": decode.path,
    "store": decode.name,
}
