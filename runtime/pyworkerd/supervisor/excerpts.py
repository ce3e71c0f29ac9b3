"""The lines of a source that a fault is about, as an editor shows them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pyworkerd.problems import Fault

AROUND: Final = 2
"""Lines before and after."""
MAX_BYTES: Final = 1 << 20
"""Of a file that is read for that."""
MAX_COLUMNS: Final = 200
_PLACE: Final = re.compile(r"([^\n:]+):(\d{1,9}): ")


def with_excerpt(fault: Fault) -> Fault:
    """The same fault, its text with those lines, if it begins with a place and the file can be read."""
    found = _PLACE.match(fault.text)
    lines = excerpt(Path(found[1]), int(found[2])) if found else ""
    return fault._replace(text=f"{fault.text}\n\n{lines}") if lines else fault


def excerpt(path: Path, line: int) -> str:
    """The line, marked, and those around it; nothing for what cannot be read."""
    try:
        with path.open("rb") as file:
            lines = file.read(MAX_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    if not 1 <= line <= len(lines):
        return ""
    first, last = max(line - AROUND, 1), min(line + AROUND, len(lines))
    width = len(str(last))
    return "\n".join(
        f"{'>' if number == line else ' '} {number:{width}} | {lines[number - 1][:MAX_COLUMNS]}".rstrip()
        for number in range(first, last + 1)
    )
