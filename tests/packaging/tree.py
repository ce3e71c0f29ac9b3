"""What the project consists of, for the tests about it."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "pyworkerd": ROOT / "runtime/pyworkerd",
    "pyworkerd_isolates": ROOT / "isolates/pyworkerd_isolates",
    "pyworkerd_config": ROOT / "capnp_config/pyworkerd_config",
    "pyworkerd_bench": ROOT / "bench/pyworkerd_bench",
}
TEMPLATES = PACKAGES["pyworkerd"] / "templates"
"""Files that `pyworkerd init` writes: programs of their own, and no modules of the package."""
MADE = frozenset((".git", ".venv", "build", "dist", "node_modules", ".pyworkerd"))


@cache
def tracked_files() -> tuple[Path, ...]:
    """Every file of the project: what git knows or would add; without git, what lies here and was not made."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = (
            subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
        )
    except (OSError, subprocess.CalledProcessError):
        found = [path for path in ROOT.rglob("*") if not MADE & set(path.relative_to(ROOT).parts)]
        return tuple(sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts))
    return tuple(sorted(path for name in listed if name and (path := ROOT / name).is_file()))


@cache
def modules() -> tuple[Path, ...]:
    """Every Python module that is installed."""
    return tuple(
        path
        for folder in PACKAGES.values()
        for path in sorted(folder.rglob("*.py"))
        if "__pycache__" not in path.parts and not path.is_relative_to(TEMPLATES)
    )


@cache
def scripts() -> tuple[Path, ...]:
    """Every JavaScript module that is installed."""
    found = (path for folder in PACKAGES.values() for path in sorted(folder.rglob("*.js")))
    return tuple(path for path in found if not path.is_relative_to(TEMPLATES))


def relative(path: Path) -> str:
    """The path as the project's pages write it."""
    return path.relative_to(ROOT).as_posix()


def pages() -> tuple[Path, ...]:
    """The project's own pages."""
    return tuple(path for path in tracked_files() if path.suffix == ".md")
