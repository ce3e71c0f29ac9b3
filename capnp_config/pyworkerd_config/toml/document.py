"""From the text of a TOML file to plain values and their lines. No I/O.

The text is hostile: its size and nesting are bounded before `tomllib` sees it, and whatever `tomllib` raises
becomes one problem with a line.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

from pyworkerd_config.model import Place, Places
from pyworkerd_config.problems import ConfigError, Problem

from .lines import MAX_DEPTH, TooDeepError, scan

MAX_BYTES = 16 << 20
"""Largest configuration file, 16 MiB: ten thousand tenants of 1.6 KiB each, and some seconds to read it."""

_SYNTAX = re.compile(
    r"(?P<what>.*) \(at (?:line (?P<line>\d+), column \d+|(?P<end>end of document))\)", re.DOTALL
)


def decode_text(data: bytes, place: Place) -> str:
    """The text of a file. Raises `ConfigError` if too large or not UTF-8; drops a byte order mark."""
    check_size(len(data), place)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = Problem(Place(place.file, line), "this is not UTF-8 text", "save the file as UTF-8")
        raise ConfigError([problem]) from None


def check_size(size: int, place: Place) -> None:
    """Raise `ConfigError` if a file of `size` bytes is more than a configuration can be."""
    if size > MAX_BYTES:
        raise ConfigError([Problem(place, f"the file is larger than {MAX_BYTES >> 20} MiB")])


def parse_document(text: str, place: Place) -> tuple[dict[str, Any], Places]:
    """Values and lines of a TOML text. Raises `ConfigError` with the one problem that ended the reading."""
    check_size(len(text.encode(errors="surrogatepass")), place)
    text = text.replace("\r\n", "\n")
    try:
        lines = scan(text)
        return tomllib.loads(text), Places(place.file, lines)
    except TooDeepError as error:
        problem = Problem(Place(place.file, error.line), f"nested deeper than {MAX_DEPTH} levels")
    except RecursionError:
        problem = Problem(place, "nested too deeply")
    except ValueError as error:
        # Not only TOMLDecodeError: an integer of thousands of digits is refused by `int()` itself.
        problem = _syntax_problem(str(error), text, place)
    raise ConfigError([problem])


def _syntax_problem(message: str, text: str, place: Place) -> Problem:
    found = _SYNTAX.fullmatch(message)
    if found is None:
        return Problem(place, "a value that TOML does not allow", message.partition(";")[0])
    line = int(found["line"]) if found["line"] else text.count("\n") + (not text.endswith("\n"))
    return Problem(Place(place.file, line), f"not valid TOML: {_lower_first(found['what'])}")


def _lower_first(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
