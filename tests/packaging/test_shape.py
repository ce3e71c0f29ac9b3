"""Budgets and habits that would be forgotten if nothing counted: sizes, docstrings, mirrors, names of machines."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.packaging.mirror import TESTED_ELSEWHERE, UNTESTED, mirror_of, needs_no_test
from tests.packaging.tree import ROOT, modules, relative, scripts, tracked_files

if TYPE_CHECKING:
    from pathlib import Path

MAX_LINES = 600
MAX_FUNCTION = 60
MAX_COLUMNS = 120
TEXT = frozenset((".py", ".md", ".toml", ".txt", ".wit", ".sh", ".yml", ".yaml", ".js", ".json", ".html", ""))

# Written in two parts, so that this file is not its own finding.
MACHINE = re.compile(
    "(?<![A-Za-z0-9_.~-])/" + r"(?:work|tmp/lab|home/[a-z]+|Users/[A-Za-z]+|opt/pypi)" + r"/"
)
HOSTS = tuple(f"{name}{end}" for name, end in (("pypi", ".org"), ("npmjs", ".org"), ("pythonhosted", ".org")))


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_modules_and_functions_are_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < MAX_FUNCTION, f"{node.name} is too long"


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", scripts(), ids=relative)
def test_scripts_are_small_and_say_what_they_are_for(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MAX_LINES
    assert [line for line in lines if len(line) > MAX_COLUMNS] == []
    assert lines[0].startswith("// ")


@pytest.mark.parametrize("path", [path for path in scripts() if "web" in path.parts], ids=relative)
def test_every_script_of_the_web_platform_has_its_test(path: Path) -> None:
    assert_tested(path)


@pytest.mark.parametrize("path", [path for path in modules() if not needs_no_test(path)], ids=relative)
def test_every_module_has_its_test(path: Path) -> None:
    assert_tested(path)


def assert_tested(path: Path) -> None:
    name, mirror = relative(path), mirror_of(path)
    if name in TESTED_ELSEWHERE:
        assert (ROOT / TESTED_ELSEWHERE[name]).is_file(), TESTED_ELSEWHERE[name]
    elif name not in UNTESTED:
        assert mirror.is_file(), (
            f"write {relative(mirror)}, or say in tests/packaging/mirror.py why there is none"
        )


def test_no_exemption_outlives_its_reason() -> None:
    gone = [name for name in (*TESTED_ELSEWHERE, *UNTESTED) if not (ROOT / name).is_file()]
    tested = [name for name in (*TESTED_ELSEWHERE, *UNTESTED) if mirror_of(ROOT / name).is_file()]
    assert (gone, tested) == ([], []), "delete these rows in tests/packaging/mirror.py"


def test_no_module_is_exempt_twice() -> None:
    assert TESTED_ELSEWHERE.keys().isdisjoint(UNTESTED)


def test_nothing_names_a_machine_or_a_registry() -> None:
    found = []
    for path in tracked_files():
        if path.suffix not in TEXT:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{relative(path)}: {match[0]}" for match in MACHINE.finditer(text)]
        found += [f"{relative(path)}: {host}" for host in HOSTS if host in text]
    assert found == []


def test_secrets_and_builds_are_kept_out_of_git_and_of_the_image() -> None:
    for name in (".gitignore", ".dockerignore"):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        assert any(line.endswith(".dev.vars") for line in lines), name
        assert any(line.rstrip("/").endswith("node_modules") for line in lines), name
