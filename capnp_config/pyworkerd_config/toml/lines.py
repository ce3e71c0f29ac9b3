"""On which line of a TOML text each value was written.

Python's parser does not tell (CPython issue 115516, closed), so this module walks the text a second time. It
knows only as much of TOML as is needed to find keys and to step over values; `tomllib` is the judge of what
is valid. Where the walk meets something that it cannot read it stops, and later lookups fall back to the
nearest thing around them.

The walk also measures. `tomllib` recurses into nested values and spends quadratic time on keys of many parts,
so `scan()` runs first and refuses paths longer than `MAX_DEPTH`. It keeps its own stack and never recurses.
"""

from __future__ import annotations

import contextlib
import re
import tomllib
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyworkerd_config.model import KeyPath

MAX_DEPTH = 48
"""Keys and list positions in one path. The configuration itself needs seven; the rest is for `json` bindings.
"""

MAX_ENTRIES = 1_000_000
"""Paths remembered. A file that holds more is mostly enormous lists, whose own lines are near enough."""

_BLANK = re.compile(r"[ \t]*+")
_BLANK_LINES = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
_BARE_KEY = re.compile(r"[ \t]*+([A-Za-z0-9_-]++)[ \t]*+(\.?)")
_STRINGS = (
    re.compile(r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*+"{3,5}', re.DOTALL),
    re.compile(r"'''(?:[^']|'{1,2}(?!'))*+'{3,5}", re.DOTALL),
)
_QUOTED = re.compile(r"\"(?:[^\"\\\n]|\\.)*+\"|'[^'\n]*+'")
_SCALAR = re.compile(r"\d{4}-\d\d-\d\d [0-2][^,\]}\s#]*+|[^,\[\]{}\s#\"'=]++")
_PLAIN_LINE = re.compile(r"([A-Za-z0-9_-]++) = (?:\"[^\"\\\n]*+\"|[A-Za-z0-9_]++)\n")
"""Most lines of most files, read in one go: a bare key and a value on its line that holds nothing."""


class TooDeepError(Exception):
    """A path of the document has more than `MAX_DEPTH` steps."""

    def __init__(self, line: int) -> None:
        self.line = line
        super().__init__(f"line {line} nests deeper than {MAX_DEPTH} levels")


class _UnreadableError(Exception):
    """The walk cannot go on from here."""


def scan(text: str) -> dict[KeyPath, int]:
    """Line (from 1) of each table, key and list item of a document; `text` has line feeds as its line ends.

    Raises `TooDeepError`. A malformed text gives the lines up to where it became unreadable.
    """
    walk = _Walk(text)
    with contextlib.suppress(_UnreadableError):
        walk.document()
    return walk.lines


class _Walk:
    """A position in the text, and what was found before it."""

    __slots__ = ("_arrays", "_at", "_starts", "_text", "lines")

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._arrays: dict[KeyPath, int] = {}
        self.lines: dict[KeyPath, int] = {}

    def document(self) -> None:
        """Read expressions until the end of the text."""
        table: KeyPath = ()
        text, plain = self._text, _PLAIN_LINE.match
        while True:
            self._skip(_BLANK_LINES)
            if self._at >= len(text):
                return
            if line := plain(text, self._at):
                self._note((*table, line[1]), self._at)
                self._at = line.end()
            elif text[self._at] == "[":
                table = self._header()
            else:
                self._value(self._assignment(table))

    def _header(self) -> KeyPath:
        start, array = self._at, self._text.startswith("[[", self._at)
        self._at += 2 if array else 1
        path: KeyPath = ()
        *parents, last = self._key()
        for part in parents:
            path = self._current((*path, part))
            self._note(path, start)
        path = (*path, last)
        if array:
            self._note(path, start)
            self._arrays[path] = self._arrays.get(path, -1) + 1
            path = (*path, self._arrays[path])
        self._skip(_BLANK)
        self._expect("]]" if array else "]")
        # A table may be opened by a header below one of its own sub-tables; the header is the better place.
        self._note(path, start, replace=True)
        return path

    def _current(self, path: KeyPath) -> KeyPath:
        """A name in a header that belongs to an array of tables means its last element so far."""
        return (*path, self._arrays[path]) if path in self._arrays else path

    def _assignment(self, table: KeyPath) -> KeyPath:
        start, path = self._at, table
        for part in self._key():
            path = (*path, part)
            self._note(path, start)
        self._skip(_BLANK)
        self._expect("=")
        return path

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            if bare := _BARE_KEY.match(self._text, self._at):
                parts.append(bare[1])
                self._at, more = bare.end(), bool(bare[2])
            else:
                self._skip(_BLANK)
                parts.append(self._quoted_key())
                self._skip(_BLANK)
                more = self._text.startswith(".", self._at)
                self._at += more
            if len(parts) > MAX_DEPTH:
                raise TooDeepError(self._line(self._at))
            if not more:
                return parts

    def _quoted_key(self) -> str:
        raw = self._take(_QUOTED)
        try:
            return str(tomllib.loads(f"key = {raw}")["key"])
        except ValueError as error:
            raise _UnreadableError from error

    def _value(self, path: KeyPath) -> None:
        """Step over one value, noting what is inside.

        `open_values` holds the closing bracket, the path and the next position of each open list or table.
        """
        open_values: list[tuple[str, KeyPath, int]] = []
        while True:
            self._skip(_BLANK)
            self._note(path, self._at)
            opening = self._text[self._at : self._at + 1]
            if opening in {"[", "{"}:
                self._at += 1
                open_values.append(("]" if opening == "[" else "}", path, 0))
            else:
                self._atom()
            inner = self._next_inside(open_values)
            if inner is None:
                return
            path = inner

    def _next_inside(self, open_values: list[tuple[str, KeyPath, int]]) -> KeyPath | None:
        """Path of the value that comes next in the innermost open list or table; None when all are closed."""
        while open_values:
            self._skip(_BLANK_LINES)
            if self._text.startswith(",", self._at):
                self._at += 1
                self._skip(_BLANK_LINES)
            closing, path, position = open_values.pop()
            if self._text.startswith(closing, self._at):
                self._at += 1
                continue
            open_values.append((closing, path, position + 1))
            return (*path, position) if closing == "]" else self._assignment(path)
        return None

    def _atom(self) -> None:
        for pattern in _STRINGS:
            if self._text.startswith(pattern.pattern[:3], self._at):
                self._take(pattern)
                return
        self._take(_QUOTED if self._text[self._at : self._at + 1] in ('"', "'") else _SCALAR)

    def _note(self, path: KeyPath, position: int, *, replace: bool = False) -> None:
        if len(path) > MAX_DEPTH:
            raise TooDeepError(self._line(position))
        if len(self.lines) < MAX_ENTRIES and (replace or path not in self.lines):
            self.lines[path] = self._line(position)

    def _line(self, position: int) -> int:
        return bisect_right(self._starts, position)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise _UnreadableError
        self._at = match.end()
        return match[0]

    def _expect(self, literal: str) -> None:
        if not self._text.startswith(literal, self._at):
            raise _UnreadableError
        self._at += len(literal)
