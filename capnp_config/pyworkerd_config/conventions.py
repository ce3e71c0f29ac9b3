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
WRANGLER = (".ts", ".js", ".py")
"""Of programs that are looked for, best first: by `config.toml`, and by Wrangler's files."""


def main_candidates(name: str, folder: Path, suffixes: Sequence[str] = SUFFIXES) -> tuple[Path, ...]:
    """The files that may hold the service's program, best first."""
    places = f"{name}", f"src/{name}", f"{name}/index"
    return tuple(folder / f"{place}{suffix}" for suffix in suffixes for place in places)


def find_main(name: str, folder: Path, is_file: IsFile, suffixes: Sequence[str] = SUFFIXES) -> Path:
    """The first candidate that exists, or else the first; a name that is no name is not looked for."""
    candidates = main_candidates(name, folder, suffixes)
    return next((path for path in candidates if not name_fault(name) and is_file(path)), candidates[0])
