"""Build the JavaScript engine: QuickJS as `quickjs-rs` ships it, joined with the host by `glue`, and guest scripts.

Nothing is downloaded: the engine is a file of that package. Unlike Python's, the first image holds no guest yet: the
script that `Built.boot` is runs when the engine is warmed.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd_isolates import wasm
from pyworkerd_isolates.capi import assemble
from pyworkerd_isolates.engine import Built, Progress, Source
from pyworkerd_isolates.errors import EngineError
from pyworkerd_isolates.versions import installed_version

from .typescript import TypeScript

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE: Final = Path(__file__).parent
GUEST: Final = HERE / "guest"
BOOT: Final = GUEST / "boot.js"
TABLES: Final = "pyworkerd:tables"
"""The module that says where each of the engine's tables lies."""
PREFIX: Final = "pyworkerd:"
"""What names of the guest's own modules begin with; a folder of them is a part of the name: `pyworkerd:web/url`."""
OBJECTS: Final = "objects/"
"""What the names of modules begin with that only an engine with storage has."""
LATER: Final = ("node/", "node_parts/", "web/html/")
"""What the names of modules begin with that most programs do without: their texts are constants of the engine, and no
part of an image before a program imports them."""


class Constants(NamedTuple):
    """What the engine has once for all isolates, in its code: bytes that the guest reads by `host.table`."""

    data: bytes
    tables: Mapping[str, tuple[int, int]]
    """Where each table of `encodings` begins, and its size in bytes."""
    texts: Mapping[str, tuple[int, int]]
    """The same for the texts of modules, by the modules' names."""


def source() -> Source:
    """How the JavaScript engine of this installation is made, keyed by all that goes into it."""
    return Source("javascript", fingerprint("quickjs-rs"), build, TypeScript)


def _inputs() -> list[Path]:
    merging = Path(wasm.__file__).parent
    return [*sorted(GUEST.rglob("*.js")), *sorted(merging.glob("*.py")), *sorted(HERE.glob("*.py"))]


def fingerprint(*packages: str) -> str:
    """A hash of what the build reads, and of the versions of these packages."""
    digest = hashlib.sha256()
    for package in packages:
        digest.update(installed_version(package.replace("-", "_"), package).encode())
    for path in _inputs():
        digest.update(b"\0" + path.relative_to(HERE.parent).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def build(progress: Progress) -> Built:
    """Run the build. About a second on one core, most of it for the compiler that comes after."""
    from pyworkerd_isolates.wasm.preview1 import lone_engine  # noqa: PLC0415 (every start would pay for it)

    from .counting import recount  # noqa: PLC0415 (every start would pay for it)
    from .glue import plain_glue  # noqa: PLC0415 (every start would pay for it)

    progress("joining QuickJS with the sandbox")
    constants = make_constants()
    merged = lone_engine(quickjs(), partial(plain_glue, tables=constants.data), assemble, rework=recount)
    return Built(*merged, boot_script(constants).encode())


def quickjs() -> bytes:
    """The engine as it comes. Raises `EngineError`."""
    try:
        return importlib.resources.files("quickjs_rs").joinpath("_guest.wasm").read_bytes()
    except (ModuleNotFoundError, OSError) as error:
        raise EngineError(f"the package quickjs-rs does not hold its engine: {error}") from None


def make_constants() -> Constants:
    """Tables, and after them the texts of modules that are imported later than the others."""
    from .encodings import make_tables  # noqa: PLC0415 (every start would pay for it)

    tables = make_tables()
    parts = [tables.data]
    texts: dict[str, tuple[int, int]] = {}
    at = len(tables.data)
    for name, path in _modules().items():
        if name.startswith(LATER):
            text = path.read_bytes()
            texts[PREFIX + name] = (at, len(text))
            parts.append(text)
            at += len(text)
    return Constants(b"".join(parts), tables.places, texts)


def boot_script(constants: Constants, *, has_storage: bool = False) -> str:
    """The script that the engine is booted with: all of the guest's modules, as texts or as places of texts among its
    constants, and what evaluates them."""
    from .glue import host_functions  # noqa: PLC0415 (every start would pay for it)

    modules = {
        PREFIX + name: path.read_text(encoding="utf-8")
        for name, path in _modules().items()
        if PREFIX + name not in constants.texts and (has_storage or not name.startswith(OBJECTS))
    }
    modules[TABLES] = f"export default {json.dumps(constants.tables)};"
    # One text, whatever is in it: what most programs do without takes no more of their images.
    later = "".join(f"\n{name} {at} {size}" for name, (at, size) in constants.texts.items()) + "\n"
    arguments = (modules, later, host_functions(has_storage=has_storage))
    script = BOOT.read_text(encoding="utf-8").strip().removesuffix(";")
    return f"({script})({', '.join(map(json.dumps, arguments))})"


def _modules() -> dict[str, Path]:
    """The guest's own modules, by their names without `PREFIX`."""
    paths = (path for path in sorted(GUEST.rglob("*.js")) if path != BOOT)
    return {path.relative_to(GUEST).with_suffix("").as_posix(): path for path in paths}
