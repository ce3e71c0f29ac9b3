"""How JSX becomes calls: the compiler reads that in comments of a file, and projects write it in `tsconfig.json`.

https://www.typescriptlang.org/tsconfig/#jsx and the three options behind it. Other files that a configuration
`extends` are not read.
"""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_isolates.errors import TopLevelRaised

if TYPE_CHECKING:
    from collections.abc import Mapping

SUFFIXES: Final = (".jsx", ".tsx")
CONFIGS: Final = ("tsconfig.json", "jsconfig.json")
MAX_CONFIG: Final = 64 << 10
"""Bytes of one."""
_OPTIONS: Final = {
    "jsxImportSource": "jsxImportSource",
    "jsxFactory": "jsx",
    "jsxFragmentFactory": "jsxFrag",
}
"""Options, and the comment for each."""
_RUNTIMES: Final = {"react": "classic", "react-jsx": "automatic", "react-jsxdev": "automatic"}
_NAME: Final = re.compile(r"[@\w./$-]+")
_SAID: Final = re.compile(rb"@jsx(?:ImportSource|Runtime|Frag)?\b")
_TEXTS: Final = re.compile(r'("(?:[^"\\]|\\.)*(?:"|\Z))|//[^\n]*|/\*(?:.*?\*/|.*)', re.DOTALL)
_LAST_COMMAS: Final = re.compile(r'("(?:[^"\\]|\\.)*(?:"|\Z))|,(?=\s*[\]}])', re.DOTALL)


def pragmas(files: Mapping[str, bytes], name: str) -> bytes:
    """What is to stand before this file's text, in its first line; nothing if it has comments of that kind itself.

    Raises `TopLevelRaised` for a configuration that cannot be read.
    """
    if not name.endswith(SUFFIXES) or _SAID.search(files[name]) or files[name].startswith(b"#!"):
        return b""
    options = _options(files, name)
    comments = []
    runtime = _RUNTIMES.get(options.get("jsx", ""))
    if runtime is not None:
        comments.append(f"@jsxRuntime {runtime}")
    comments += [f"@{comment} {options[option]}" for option, comment in _OPTIONS.items() if option in options]
    return "".join(f"/** {comment} */ " for comment in comments).encode()


def _options(files: Mapping[str, bytes], name: str) -> dict[str, str]:
    """Those of the nearest configuration, as far as they are about JSX. A package has its own or none."""
    for folder in PurePosixPath(name).parents:
        for config in CONFIGS:
            path = (folder / config).as_posix()
            if path in files:
                return _read(path, files[path])
        if folder.name == "node_modules":
            break
    return {}


def _read(path: str, content: bytes) -> dict[str, str]:
    if len(content) > MAX_CONFIG:
        raise TopLevelRaised(f"the file has more than {MAX_CONFIG} bytes", file=path)
    try:
        text = _TEXTS.sub(r"\1", content.decode("utf-8-sig"))
        found = json.loads(_LAST_COMMAS.sub(r"\1", text) or "{}")
    except (ValueError, RecursionError) as error:
        raise TopLevelRaised(f"the file is not JSON with comments: {error}", file=path) from None
    options: Any = found.get("compilerOptions") if isinstance(found, dict) else None
    if not isinstance(options, dict):
        return {}
    told = {option: options[option] for option in ("jsx", *_OPTIONS) if isinstance(options.get(option), str)}
    for option, value in told.items():
        if not _NAME.fullmatch(value):
            raise TopLevelRaised(f"{option} is no name: {value[:80]!r}", file=path)
    return told
