"""Where things stand in a Cap'n Proto text: its constants, the files it names, and whether it has an id. No I/O.

pycapnp reads the values. It tells no lines of them, and would open whatever file the text names; both are found out
here beforehand (Cap'n Proto, "Language Reference"). What is wrong with a text is for pycapnp to say: whatever cannot be
understood here is passed over, since a file that is not found here is not there for pycapnp either.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd_config.problems import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pyworkerd_config.model import Place

MAX_DEPTH: Final = 64
"""Brackets in brackets. Configurations have a dozen."""
MAX_WORDS: Final = 1_000_000
"""Names, texts and signs: those of some thousand workers."""
_TOKEN: Final = re.compile(
    r"""(?P<blank>[\s\ufeff]+|\#[^\n]*)
    |(?P<string>"(?:[^"\\]++|\\.)*+")
    |(?P<open>"(?:[^"\\]++|\\.)*+\\?)
    |(?P<block>`[^\n]*)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>[0-9][A-Za-z0-9_.]*)
    |(?P<operator>[!$%&*+\-./:<=>?@^|~]+)
    |(?P<single>.)""",
    re.VERBOSE | re.DOTALL,
)


_NAMES: Final[Mapping[str, Callable[[str], str]]] = {
    "string": lambda text: text[1:-1],
    "block": lambda text: f"{text[1:]}\n",
}
"""What a text says, by its kind. A block is a line with its end, and names a file like any other text."""


class _Token(NamedTuple):
    kind: str
    text: str
    start: int


@dataclass(slots=True)
class Node:
    """One value as it was written."""

    at: int
    """Where it begins: a character of the text."""
    fields: dict[str, Node] = field(default_factory=dict)
    items: list[Node] = field(default_factory=list)
    refers: tuple[str, ...] = ()
    """The name of the constant that stands here; the first part is empty if the name begins with a dot."""


class Reference(NamedTuple):
    """A file that the text names."""

    word: str
    """`import` or `embed`."""
    path: str
    start: int
    """Of the path with its quotes: two characters of the text."""
    end: int


@dataclass(slots=True)
class Text:
    """What was found in one text."""

    source: str
    references: list[Reference]
    constants: dict[str, Node]
    """Those of structs under "Struct.name"."""
    aliases: dict[str, tuple[int, tuple[str, ...]]]
    """By `using`: the number of the reference that is imported, and what is meant inside it."""
    has_id: bool
    _ends: list[int] = field(default_factory=list)

    def line(self, at: int) -> int:
        """The line of a character, from 1."""
        self._ends = self._ends or [found.end() for found in re.finditer("\n|$", self.source)]
        return bisect_right(self._ends, at) + 1


def read_text(source: str, place: Place) -> Text:
    """Find it out. Raises `ConfigError` only for brackets that lie in one another too deep, and too many words."""
    return _Reader(source, place).read()


class _Reader:
    def __init__(self, source: str, place: Place) -> None:
        self.place = place
        words = (
            _Token(match.lastgroup or "", match[0], match.start())
            for match in _TOKEN.finditer(source)
            if match.lastgroup != "blank"
        )
        self.tokens = [*islice(words, MAX_WORDS), _Token("end", "", len(source))]
        if next(words, None) is not None:
            remedy = "make several configurations of it"
            raise ConfigError([Problem(place, f"the file has more than {MAX_WORDS:,} words", remedy)])
        self.at = 0
        self.found = Text(source, [], {}, {}, has_id=False)

    def read(self) -> Text:
        self._depths()
        numbers = {}
        for number, (at, reference) in enumerate(self._references()):
            self.found.references.append(reference)
            numbers[at] = number
        scope: list[str] = []
        before = "start"
        while (token := self.tokens[self.at]).kind != "end":
            self.at += 1
            if token.text == "}" and scope:
                scope.pop()
            elif token.text == "{":
                scope.append(self._name_before(self.at - 1))
            elif token.text == "const" and before in ("start", ";", "{", "}"):
                self._constant(scope)
            elif token.text == "using" and before in ("start", ";", "{", "}"):
                self._alias(numbers)
            elif token.text == "@" and before in ("start", ";") and not scope:
                self.found.has_id |= self.tokens[self.at].kind == "number"
            before = token.text if token.text in ("{", "}") else self.tokens[self.at - 1].text
        return self.found

    def _depths(self) -> None:
        depth = 0
        for token in self.tokens:
            if token.kind != "single":
                continue
            depth += (token.text in "([{") - (token.text in ")]}")
            if depth > MAX_DEPTH:
                line = self.found.line(token.start)
                message = f"brackets lie in one another more than {MAX_DEPTH} deep"
                raise ConfigError(
                    [
                        Problem(
                            type(self.place)(self.place.file, line),
                            message,
                            "give parts a constant of their own",
                        )
                    ]
                )

    def _references(self) -> Iterator[tuple[int, Reference]]:
        for at, token in enumerate(self.tokens[:-1]):
            name = self.tokens[at + 1]
            if token.kind == "word" and token.text in ("import", "embed") and name.kind in _NAMES:
                path = _NAMES[name.kind](name.text)
                yield at, Reference(token.text, path, name.start, name.start + len(name.text))

    def _name_before(self, at: int) -> str:
        """Of the struct whose bracket is here."""
        words = [token.text for token in self.tokens[max(0, at - 4) : at] if token.kind == "word"]
        return next((name for word, name in itertools.pairwise(words) if word == "struct"), "")

    def _next(self) -> _Token:
        token = self.tokens[self.at]
        if token.kind != "end":
            self.at += 1
        return token

    def _constant(self, scope: list[str]) -> None:
        name = self._next()
        while (token := self.tokens[self.at]).kind != "end" and token.text not in (";", "{", "}"):
            if token.kind == "operator" and token.text.startswith("="):
                self.at += 1
                value = self._value(token)
                if name.kind == "word":
                    self.found.constants[".".join([*filter(None, scope), name.text])] = value
                return
            self.at += 1

    def _alias(self, numbers: dict[int, int]) -> None:
        name, equals, at = self._next(), self._next(), self.at
        if name.kind == "word" and equals.text == "=" and self.tokens[at].text == "import":
            self.at += 2
            self.found.aliases[name.text] = numbers.get(at, -1), self._path()

    def _path(self) -> tuple[str, ...]:
        parts = []
        while self.tokens[self.at].text == "." and self.tokens[self.at + 1].kind == "word":
            parts.append(self.tokens[self.at + 1].text)
            self.at += 2
        return tuple(parts)

    def _value(self, before: _Token) -> Node:
        """The value from here; a dot may be part of the operator before it (`=.name`)."""
        token = self.tokens[self.at]
        node = Node(token.start)
        if token.text == "(" and token.kind == "single":
            self.at += 1
            self._struct(node)
        elif token.text == "[" and token.kind == "single":
            self.at += 1
            self._list(node)
        elif token.kind == "word":
            self.at += 1
            rooted = before.kind == "operator" and before.text.endswith(".")
            node.refers = (*([""] if rooted else []), token.text, *self._path())
        elif token.text == "." and self.tokens[self.at + 1].kind == "word":
            node.refers = ("", *self._path())
        self._skip()
        return node

    def _struct(self, node: Node) -> None:
        while (token := self.tokens[self.at]).kind != "end" and token.text != ")":
            sign = self.tokens[self.at + 1] if token.kind == "word" else token
            if token.kind == "word" and sign.kind == "operator" and sign.text.startswith("="):
                self.at += 2
                node.fields[token.text] = value = self._value(sign)
                value.at = token.start
            else:
                self._skip()
            if self.tokens[self.at].text in (",", ";", "]"):
                self.at += 1
        self._next()

    def _list(self, node: Node) -> None:
        while (token := self.tokens[self.at]).kind != "end" and token.text != "]":
            node.items.append(self._value(token._replace(text="")))
            if self.tokens[self.at].text in (",", ";", ")"):
                self.at += 1
        self._next()

    def _skip(self) -> None:
        """Go on to what ends a value."""
        depth = 0
        while (token := self.tokens[self.at]).kind != "end":
            if token.kind == "single":
                if depth == 0 and token.text in ",;)]":
                    return
                depth += (token.text in "([") - (token.text in ")]")
            self.at += 1
