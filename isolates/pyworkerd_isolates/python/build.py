"""Build the Python engine: componentize-py makes a component, the merge makes of it an engine and an image.

Nothing is downloaded: componentize-py carries CPython for WASI inside its wheel.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from pyworkerd_isolates import wire
from pyworkerd_isolates.capi import assemble
from pyworkerd_isolates.engine import Built, Progress, Source
from pyworkerd_isolates.errors import EngineError
from pyworkerd_isolates.versions import installed_version

GUEST: Final = Path(__file__).with_name("guest")
WIT: Final = Path(__file__).with_name("isolate.wit")
WIRE: Final = Path(wire.__file__)
MERGING: Final = WIRE.with_name("wasm")
CALLED_OFTEN_FILE: Final = Path(__file__).with_name("called_often.py")
_RUN: Final = (
    "import sys, componentize_py; sys.argv[0] = 'componentize-py'; sys.exit(componentize_py.script())"
)


def source() -> Source:
    """How the Python engine of this installation is made, keyed by all that goes into it."""
    return Source("python", _fingerprint(), build)


def _inputs() -> list[Path]:
    own = [WIT, WIRE, CALLED_OFTEN_FILE, Path(__file__)]
    return [*sorted(GUEST.rglob("*.py")), *sorted(MERGING.glob("*.py")), *own]


def _fingerprint() -> str:
    digest = hashlib.sha256(installed_version("componentize_py", "componentize-py").encode())
    for path in _inputs():
        digest.update(b"\0" + path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def build(progress: Progress) -> Built:
    """Run the build. About 8 s on one core."""
    with tempfile.TemporaryDirectory(prefix="pyworkerd-") as name:
        folder = Path(name)
        progress("building CPython for the sandbox (once per machine, takes some seconds)")
        component = _componentize(folder)
    progress("merging it into one module")
    from pyworkerd_isolates.wasm.merge import merge  # noqa: PLC0415 (every start would pay for it)

    from .called_often import CALLED_OFTEN  # noqa: PLC0415 (every start would pay for it)

    merged = merge(component, assemble, CALLED_OFTEN)
    return Built(merged.engine, merged.image, merged.refusals)


def _componentize(folder: Path) -> bytes:
    guest = folder / "guest"
    shutil.copytree(GUEST, guest, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(WIRE, guest / "_wire.py")
    output = folder / "guest.wasm"
    command = [sys.executable, "-c", _RUN, "-q", "-d", str(WIT), "-w", "isolate"]
    command += ["componentize", "-p", str(guest), "entry", "-o", str(output)]
    import subprocess  # noqa: PLC0415 (every start would pay for it)

    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode or not output.exists():
        raise EngineError(f"componentize-py failed:\n{(result.stderr or result.stdout).strip()[-4000:]}")
    return output.read_bytes()
