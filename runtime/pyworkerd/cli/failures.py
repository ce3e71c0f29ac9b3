"""From an exception to what the operator reads: one clear message per problem, and no traceback."""

from __future__ import annotations

import json
import sys

from pyworkerd.observe.text import printable
from pyworkerd.problems import faults_of, status_of

from .terminal import has_colours


def explain(error: Exception, *, as_json: bool = False) -> int | None:
    """Tell the operator, and return the exit status. None for an error that nobody expected: that is a bug."""
    status = status_of(error)
    if status is None:
        return None
    faults = faults_of(error)
    if as_json:
        problems = [fault.to_json() for fault in faults]
        sys.stdout.write(json.dumps({"ok": False, "problems": problems}) + "\n")
    else:
        red, plain = ("\x1b[31m", "\x1b[0m") if has_colours(sys.stderr) else ("", "")
        for fault in faults:
            sys.stderr.write(f"{red}error:{plain} {printable(fault.text)}\n")
    return status
