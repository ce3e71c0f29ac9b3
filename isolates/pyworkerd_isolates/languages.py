"""Languages that workers are written in, told by the suffix of a worker's main file, and what differs between them.

Most of an isolate's life is the same for all: a heap on top of an engine, events in, effects out.
"""

from __future__ import annotations

import importlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from .engine import Source


class Language(NamedTuple):
    """One of them."""

    name: str
    suffixes: tuple[str, ...]
    """Of main files."""
    builds: tuple[str, ...]
    """Modules that know how something of it is built: the engine, and what else it needs on the host."""
    skipped_suffixes: tuple[str, ...]
    """Of files that never belong to a worker: what compilers and editors leave or read."""
    skipped_folders: frozenset[str]
    """Names of folders that never belong to a worker."""
    dotted: bool
    """Whether a main module is named with dots and without its suffix."""
    storage: str = ""
    """The one of `builds` that makes the engine of workers that export Durable Objects, if that is another."""
    is_program: bool = False
    """Whether the main file is a program that somebody else's compiler made: it is all of the worker, has an engine of
    its own, and an instance for each request."""

    def source(self, *, has_storage: bool = False) -> Source:
        """How its engine is made; with storage, that of workers that export Durable Objects."""
        return _source(self.storage if has_storage and self.storage else self.builds[0])

    @property
    def has_storage_engine(self) -> bool:
        """Whether workers that export Durable Objects have another engine."""
        return bool(self.storage)

    def sources(self) -> tuple[Source, ...]:
        """How its engine is made, and what else there is to be built."""
        return tuple(_source(name) for name in self.builds)


def _source(module: str) -> Source:
    source: Source = importlib.import_module(module).source()
    return source


COMPILED: Final = ".pyworkerd"
"""Suffix of what `pyworkerd compile` writes, as a rule beside the program: the next one would hold the last."""
PYTHON: Final = Language(
    "python",
    (".py",),
    ("pyworkerd_isolates.python.build",),
    (".pyc", ".pyo", COMPILED),
    frozenset(("__pycache__", "node_modules")),
    dotted=True,
)
JAVASCRIPT: Final = Language(
    "javascript",
    (".js", ".mjs", ".ts", ".mts", ".jsx", ".tsx"),
    (
        "pyworkerd_isolates.javascript.build",
        "pyworkerd_isolates.javascript.typescript",
        "pyworkerd_isolates.javascript.storage_build",
    ),
    (".pyc", ".map", ".d.ts", ".d.mts", ".d.cts", COMPILED),
    frozenset(("__pycache__",)),
    dotted=False,
    storage="pyworkerd_isolates.javascript.storage_build",
)
WASM: Final = Language("wasm", (".wasm",), (), (), frozenset(), dotted=False, is_program=True)
LANGUAGES: Final = (PYTHON, JAVASCRIPT, WASM)
SUFFIXES: Final = tuple(suffix for language in LANGUAGES for suffix in language.suffixes)


def language_of(path: str) -> Language | None:
    """The language of a worker whose main file is called this; None if it is of none that runs here."""
    suffix = PurePosixPath(path).suffix
    return next((language for language in LANGUAGES if suffix in language.suffixes), None)
