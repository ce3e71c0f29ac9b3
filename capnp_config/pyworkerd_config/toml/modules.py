"""Reads `modules` of a worker: the program that a configuration itself lists; and `extensions` of all of them. Pure.

modules = [{ name = "shop.js", file = "src/shop.js" }, { name = "motto", kind = "text", text = "open late" }]
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_config import decode
from pyworkerd_config.decode import MISSING, Cursor, Field, Reader, Table, list_of, nested, sound
from pyworkerd_config.model import Extension, Module
from pyworkerd_config.problems import listing

from .bindings import read_base64

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS: Final = ("code", "common", "text", "data", "json")
EXAMPLE: Final = 'modules = [{ name = "shop.js", file = "src/shop.js" }]'
_CONTENTS: Final = ("file", "text", "data")
_MODULE: Final = Table(
    "a module",
    (
        Field("name", decode.name, 'name = "shop.js"', required=True),
        Field("kind", decode.choice(*KINDS), 'kind = "text"'),
        Field("file", decode.path, 'file = "src/shop.js"'),
        Field("text", decode.text, 'text = "hello"'),
        Field("data", read_base64, 'data = "aGVsbG8="'),
    ),
)


def _make(values: dict[str, Any], cursor: Cursor) -> Any:
    written = [key for key in _CONTENTS if key in values]
    if len(written) != 1:
        found = f"found {listing(written, 'and')}" if written else "found none"
        return cursor.report(
            f"a module has one of {listing(_CONTENTS)}, {found}", f"write for example {EXAMPLE}"
        )
    values = sound(values)
    if not {"name", written[0]} <= values.keys():
        return MISSING
    return Module(values["name"], values.get("kind", "code"), values[written[0]], cursor.place)


_EXTENSION: Final = Table(
    "an extension",
    (
        Field("name", decode.name, 'name = "shop:kitchen"', required=True),
        Field("file", decode.path, 'file = "kitchen.js"'),
        Field("text", decode.text, 'text = "export default 1"'),
        Field("internal", decode.boolean, "internal = true"),
    ),
)


def _make_extension(values: dict[str, Any], cursor: Cursor) -> Any:
    if ("file" in values) == ("text" in values):
        return cursor.report(
            'an extension has one of "file" and "text"', 'write for example file = "kitchen.js"'
        )
    if MISSING in values.values():
        return MISSING
    content = values["file" if "file" in values else "text"]
    return Extension(values["name"], content, values.get("internal", False), cursor.place)


read_extensions: Final[Reader] = list_of(nested(_EXTENSION, _make_extension), "a list of tables")
read_modules: Final[Reader] = list_of(nested(_MODULE, _make), "a list of tables")


def written_module(module: Module, path: Callable[[Path], str]) -> dict[str, Any]:
    """The way back: the table that `read_modules` reads."""
    kind = {} if module.kind == "code" else {"kind": module.kind}
    content = module.content
    if isinstance(content, Path):
        return {"name": module.name, **kind, "file": path(content)}
    if isinstance(content, str):
        return {"name": module.name, **kind, "text": content}
    return {"name": module.name, **kind, "data": base64.b64encode(content).decode()}


def written_extension(extension: Extension, path: Callable[[Path], str]) -> dict[str, Any]:
    """The same of an extension."""
    content = extension.content
    if isinstance(content, Path):
        source = {"file": path(content)}
    else:
        source = {"text": content if isinstance(content, str) else content.decode("utf-8", "replace")}
    return {"name": extension.name, **source, **({"internal": True} if extension.internal else {})}
