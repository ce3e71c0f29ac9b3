"""The tables of workerd's fields, held to the schema; docs/support.md is made of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pyworkerd_config.workerd.files import SCHEMA
from pyworkerd_config.workerd.tables import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator

UNUSED = ("FallbackServiceRequest", "FallbackServiceRequest.Attribute")
OPENING = re.compile(
    r"(?:struct (?P<struct>\w+)|enum (?P<enum>\w+)|(?P<union>union)|(?P<group>\w+) :(?:group|union)) \{"
)
FIELD = re.compile(r"(\w+) @\d+ *:.*;")


def fields(text: str) -> Iterator[tuple[str, str]]:
    """Structs or groups and their fields, as the text of the schema has them."""
    scope: list[str] = []
    for line in map(str.strip, re.sub(r"#.*", "", text).splitlines()):
        if opening := OPENING.fullmatch(line):
            if opening["group"]:
                yield ".".join(filter(None, scope)), opening["group"]
            # A union without a name is no scope of its own; an enumeration has no fields.
            scope.append(
                opening["struct"] or opening["group"] or (f"!{opening['enum']}" if opening["enum"] else "")
            )
        elif line == "}":
            scope.pop()
        elif field := FIELD.fullmatch(line):
            yield ".".join(filter(None, scope)), field[1]


def test_every_field_of_the_schema_has_a_row() -> None:
    found: dict[str, set[str]] = {}
    for struct, field in fields(SCHEMA.read_text()):
        if struct not in UNUSED:
            found.setdefault(struct, set()).add(field)
    assert {struct: set(rows) for struct, rows in FIELDS.items()} == found


def test_every_row_says_what_to_do() -> None:
    for struct, rows in FIELDS.items():
        for name, field in rows.items():
            assert (field.status == "supported") == (not field.note), f"{struct}.{name}"
