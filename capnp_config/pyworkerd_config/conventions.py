"""Where a worker's program is looked for when the configuration does not name it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from .names import name_fault

IsFile = Callable[[Path], bool]
"""Whether a file exists. A parameter, so that the readers stay free of I/O."""


def nothing_exists(_path: Path) -> bool:
    """For reading a text without looking at the disk: the first candidate is taken."""
    return False


SUFFIXES = (".py", ".ts", ".js")
"""Of programs that are looked for, best first."""


def main_candidates(name: str, folder: Path, suffixes: Sequence[str] = SUFFIXES) -> tuple[Path, ...]:
    """The files that may hold the service's program, best first."""
    return tuple(
        place
        for suffix in suffixes
        for place in (
            folder / f"{name}{suffix}",
            folder / "src" / f"{name}{suffix}",
            folder / name / f"index{suffix}",
        )
    )


def find_main(name: str, folder: Path, is_file: IsFile) -> Path:
    """The first candidate that exists, or else the first; a name that is no name is not looked for."""
    candidates = main_candidates(name, folder)
    return next((path for path in candidates if not name_fault(name) and is_file(path)), candidates[0])
