"""Which test belongs to which module, and which modules have none of their own.

`runtime/pyworkerd/server/address.py` is tested by `tests/runtime/server/test_address.py`, and so on. A binding is one
folder and is tested under its own name; the halves of the guest share `tests/isolates/python`. Modules of the guest's
own machinery (`_pyworkerd`) run inside the sandbox, so they are tested from outside of it.

An exemption is a row with its reason. A test fails when a row has become unnecessary.
"""

from __future__ import annotations

import ast
from pathlib import Path, PurePosixPath

from tests.packaging.tree import ROOT, relative

_FOLDERS = {
    "runtime/pyworkerd": "tests/runtime",
    "isolates/pyworkerd_isolates/python/guest/workers": "tests/isolates/python",
    "isolates/pyworkerd_isolates/python/guest/_pyworkerd": "tests/isolates/python",
    "isolates/pyworkerd_isolates/python/guest": "tests/isolates/python",
    "isolates/pyworkerd_isolates": "tests/isolates",
    "capnp_config/pyworkerd_config": "tests/config",
    "bench/pyworkerd_bench": "tests/bench",
}

TESTED_ELSEWHERE: dict[str, str] = {}
"""Modules whose behaviour is that of another's test: two parsers behind one interface, a part of one whole."""

UNTESTED: dict[str, str] = {}
"""Modules without a test, and why that is so."""


def needs_no_test(path: Path) -> bool:
    """Whether a module does nothing: it only documents, imports, names constants or describes types."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return all(_only_describes(function) for function in functions)


def _only_describes(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return all(
        isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in function.body
    )


def mirror_of(path: Path) -> Path:
    """Where the module's own test belongs."""
    name = relative(path)
    prefix = next(folder for folder in _FOLDERS if name.startswith(f"{folder}/"))
    inner = PurePosixPath(name.removeprefix(f"{prefix}/"))
    if inner.name == "__init__.py":
        inner = inner.parent.with_suffix(".py") if inner.parent.name else inner.with_name("package.py")
    if inner.parts[0] == "bindings" and inner.name == "capability.py":
        inner = inner.parent.with_suffix(".py")
    return ROOT / _FOLDERS[prefix] / inner.parent / f"test_{inner.name}"
