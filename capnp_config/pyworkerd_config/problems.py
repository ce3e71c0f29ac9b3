"""What is wrong with a configuration: where, what, and what to do about it.

Everything quoted from a file passes through `quote()`, because a terminal would obey control characters and a
megabyte of key is not a message.
"""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .model import Place

MAX_PROBLEMS = 100
"""Problems kept of one file (clang's -ferror-limit stops at 20, rustc does not stop); the rest are counted.
"""

MAX_TYPOS = 8
"""Characters by which a name may be shorter or longer than the one that was meant."""

MAX_COMPARED = 200
"""Names that one is compared with: of ten thousand services only those that begin alike."""

MAX_PAIRS = 80_000
"""Pairs of characters, one of each name: comparing takes as long as both lengths multiplied, 0.2 us a pair at worst.
`MAX_PROBLEMS` unknown names take a second or two."""

MAX_TYPED = 64
"""Characters of a name that is looked for: ours have 63."""

MAX_LISTED = 50
"""Words that a message lists."""

MAX_QUOTED = 60
"""Characters of a quoted text that a message repeats."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that cannot work. `remedy` completes the message; empty where none is known."""

    place: Place
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" + (f": {self.remedy}" if self.remedy else "")


class ConfigError(Exception):
    """A configuration that cannot be used. `str()` gives one line per problem."""

    def __init__(self, problems: Iterable[Problem], omitted: int = 0) -> None:
        self.problems = tuple(problems)
        self.omitted = omitted
        """Problems that were found and not kept."""
        super().__init__(self.problems, omitted)

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems]
        return "\n".join([*lines, f"and {self.omitted} more problems"] if self.omitted else lines)


Remedy = str | Callable[[], str]
"""What to do, or what finds it out: only where the problem is kept."""


class ProblemList:
    """Collects the problems of one reading, up to `MAX_PROBLEMS`."""

    __slots__ = ("found", "omitted")

    def __init__(self) -> None:
        self.found: list[Problem] = []
        self.omitted = 0

    def __bool__(self) -> bool:
        return bool(self.found)

    def add(self, problem: Problem) -> None:
        """Keep a problem, or count it when there are too many."""
        if len(self.found) < MAX_PROBLEMS:
            self.found.append(problem)
        else:
            self.omitted += 1

    def report(self, place: Place, message: str, remedy: Remedy = "") -> None:
        """As `add`, with a remedy that is not looked for where nobody would read it."""
        if len(self.found) >= MAX_PROBLEMS:
            self.omitted += 1
        else:
            self.found.append(Problem(place, message, remedy() if callable(remedy) else remedy))

    def error(self) -> ConfigError:
        """All of them, in the order of the file."""
        return ConfigError(sorted(self.found, key=_position), self.omitted)


def _position(problem: Problem) -> tuple[str, int]:
    return str(problem.place.file or ""), problem.place.line or 0


def quote(text: str) -> str:
    """A text between double quotes, safe to print: shortened, with nothing that a terminal would obey."""
    short = text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 3] + "..."
    return "".join(
        c if c.isprintable() else json.dumps(c)[1:-1] for c in json.dumps(short, ensure_ascii=False)
    )


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """The remedy for a name that does not exist: the nearest one that does, or else `otherwise`."""
    if len(word) > MAX_TYPED:
        return otherwise
    like = [name for name in known if abs(len(name) - len(word)) <= MAX_TYPOS]
    most = min(MAX_COMPARED, MAX_PAIRS // (len(word) + 1) ** 2)
    if len(like) > most:
        like = _begin_alike(like, word, most)
    import difflib  # noqa: PLC0415 (start-up time: only for what is wrong)

    near = difflib.get_close_matches(word, like, n=1, cutoff=0.6)
    return f"did you mean {quote(near[0])}?" if near else otherwise


def _begin_alike(names: list[str], word: str, most: int) -> list[str]:
    """As many as are compared. In alphabetical order names that begin alike are neighbours."""
    names.sort()
    start = max(bisect(names, word) - most // 2, 0)
    return names[start : start + most]


def listing(words: Iterable[str], join: str = "or") -> str:
    """`"a", "b" or "c"`; of very many the first."""
    given = list(words)
    quoted = [quote(word) for word in given[:MAX_LISTED]]
    if len(given) > MAX_LISTED:
        return f"{', '.join(quoted)} {join} {len(given) - MAX_LISTED} more"
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {join} {quoted[-1]}"
