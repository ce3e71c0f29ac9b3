"""What is installed: the wheel is built as `pip` would build it, without a network, and looked into."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email.parser import Parser
from typing import TYPE_CHECKING

import pytest

from tests.packaging.tree import PACKAGES, ROOT, TEMPLATES, modules, scripts, tracked_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> dict[str, list[str]]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        message = Parser().parsestr(archive.read(name).decode())
    return {key: message.get_all(key, []) for key in message}


def test_four_import_packages_and_nothing_beside_them(names: set[str]) -> None:
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_every_module_of_the_checkout_is_in_it_and_no_other(names: set[str]) -> None:
    parents = {package: folder.parent for package, folder in PACKAGES.items()}
    expected = {
        path.relative_to(parent).as_posix()
        for path in (*modules(), *scripts())
        for parent in parents.values()
        if path.is_relative_to(parent)
    }
    templates = {name for name in names if name.startswith("pyworkerd/templates/")}
    assert {name for name in names - templates if name.endswith((".py", ".js"))} == expected
    assert {name.removeprefix("pyworkerd/templates/") for name in templates} == {
        path.relative_to(TEMPLATES).as_posix() for path in tracked_files() if path.is_relative_to(TEMPLATES)
    }


def test_the_guest_and_what_builds_it_are_in_it(names: set[str]) -> None:
    home = "pyworkerd_isolates/python"
    assert {f"{home}/isolate.wit", f"{home}/guest/entry.py", f"{home}/guest/workers/__init__.py"} <= names
    assert "pyworkerd_isolates/wire.py" in names  # the guest's `_wire`


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_typed(names: set[str], package: str) -> None:
    assert f"{package}/py.typed" in names


def test_no_tests_and_nothing_that_was_made(names: set[str]) -> None:
    unwanted = ("test_", "conftest.py", "__pycache__", ".pyc", ".cwasm", ".hypothesis", ".dev.vars")
    assert [name for name in names if any(word in name for word in unwanted)] == []


def test_metadata(metadata: dict[str, list[str]], names: set[str]) -> None:
    assert metadata["Name"] == ["pyworkerd"]
    assert metadata["License-Expression"] == ["Apache-2.0"]
    assert metadata["Requires-Python"] == [">=3.11"]
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert any(name.endswith(".dist-info/entry_points.txt") for name in names)


def test_every_dependency_has_a_range(metadata: dict[str, list[str]]) -> None:
    for requirement in metadata["Requires-Dist"]:
        bare = requirement.partition(";")[0]
        assert "==" in bare or ("<" in bare and ">=" in bare), requirement
