"""From the text of a JSON file with comments to plain values and their lines. No I/O.

JSON as RFC 8259 has it, with comments and trailing commas, as Wrangler and editors allow them. Python's parser knows
neither those nor lines, and the packages that know comments do not know lines, so this reads the text itself: strings
and numbers are still decoded by `json`. The text is hostile: its size and nesting are bounded.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from typing import Any, Final

from .model import KeyPath, Place, Places
from .problems import ConfigError, Problem, quote
from .toml.document import check_size
from .toml.lines import MAX_DEPTH

_SPACE: Final = re.compile(r"(?:[ \t\r\n]++|//[^\n]*+|/\*(?:[^*]|\*(?!/))*+\*/)*+")
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*+"')
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
_WORDS: Final = {"true": True, "false": False, "null": None}
_WORD: Final = re.compile(r"[a-z]++")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class _Fault(Exception):
    """The text is not JSON, from here on."""

    def __init__(self, at: int, what: str) -> None:
        self.at, self.what = at, what
        super().__init__(what)


def parse_jsonc(text: str, place: Place) -> tuple[dict[str, Any], Places]:
    """Values and lines of a text that holds one object. Raises `ConfigError` with what ended the reading."""
    check_size(len(text.encode(errors="surrogatepass")), place)
    reading = _Reading(text)
    try:
        data = reading.document()
    except _Fault as fault:
        line = reading.line(fault.at)
        raise ConfigError([Problem(Place(place.file, line), f"not valid JSON: {fault.what}")]) from None
    if not isinstance(data, dict):
        raise ConfigError(
            [Problem(place, "the file holds no object", 'write for example { "name": "shop" }')]
        )
    return data, Places(place.file, reading.lines)


class _Reading:
    """One pass over a text."""

    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text, self._at = text, 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def line(self, at: int) -> int:
        """Of a position, from 1."""
        return bisect_right(self._starts, at)

    def document(self) -> Any:
        """The whole text."""
        self._skip()
        value = self._value(())
        self._skip()
        if self._at < len(self._text):
            raise _Fault(self._at, "something follows after its end")
        return value

    def _value(self, path: KeyPath) -> Any:
        if len(path) > MAX_DEPTH:
            raise _Fault(self._at, f"nested deeper than {MAX_DEPTH} levels")
        self.lines.setdefault(path, self.line(self._at))
        first = self._text[self._at : self._at + 1]
        if first == "{":
            return self._object(path)
        if first == "[":
            return self._list(path)
        return self._string() if first == '"' else self._scalar()

    def _object(self, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not self._closed("}", bool(found)):
            at = self._at
            key = self._string()
            if key in found:
                raise _Fault(at, f"the key {quote(key)} is given twice")
            self.lines[(*path, key)] = self.line(at)
            self._skip()
            self._expect(":")
            self._skip()
            found[key] = self._value((*path, key))
        return found

    def _list(self, path: KeyPath) -> list[Any]:
        found: list[Any] = []
        while not self._closed("]", bool(found)):
            found.append(self._value((*path, len(found))))
        return found

    def _closed(self, bracket: str, further: bool) -> bool:
        """Step over what stands before an entry; whether the end stands there instead."""
        if not further:
            self._at += 1
            self._skip()
        else:
            self._skip()
            if self._text.startswith(",", self._at):
                self._at += 1
                self._skip()
            elif not self._text.startswith(bracket, self._at):
                raise _Fault(self._at, f'expected "," or "{bracket}"')
        if self._text.startswith(bracket, self._at):
            self._at += 1
            return True
        return False

    def _string(self) -> str:
        token = self._take(_STRING, "expected a text in double quotes")
        try:
            text = json.loads(token)
        except ValueError:
            raise _Fault(self._at, "a text with an escape that JSON does not have") from None
        assert isinstance(text, str)
        if _SURROGATE.search(text):
            raise _Fault(self._at, "a text with half of a surrogate pair")
        return text

    def _scalar(self) -> Any:
        at = self._at
        if word := _WORD.match(self._text, at):
            if word[0] not in _WORDS:
                raise _Fault(at, f"{quote(word[0])} is no value")
            self._at = word.end()
            return _WORDS[word[0]]
        token = self._take(_NUMBER, "expected a value")
        try:
            return json.loads(token)
        except ValueError:
            raise _Fault(at, "a number of too many digits") from None

    def _take(self, pattern: re.Pattern[str], otherwise: str) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise _Fault(self._at, otherwise)
        self._at = match.end()
        return match[0]

    def _expect(self, literal: str) -> None:
        if not self._text.startswith(literal, self._at):
            raise _Fault(self._at, f'expected "{literal}"')
        self._at += len(literal)

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        assert match is not None
        self._at = match.end()
