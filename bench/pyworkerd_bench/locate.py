"""Where the peers' programs are: an environment variable, what `make bench` installed, a Python package, or
PATH.

In that order: what somebody named wins, then the pinned version, then whatever the machine has.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BUILD = Path("build/bench")
"""Where `make bench` installs and builds, under the current directory."""


@dataclass(frozen=True)
class Program:
    """How one program is found."""

    name: str
    """Its name on PATH."""
    variable: str
    """The environment variable that names it."""
    remedy: str
    """What to do when it is nowhere."""
    built: Sequence[str] = ()
    """Patterns under `BUILD`."""
    package: tuple[str, str] | None = None
    """An installed Python package and the program's file in it."""


PROGRAMS: Mapping[str, Program] = {
    "node": Program("node", "PYWORKERD_BENCH_NODE", "install Node.js"),
    # The npm package's own `bin/workerd` is a script around the program of the platform's package.
    "workerd": Program(
        "workerd",
        "PYWORKERD_BENCH_WORKERD",
        "run `make bench`",
        ("node_modules/@cloudflare/workerd-*/bin/workerd",),
    ),
    "wrk": Program("wrk", "PYWORKERD_BENCH_WRK", "run `make bench`, or install wrk", ("wrk/usr/bin/wrk",)),
    "wasmtime": Program(
        "wasmtime", "PYWORKERD_BENCH_WASMTIME", "run `make bench`", package=("wasmtime_cli", "wasmtime")
    ),
}


def find(
    program: Program,
    *,
    environment: Mapping[str, str] | None = None,
    build: Path = BUILD,
) -> Path | None:
    """The program's absolute path, or None."""
    environment = os.environ if environment is None else environment
    named = environment.get(program.variable)
    if named:
        return Path(named).absolute() if Path(named).is_file() else None
    built = (path for pattern in program.built for path in sorted(build.glob(pattern)))
    packaged = _in_package(*program.package) if program.package else None
    for path in (*built, *([packaged] if packaged else [])):
        if make_executable(path):
            return path.absolute()
    on_path = shutil.which(program.name, path=environment.get("PATH"))
    return Path(on_path).absolute() if on_path else None


def missing(program: Program) -> str:
    """The sentence for a program that is not there."""
    return f"{program.name} was not found: {program.remedy}, or name it in {program.variable}"


def make_executable(path: Path) -> bool:
    """Whether a file can be run; wheels lose the mode bit, so it is set again where this user may."""
    if not path.is_file():
        return False
    if not os.access(path, os.X_OK):
        with suppress(OSError):
            path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return os.access(path, os.X_OK)


def _in_package(package: str, file: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).with_name(file) if spec is not None and spec.origin else None
