"""From an exception to what the operator reads: one clear message per problem, and no traceback."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_config import ConfigError, Problem
from pyworkerd_isolates.errors import IsolateError

from pyworkerd.errors import ConfigurationError
from pyworkerd.observe.text import printable

from .terminal import has_colours

if TYPE_CHECKING:
    from collections.abc import Sequence

MISTAKE: Final = 2
FAILED: Final = 1


def explain(error: Exception, *, as_json: bool = False) -> int | None:
    """Tell the operator, and return the exit status. None for an error that nobody expected: that is a bug."""
    status = _status(error)
    if status is None:
        return None
    problems = problems_of(error)
    if as_json:
        sys.stdout.write(json.dumps({"ok": False, "problems": problems}) + "\n")
    else:
        red, plain = ("\x1b[31m", "\x1b[0m") if has_colours(sys.stderr) else ("", "")
        for problem in problems:
            sys.stderr.write(f"{red}error:{plain} {printable(problem['text'])}\n")
    return status


def problems_of(error: Exception) -> Sequence[dict[str, Any]]:
    """What is wrong, as plain values: `text` is the whole sentence, the rest its parts where they are known."""
    if not isinstance(error, ConfigError):
        return [{"text": str(error)}]
    found = [_problem(problem) for problem in error.problems]
    if error.omitted:
        found.append({"text": f"and {error.omitted} more problems"})
    return found


def _problem(problem: Problem) -> dict[str, Any]:
    place = problem.place
    return {
        "text": str(problem),
        "file": str(place.file) if place.file is not None else None,
        "line": place.line,
        "message": problem.message,
        "remedy": problem.remedy or None,
    }


def _status(error: Exception) -> int | None:
    if isinstance(error, ConfigError | ConfigurationError):
        return MISTAKE
    return FAILED if isinstance(error, IsolateError) else None
