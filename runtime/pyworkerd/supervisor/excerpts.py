"""The lines of a source that a fault is about, as an editor shows them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyworkerd_config.model import Worker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyworkerd_config import Config

    from pyworkerd.problems import Fault

AROUND: Final = 2
"""Lines before and after."""
MAX_BYTES: Final = 1 << 20
"""Of a file that is read for that."""
MAX_COLUMNS: Final = 200
_PLACE: Final = re.compile(r"([^\n:]+):(\d{1,9}): ")


def folders_of(config: Config) -> frozenset[Path]:
    """Where lines may be shown from: the folders of the configuration and of its workers."""
    places = (config.place, *(service.place for service in config.services))
    files = {place.file.parent for place in places if place.file is not None}
    return frozenset(
        files | {service.kind.root for service in config.services if isinstance(service.kind, Worker)}
    )


def with_excerpt(fault: Fault, folders: Iterable[Path]) -> Fault:
    """The same fault, its text with those lines, if it begins with a place below these folders.

    A worker may have chosen the place, and the lines are shown to whoever opens a page: hidden files, which may hold
    secrets, are left out, and so is what a link leads to elsewhere.
    """
    found = _PLACE.match(fault.text)
    lines = excerpt(Path(found[1]), int(found[2])) if found and _may_be_shown(Path(found[1]), folders) else ""
    return fault._replace(text=f"{fault.text}\n\n{lines}") if lines else fault


def _may_be_shown(path: Path, folders: Iterable[Path]) -> bool:
    try:
        real = path.resolve(strict=True)
        if not real.is_file():
            return False
        below = [
            real.relative_to(folder.resolve()) for folder in folders if real.is_relative_to(folder.resolve())
        ]
    except (OSError, RuntimeError, ValueError):
        return False
    return any(not any(part.startswith(".") for part in each.parts) for each in below)


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
