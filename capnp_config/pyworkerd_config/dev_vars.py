"""Reads `.dev.vars`: `NAME=value` lines, as Wrangler and Node's dotenv write them. No I/O.

An own strict parser and not python-dotenv: that one passes over lines it cannot read with no more than a log
line, and puts the process's environment into values that hold `${...}`; a secret must be the text that was
written or an error. Quotes as in Node's dotenv: '...' and `...` are literal, "..." knows only \\n and \\r;
all three may span lines. No message repeats a value.
"""

from __future__ import annotations

import re

from .model import Place
from .problems import Problem, ProblemList, quote

_ASSIGNMENT = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=")
_NOTHING = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_QUOTED = re.compile(
    r"[ \t]*(?:'(?P<single>[^']*)'|`(?P<back>[^`]*)`|\"(?P<double>(?:[^\"\\]|\\.)*+)\")", re.DOTALL
)
# Node cuts a bare value at any #, python-dotenv only after a blank. A secret is not guessed at: without the
# blank it is an error, and quotes are the remedy.
_PLAIN = re.compile(r"(?![ \t]*[\"'`])(?P<plain>[^\n#]*+)(?=\n|\Z|(?<=[ \t])#)")
_LINE = re.compile(r"[^\n]*(?:\n|\Z)")


def parse_dev_vars(text: str, place: Place) -> dict[str, str]:
    """Names and values. Raises `ConfigError` with every line not understood, and names given twice."""
    text = text.replace("\r\n", "\n")
    found: dict[str, str] = {}
    problems = ProblemList()
    position, line = 0, 1
    while position < len(text):
        end = _entry(text, position, Place(place.file, line), found, problems)
        line += text.count("\n", position, end)
        position = end
    if problems:
        raise problems.error()
    return found


def _entry(text: str, start: int, place: Place, found: dict[str, str], problems: ProblemList) -> int:
    """Read one entry, blank line or comment; returns where the next begins."""
    if blank := _NOTHING.match(text, start):
        return blank.end()
    name = _ASSIGNMENT.match(text, start)
    value = name and (_QUOTED.match(text, name.end()) or _PLAIN.match(text, name.end()))
    rest = value and _NOTHING.match(text, value.end())
    if not name or not value or not rest:
        problems.add(
            Problem(place, "not understood", 'write NAME=value or NAME="value" on a line of its own')
        )
        return _after_line(text, start)
    if name[1] in found:
        problems.add(Problem(place, f"{quote(name[1])} is given twice", "keep one"))
    found[name[1]] = _value(value)
    return rest.end()


def _after_line(text: str, start: int) -> int:
    line = _LINE.match(text, start)
    return line.end() if line else len(text)


def _value(match: re.Match[str]) -> str:
    kind = match.lastgroup or "plain"
    if kind == "double":
        return match[kind].replace("\\n", "\n").replace("\\r", "\r")
    return match[kind].strip(" \t") if kind == "plain" else match[kind]
