"""Where the lines of compiled TypeScript come from. The compiler does not tell, so the two texts are aligned.

What is left of a source is there in the same order, with other white space: types are missing, and a little is new. So
the words of both texts are compared. Runs of three that both have exactly once are anchors; between them, each word of
the output is looked for among the next words of the source. What is wrong then is wrong for some words, and no further
than the next anchor.

What comes out is what a source map calls mappings (ECMA-426): base64 numbers, one group for each change.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WORDS: Final = re.compile(r"//[^\n]*|[\w$]+")
_COMMENTED: Final = re.compile(r"//[^\n]*|/\*.*?\*/|[\w$]+", re.DOTALL)
_RUN: Final = 3
_REACH: Final = 60
"""Words that may have been left out at one place, as far as no anchor says that it were more."""
_DIGITS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


class _Text(NamedTuple):
    words: Sequence[str]
    places: Sequence[int]
    lines: Sequence[int]
    """Where each line begins."""

    @classmethod
    def of(cls, text: str) -> _Text:
        # Behind the last end of a comment none begins: to look for its end would take long for a hostile text.
        last = text.rfind("*/") + 2 if "*/" in text else 0
        matches = (*_COMMENTED.finditer(text, 0, last), *_WORDS.finditer(text, last))
        found = [match for match in matches if match[0][0] != "/"]
        lines = [0, *(match.end() for match in re.finditer("\n", text))]
        return cls([match[0] for match in found], [match.start() for match in found], lines)

    def position(self, word: int) -> tuple[int, int]:
        """Line and column, from 0."""
        place = self.places[word]
        line = bisect_left(self.lines, place + 1) - 1
        return line, place - self.lines[line]


def mappings(source: str, output: str) -> str:
    """Where the words of `output` are in `source`, as the `mappings` of a source map with one source.

    Never fails: what does not fit is left out. Takes some microseconds for each word.
    """
    before, after = _Text.of(source), _Text.of(output)
    return _encoded(_changes(before, after))


def _pairs(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Words that are the same: places in both, each rising."""
    begin, next_after = 0, 0
    for anchor_before, anchor_after in [*_anchors(before, after), (len(before), len(after))]:
        at = begin
        for place in range(next_after, anchor_after):
            try:
                at = before.index(after[place], at, min(at + _REACH + 1, anchor_before)) + 1
            except ValueError:
                continue
            yield at - 1, place
        if anchor_before < len(before):
            yield anchor_before, anchor_after
        begin, next_after = anchor_before + 1, anchor_after + 1


def _anchors(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int]]:
    """The longest chain of runs that both texts have once, in the order of both."""
    runs_before = list(zip(*(before[i:] for i in range(_RUN)), strict=False))
    runs_after = list(zip(*(after[i:] for i in range(_RUN)), strict=False))
    once_before, once_after = Counter(runs_before), Counter(runs_after)
    places = {run: place for place, run in enumerate(runs_before) if once_before[run] == 1}
    found = [
        (places[run], place) for place, run in enumerate(runs_after) if once_after[run] == 1 and run in places
    ]
    return _rising(found)


def _rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest part whose first numbers rise as the second ones do."""
    ends: list[int] = []
    """The smallest first number that a chain of each length can end with."""
    at: list[int] = []
    previous: list[int] = []
    for index, (first, _) in enumerate(pairs):
        length = bisect_left(ends, first)
        previous.append(at[length - 1] if length else -1)
        ends[length : length + 1] = [first]
        at[length : length + 1] = [index]
    chain, index = [], at[-1] if at else -1
    while index >= 0:
        chain.append(pairs[index])
        index = previous[index]
    return chain[::-1]


def _changes(before: _Text, after: _Text) -> Iterator[tuple[int, int, int, int]]:
    """Line and column of the output, line and column of the source, where these do not follow from what was before."""
    known: tuple[int, int, int] | None = None
    for place_before, place_after in _pairs(before.words, after.words):
        line, column = after.position(place_after)
        source_line, source_column = before.position(place_before)
        follows = (line, source_line, source_column - column)
        if follows != known:
            yield line, column, source_line, source_column
        known = follows


def _encoded(changes: Iterator[tuple[int, int, int, int]]) -> str:
    parts: list[str] = []
    last_line = last_column = last_source_line = last_source_column = 0
    for line, column, source_line, source_column in changes:
        if line > last_line:
            parts.append(";" * (line - last_line))
            last_line, last_column = line, 0
        elif parts:
            parts.append(",")
        numbers = (
            column - last_column,
            0,
            source_line - last_source_line,
            source_column - last_source_column,
        )
        parts.append("".join(map(_number, numbers)))
        last_column, last_source_line, last_source_column = column, source_line, source_column
    return "".join(parts)


def _number(value: int) -> str:
    """Base64 VLQ: the sign in the last bit, five bits for each character, the lowest first."""
    rest = value << 1 if value >= 0 else (-value << 1) | 1
    text = ""
    while True:
        digit, rest = rest & 31, rest >> 5
        text += _DIGITS[digit | 32 if rest else digit]
        if not rest:
            return text
