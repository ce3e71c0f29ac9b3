"""The tests that are written in JavaScript: `test_<module>.js`, each of them a list of `test(name, body)`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPTS = {path.stem: path for path in sorted(Path(__file__).parent.rglob("test_*.js"))}
NAMES = {
    stem: re.findall(r'^test\("(.*)", ', path.read_text(encoding="utf-8"), re.MULTILINE)
    for stem, path in SCRIPTS.items()
}


@pytest.mark.parametrize(
    ("script", "name"), [(stem, name) for stem, names in NAMES.items() for name in names]
)
def test_script(run: Callable[..., Any], script: str, name: str) -> None:
    source = SCRIPTS[script].read_text(encoding="utf-8")
    run(f"{source}\nreturn tests.get(name)({{ logged }});", IMPORTS, name=name)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_test_of_a_script_is_found(script: str) -> None:
    text = SCRIPTS[script].read_text(encoding="utf-8")
    assert NAMES[script]
    assert len(set(NAMES[script])) == len(NAMES[script]) == len(re.findall(r"^\s*test\(", text, re.MULTILINE))


IMPORTS = """
import { HTMLRewriter } from "pyworkerd:web/html/rewriter";
import { equal, fails, test, tests } from "pyworkerd:test";
"""
