"""SQLite for JavaScript's engine: cut out of CPython's library, which componentize-py carries.

The platform's SQL is synchronous, and a guest asks nobody in the middle of a step: so SQLite has to be inside. In
CPython's library for WASI it is one object file, which calls two dozen functions of C. Those for numbers and texts are
cut out of the C library with it; memory is QuickJS's, time and random numbers are the engine's, and there are no files.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyworkerd_isolates.errors import EngineError
from pyworkerd_isolates.wasm.component import Lowered, parse_component
from pyworkerd_isolates.wasm.cutting import Around, Library, Place
from pyworkerd_isolates.wasm.image import memory_of
from pyworkerd_isolates.wasm.linking import Linkage
from pyworkerd_isolates.wasm.preview1 import Ground, Joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd_isolates.wasm.cutting import Piece
    from pyworkerd_isolates.wasm.linking import Target

FROM: Final = "sqlite"
"""What the module is called of which SQLite imports what is not cut out with it."""
ANSWERED: Final = {
    (FROM, "malloc"): "malloc",
    (FROM, "realloc"): "realloc",
    (FROM, "free"): "free",
    (FROM, "gettimeofday"): "time_of_day",
    (FROM, "sqlite3_randomness"): "randomness",
}
"""By functions of the glue."""
CONSTANT: Final = {
    (FROM, "getenv"): 0,
    (FROM, "strerror"): 0,
    (FROM, "nanosleep"): 0,
    **{(FROM, name): -1 for name in ("open", "read", "lseek", "fsync", "utimes")},
}
"""No variable is set, nothing can be opened."""
_TEXTS: Final = (
    "memchr", "memcmp", "strchr", "strcmp", "strcspn", "strlen", "strncmp", "strrchr", "strspn",
    "log", "log10", "log2",
)  # fmt: skip
"""Of the C library, called by name."""
_NUMBERS: Final = (
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cos", "cosh", "exp", "fmod", "pow", "sin", "sinh",
    "sqrt", "tan", "tanh", "trunc",
)  # fmt: skip
"""Of the C library, called by address."""
_ERRNO: Final = "errno"
_WORLD: Final = "package pyworkerd:nothing;\nworld nothing { export nothing: func(); }\n"
_PROGRAM: Final = "class WitWorld:\n    def nothing(self):\n        pass\n"
_RUN: Final = (
    "import sys, componentize_py; sys.argv[0] = 'componentize-py'; sys.exit(componentize_py.script())"
)


class SQLite:
    """It, with where it comes from parsed."""

    def __init__(self, component: bytes) -> None:
        linkage = Linkage(parse_component(component))
        memory = bytes(memory_of(linkage.state_module()))
        self._library = Library(linkage, "sqlite3_initialize", memory)
        self._c = Library(linkage, "strlen", memory)

    def join(self, ground: Ground, wanted: Sequence[str], errno: int) -> Joined:
        """These functions of SQLite, for an engine. `errno` is the address of a number."""

        def refuse(name: str) -> int:
            raise EngineError(f"the C library needs {name}")

        slot = ground.slot
        around = Around(lambda _: None, refuse, ground.stack)
        texts = self._c.cut([*_TEXTS, *_NUMBERS], Place(1, ground.address, slot), around, _NUMBERS)
        slots = {name: slot + place for place, name in enumerate(_NUMBERS)}

        def resolve(name: str) -> Target | None:
            known = (FROM, name)
            if known in ANSWERED or known in CONSTANT:
                return Lowered(FROM, name, None)
            return texts.exports.get(name)

        def address(name: str) -> int:
            return errno if name == _ERRNO else slots.get(name, 0)

        place = Place(2, _aligned(texts.end), slot + texts.slots)
        around = Around(resolve, address, ground.stack, ["sqlite3_randomness"])
        sqlite = self._library.cut(wanted, place, around)
        return _together(texts, sqlite)


def _together(first: Piece, second: Piece) -> Joined:
    calls = {item: kind for item, kind in second.calls.items() if isinstance(item, Lowered)}
    return Joined(
        {1: first.part, 2: second.part},
        [*first.data, *second.data],
        first.slots + second.slots,
        second.exports,
        calls,
    )


def _aligned(address: int) -> int:
    return -(-address // 16) * 16


def component() -> bytes:
    """CPython for WASI with a program that does nothing: its libraries, before anybody has used them."""
    with tempfile.TemporaryDirectory(prefix="pyworkerd-") as name:
        folder = Path(name)
        (folder / "world.wit").write_text(_WORLD, encoding="utf-8")
        (folder / "guest").mkdir()
        (folder / "guest" / "nothing.py").write_text(_PROGRAM, encoding="utf-8")
        output = folder / "nothing.wasm"
        command = [sys.executable, "-c", _RUN, "-q", "-d", "world.wit", "-w", "nothing"]
        command += ["componentize", "-p", "guest", "nothing", "-o", str(output)]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
        if result.returncode or not output.exists():
            raise EngineError(f"componentize-py failed:\n{(result.stderr or result.stdout).strip()[-4000:]}")
        return output.read_bytes()
