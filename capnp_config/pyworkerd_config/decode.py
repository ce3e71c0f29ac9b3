"""A small typed decoder: plain values from a file in, checked values out, described by tables of fields.

A `Table` lists the keys that a table of the file may have; each `Field` names the reader of its value and a
line to show to whoever wrote something else. Readers report to the cursor and return `MISSING`; they do not
raise, so that one reading finds everything that is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .problems import ProblemList, Remedy, did_you_mean, listing, quote

if TYPE_CHECKING:
    from .model import Place, Places

MISSING: Final[Any] = type("Missing", (), {"__repr__": lambda _: "MISSING"})()
"""In place of a value that was reported as wrong."""

_DESCRIPTIONS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (str, "a text"),
    (int, "an integer"),
    (float, "a number with a fraction"),
    (list, "a list"),
    (dict, "a table"),
    (datetime, "a date with a time"),
    (date, "a date"),
    (time, "a time"),
    (type(None), "null"),
)
# Subclasses stand before their bases: a bool is an int, a datetime is a date.

_INT64 = range(-(1 << 63), 1 << 63)
"""TOML's integers (TOML 1.0.0, Integer); Python's parser lets larger ones through."""


def describe(value: object) -> str:
    """What a value is, in words. Never the value itself, which might be a secret in the wrong place."""
    return next((text for kind, text in _DESCRIPTIONS if isinstance(value, kind)), type(value).__name__)


class Cursor(NamedTuple):
    """A place in the document that is being read, and where to report what is wrong there."""

    places: Places
    problems: ProblemList

    def inside(self, *keys: str | int) -> Cursor:
        """The cursor of a part of this value."""
        return Cursor(self.places.under(*keys), self.problems)

    @property
    def place(self) -> Place:
        """File and line."""
        return self.places.at()

    @property
    def folder(self) -> Path:
        """The folder that relative paths in the file start from."""
        return self.places.file.parent if self.places.file else Path()

    @property
    def label(self) -> str:
        """What messages call this value."""
        last = self.places.prefix[-1] if self.places.prefix else "the file"
        if isinstance(last, str):
            return quote(last)
        return f"item {last + 1} of {quote(str(self.places.prefix[-2]))}"

    def report(self, message: str, remedy: Remedy = "") -> Any:
        """Note a problem here. Returns `MISSING`, for readers to return."""
        self.problems.report(self.place, message, remedy)
        return MISSING

    def wrong(self, expected: str, found: object, field: Field) -> Any:
        """Note a value of the wrong type."""
        message = f"{self.label} must be {expected}, found {describe(found)}"
        return self.report(message, f"write for example {field.example}")


Reader = Callable[[Any, Cursor, "Field"], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a table."""

    key: str
    read: Reader
    example: str
    required: bool = False


@dataclass(frozen=True)
class Table:
    """The keys that a table may have."""

    what: str
    """In messages: `a socket`."""
    fields: tuple[Field, ...]
    not_yet: frozenset[str] = frozenset()
    """Keys of the design that this version does not have."""

    @cached_property
    def known(self) -> Mapping[str, Field]:
        """The fields by their keys."""
        return {entry.key: entry for entry in self.fields}

    @cached_property
    def required(self) -> tuple[Field, ...]:
        """Those that must be written."""
        return tuple(entry for entry in self.fields if entry.required)


def read_table(value: Any, cursor: Cursor, table: Table, field: Field) -> dict[str, Any]:
    """The values of the keys that were written, `MISSING` for those that were wrong.

    Returns `MISSING` itself when the value is no table or lacks a required key.
    """
    if not isinstance(value, dict):
        return cursor.wrong("a table", value, field)  # type: ignore[no-any-return]
    known = table.known
    for key in value:
        if key not in known:
            _report_unknown(key, cursor, table)
    lacking = [entry for entry in table.required if entry.key not in value]
    for entry in lacking:
        cursor.report(f"{table.what} needs {quote(entry.key)}", f"write for example {entry.example}")
    found = {
        key: entry.read(value[key], cursor.inside(key), entry) for key, entry in known.items() if key in value
    }
    return MISSING if lacking else found


def _report_unknown(key: str, cursor: Cursor, table: Table) -> None:
    at = cursor.inside(key)
    if key in table.not_yet:
        at.report(f"{quote(key)} is not in this version yet", "leave it out")
        return
    known = [entry.key for entry in table.fields]
    at.report(
        f"unknown key {quote(key)}",
        partial(did_you_mean, key, known, f"{table.what} has {listing(known, 'and')}"),
    )


def sound(values: Mapping[str, Any]) -> dict[str, Any]:
    """Only the values that were right; the others fall back to the model's defaults."""
    return {key: value for key, value in values.items() if value is not MISSING}


def nested(table: Table, make: Callable[[dict[str, Any], Cursor], Any]) -> Reader:
    """Reader of a table that becomes `make(values, cursor)`; `values` may hold `MISSING`."""

    def read(value: Any, cursor: Cursor, field: Field) -> Any:
        values = read_table(value, cursor, table, field)
        return MISSING if values is MISSING else make(values, cursor)

    return read


def list_of(read_item: Reader, expected: str) -> Reader:
    """Reader of a list; items that are wrong are left out."""

    def read(value: Any, cursor: Cursor, field: Field) -> Any:
        if not isinstance(value, list):
            return cursor.wrong(expected, value, field)
        items = (read_item(item, cursor.inside(i), field) for i, item in enumerate(value))
        return tuple(item for item in items if item is not MISSING)

    return read


def choice(*words: str) -> Reader:
    """Reader of one of a few texts."""

    def read(value: Any, cursor: Cursor, field: Field) -> Any:
        if not isinstance(value, str):
            return cursor.wrong(listing(words), value, field)
        if value not in words:
            return cursor.report(
                f"{cursor.label} must be {listing(words)}", partial(did_you_mean, value, words)
            )
        return value

    return read


def text(value: Any, cursor: Cursor, field: Field) -> Any:
    """Any text."""
    return value if isinstance(value, str) else cursor.wrong("a text", value, field)


def name(value: Any, cursor: Cursor, field: Field) -> Any:
    """A text that is not empty and can be printed."""
    if not isinstance(value, str):
        return cursor.wrong("a text", value, field)
    if not value or not value.isprintable():
        what = "holds characters that cannot be printed" if value else "must not be empty"
        return cursor.report(f"{cursor.label} {what}", f"write for example {field.example}")
    return value


def path(value: Any, cursor: Cursor, field: Field) -> Any:
    """A path, which starts from the folder of the file."""
    found = name(value, cursor, field)
    return MISSING if found is MISSING else cursor.folder / found


def boolean(value: Any, cursor: Cursor, field: Field) -> Any:
    """`true` or `false`."""
    return value if isinstance(value, bool) else cursor.wrong("true or false", value, field)


def integer(value: Any, cursor: Cursor, field: Field) -> Any:
    """An integer of 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int):
        return cursor.wrong("an integer", value, field)
    return value if value in _INT64 else cursor.report(f"{cursor.label} does not fit into 64 bits")


def count(value: Any, cursor: Cursor, field: Field) -> Any:
    """An integer from 1."""
    found = integer(value, cursor, field)
    if found is not MISSING and found < 1:
        return cursor.report(f"{cursor.label} must be 1 or more", f"write for example {field.example}")
    return found


def day(value: Any, cursor: Cursor, field: Field) -> Any:
    """A day, as a text or as TOML's own date; the text is checked later."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str) else cursor.wrong("a date", value, field)


def json_value(value: Any, cursor: Cursor, field: Field) -> Any:
    """What JSON can hold (RFC 8259), but for null, which TOML has not: no dates or infinities. Nesting is bounded by
    `toml.lines.MAX_DEPTH`.
    """
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in parts:
        if json_value(item, cursor.inside(key), field) is MISSING:
            return MISSING
    if isinstance(value, int) and not isinstance(value, bool):
        return integer(value, cursor, field)
    if isinstance(value, float) and not math.isfinite(value):
        return cursor.report(f"{cursor.label} is not a number that JSON has")
    if value is None:
        return cursor.report(f"{cursor.label} is null, which no binding can hold", "leave it out")
    if not isinstance(value, str | int | float | list | dict):
        return cursor.wrong("what JSON can hold", value, field)
    return value
