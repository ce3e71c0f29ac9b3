"""A Wrangler document, seen through the environment of it that is wanted. No I/O.

Rule 1: a key of an environment counts before the same key at the top of the file. Keys that are not inherited count
        at the top only if no environment is wanted.
Rule 2: what is wrong is a problem; what means nothing here, or is not known, is a warning.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_config import decode
from pyworkerd_config.decode import MISSING, Cursor, Field, Table, list_of, read_table, sound
from pyworkerd_config.jsonc_document import parse_jsonc
from pyworkerd_config.problems import ProblemList, Remedy, did_you_mean, listing, quote
from pyworkerd_config.toml.document import parse_document

from . import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyworkerd_config.model import Place

Row = tuple[dict[str, Any], Cursor]
"""An entry of a list, and its place."""
FIELDS: Final = {
    entry.key: entry
    for entry in (
        Field("name", decode.name, 'name = "shop"'),
        Field("main", decode.path, 'main = "src/index.ts"'),
        Field("compatibility_date", decode.day, 'compatibility_date = "2026-11-01"'),
        Field(
            "compatibility_flags",
            list_of(decode.name, "a list of texts"),
            'compatibility_flags = ["nodejs_compat"]',
        ),
    )
}
"""Keys with a plain value."""
KEYS: Final = frozenset(
    (
        *FIELDS, "vars", "secrets", "triggers", "route", "routes", "assets", "limits", "ratelimits", "tail_consumers",
        "queues", "pyworkerd", *(path[0] for path, _ in tables.LISTS),
    )
)  # fmt: skip
"""All keys that mean something here, but those that are read only at the top."""


class WranglerFile:
    """A document, seen through the environment that is wanted."""

    def __init__(
        self, text: str, place: Place, problems: ProblemList, warnings: ProblemList, environment: str | None
    ) -> None:
        json = place.file is not None and place.file.suffix != ".toml"
        self._data, places = (parse_jsonc if json else parse_document)(text, place)
        self.warnings = warnings
        self.top = Cursor(places, problems)
        self.environment = environment
        # Several workers of one file read the same: what is wrong with it is told once.
        self._values: dict[str, Any] = {}
        self._tables: dict[str, dict[str, Any]] = {}
        self._rows: dict[tuple[str, ...], list[Row]] = {}
        self._workers: list[Row] | None = None
        self._own = {} if environment is None else self._environment(environment)
        for key in {**self._data, **self._own}:
            self._look_at(key, self._at(key))

    def _environment(self, name: str) -> dict[str, Any]:
        written = self._data.get("env", {})
        found = written.get(name) if isinstance(written, dict) else None
        if isinstance(found, dict):
            return found
        known = list(written) if isinstance(written, dict) else []
        there_are = f"there are {listing(known, 'and')}" if known else "the file has none"
        self.top.report(
            f"there is no environment {quote(name)}", partial(did_you_mean, name, known, there_are)
        )
        return {}

    def _look_at(self, key: str, at: Cursor) -> None:
        if key in tables.NOT_HERE:
            self.warn(at, f"{quote(key)} means nothing here: {tables.NOT_HERE[key]}")
        elif key not in KEYS and key not in tables.ONLY_AT_THE_TOP:
            self.warn(
                at,
                f"unknown key {quote(key)}",
                partial(did_you_mean, key, KEYS | tables.NOT_HERE.keys(), "it is not looked at"),
            )

    def warn(self, at: Cursor, message: str, remedy: Remedy = "") -> None:
        """Note something that is not wrong and has no effect."""
        self.warnings.report(at.place, message, remedy)

    def _at(self, key: str) -> Cursor:
        return (
            self.top.inside("env", self.environment or "", key) if key in self._own else self.top.inside(key)
        )

    def own(self, key: str) -> bool:
        """Whether the environment has a value of its own."""
        return key in self._own

    def at_top(self, key: str) -> Any:
        """What is written outside of all environments, whatever it is; None if nothing is."""
        return self._data.get(key)

    def get(self, key: str) -> tuple[Any, Cursor] | None:
        """A value and its place; None if it is not written where it counts."""
        if key in self._own:
            return self._own[key], self._at(key)
        inherited = key in tables.INHERITED or key in tables.ONLY_AT_THE_TOP
        if key in self._data and (self.environment is None or inherited):
            return self._data[key], self.top.inside(key)
        return None

    def value(self, key: str) -> Any:
        """The plain value of one of `FIELDS`; None if it is not written, or is wrong."""
        found = self.get(key)
        if key not in self._values:
            read = None if found is None else FIELDS[key].read(*found, FIELDS[key])
            self._values[key] = None if read is MISSING else read
        return self._values[key]

    def table(self, key: str, table: Table) -> dict[str, Any]:
        """The values of a table that are right."""
        if key not in self._tables:
            found = self.get(key)
            self._tables[key] = {} if found is None else sound(self.entry(*found, table) or {})
        return dict(self._tables[key])

    def entry(self, value: Any, at: Cursor, table: Table) -> dict[str, Any] | None:
        """The values of one entry; None if it is none. Keys that it does not have here are warned of."""
        if isinstance(value, dict):
            for key in (key for key in value if key not in table.known):
                why = tables.NOT_IN_ROWS.get(key)
                remedy = partial(did_you_mean, key, table.known, "it is not looked at") if why is None else ""
                what = (
                    f"unknown key {quote(key)}" if why is None else f"{quote(key)} means nothing here: {why}"
                )
                self.warn(at.inside(key), what, remedy)
            value = {key: value[key] for key in value if key in table.known}
        read = read_table(value, at, table, Field("", MISSING, f"{{ {table.fields[0].example} }}"))
        return None if read is MISSING else read

    def rows(self, table: Table, *path: str) -> list[Row]:
        """The entries of a list that are right; it is at the end of this path."""
        if path not in self._rows:
            self._rows[path] = list(self._read_rows(table, *path))
        return self._rows[path]

    def workers(self) -> list[Row]:
        """The entries of `services` that are workers of the file. An environment without `services` has those of the
        top: Wrangler, which does not know them, has no rule for it.
        """
        if self._workers is None:
            rows = self.rows(tables.SERVICE, "services")
            if self.get("services") is None and "services" in self._data:
                at = self.top.inside("services")
                rows = list(self._read_entries(self._data["services"], at, tables.SERVICE, "services"))
            self._workers = [(row, at) for row, at in rows if "binding" not in row]
        return self._workers

    def _read_rows(self, table: Table, *path: str) -> Iterator[Row]:
        found = self.get(path[0])
        if found is not None:
            yield from self._read_entries(*found, table, *path)

    def _read_entries(self, value: Any, at: Cursor, table: Table, *path: str) -> Iterator[Row]:
        for key in path[1:]:
            value, at = (value.get(key, []) if isinstance(value, dict) else value), at.inside(key)
        if not isinstance(value, list):
            at.wrong("a list of tables", value, Field("", MISSING, f"[[{'.'.join(path)}]]"))
            return
        for number, each in enumerate(value):
            values = self.entry(each, at.inside(number), table)
            if values is not None and MISSING not in values.values():
                yield values, at.inside(number)
