"""Reading of one struct of workerd's configuration: its values, where they stand, and what of it is refused.

What pycapnp made of the configuration is plain values (`child`). Every field of them is looked up in
`tables.FIELDS` here, so that the reader above asks only for those it knows.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_config.problems import ConfigError, Problem, ProblemList, Remedy, quote

from .tables import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from .files import Where

MAX_TEXT_BYTES: Final = 25 << 20
"""Of a file that is embedded as a text or JSON binding: as of a data binding."""


class Document:
    """What all structs of one configuration have in common."""

    def __init__(
        self, problems: ProblemList, embedded: Mapping[str, Path], read: Callable[[Path, int], bytes]
    ) -> None:
        self.problems = problems
        self.warnings: list[Problem] = []
        self._embedded, self._read = embedded, read

    def file(self, value: Any) -> Path | None:
        """The file that a value was embedded from."""
        mark = value.decode("ascii", "replace") if isinstance(value, bytes) else value
        return self._embedded.get(mark) if isinstance(mark, str) else None

    def content(self, value: str | bytes) -> str | bytes | Path:
        """A text or bytes, or the file that holds it."""
        return self.file(value) or value

    def text(self, value: str, where: Where) -> str:
        """A text, that of a file included. An unreadable one is reported, and empty."""
        path = self.file(value)
        if path is None:
            return value
        try:
            return self._read(path, MAX_TEXT_BYTES).decode("utf-8")
        except ConfigError as error:
            for problem in error.problems:
                self.problems.add(problem)
        except UnicodeDecodeError:
            self.problems.add(Problem(where.place, f"{path.name} is not UTF-8 text", "embed it as data"))
        return ""


class Struct:
    """One struct or group."""

    __slots__ = ("document", "kind", "values", "where")

    def __init__(self, values: dict[str, Any], where: Where, document: Document) -> None:
        self.kind: str = values[""]
        self.values, self.where, self.document = values, where, document

    def report(self, message: str, remedy: Remedy = "", field: str = "") -> None:
        """Note something that cannot work, at a field."""
        at = self.where.field(field) if field else self.where
        self.document.problems.report(at.place, message, remedy)

    def has(self, field: str) -> bool:
        """Whether a field is set; of a union, whether it is the one."""
        return field in self.values

    def choice(self, *fields: str) -> str | None:
        """Which of a union is set, if it is one of these."""
        return next((field for field in fields if field in self.values), None)

    def text(self, field: str, otherwise: str = "") -> str:
        """A text."""
        value = self.values.get(field)
        return otherwise if value is None else self.document.text(value, self.where.field(field))

    def content(self, field: str) -> str | bytes | Path:
        """A text or bytes, or the file that holds it."""
        return self.document.content(self.values[field])

    def flag(self, field: str) -> bool:
        """Whether a Bool is true."""
        return bool(self.values.get(field))

    def texts(self, field: str) -> tuple[str, ...]:
        """A list of texts."""
        where = self.where.field(field)
        return tuple(
            self.document.text(each, where.item(i)) for i, each in enumerate(self.values.get(field) or ())
        )

    def json(self, field: str) -> Any:
        """What a text in JSON means. None, and a report, if it is none."""
        try:
            return json.loads(self.text(field), parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
            self.report(
                f"{quote(field)} is not JSON: {reason}",
                'write for example "{\\"currency\\": \\"EUR\\"}"',
                field,
            )
            return None

    def struct(self, field: str) -> Struct | None:
        """A struct or group inside, if it is set."""
        value = self.values.get(field)
        return None if value is None else Struct(value, self.where.field(field), self.document)

    def structs(self, field: str) -> Iterator[Struct]:
        """A list of structs."""
        where = self.where.field(field)
        for i, each in enumerate(self.values.get(field) or ()):
            yield Struct(each, where.item(i), self.document)

    def judge(self) -> bool:
        """Report every field in it, and in what is inside, that is refused, and warn of those that mean nothing.

        Returns whether none is refused.
        """
        sound = True
        for name, value in self.values.items():
            if not name or value in (False, 0, "", []):
                continue
            field = FIELDS[self.kind][name]
            what = f"{self.kind}.{name}"
            if field.status == "refused":
                self.report(f"{quote(what)} is not supported", field.note, name)
                sound = False
            elif field.status == "ignored":
                place = self.where.field(name).place
                self.document.warnings.append(Problem(place, f"{quote(what)} means nothing here", field.note))
            elif isinstance(value, dict):
                sound &= Struct(value, self.where.field(name), self.document).judge()
            elif isinstance(value, list) and isinstance(value[0], dict):
                results = [each.judge() for each in self.structs(name)]
                sound &= all(results)
        return sound


def _no_constant(name: str) -> Any:
    raise ValueError(f"JSON has no {name}")
