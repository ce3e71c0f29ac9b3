"""Trusted workers, deployed: once for each state of their files, and with errors that their authors understand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates.bundle import Folder
from pyworkerd_isolates.errors import BundleError, ImageError, TopLevelRaised, TopLevelTooSlow
from pyworkerd_isolates.limits import Limits
from pyworkerd_isolates.subinterpreter.program import Programs

from .conftest import LIMITS

if TYPE_CHECKING:
    from pathlib import Path

WORKER = """
from pathlib import Path
from workers import WorkerEntrypoint

with (Path(__file__).parent / ".ran").open("a") as ran:
    ran.write("!")
print("here")

class Default(WorkerEntrypoint):
    async def fetch(self, request): ...
"""


def folder(path: Path, source: str, name: str = "w.py") -> Folder:
    (path / name).write_text(source, encoding="utf-8")
    return Folder(path / name, path)


def test_the_top_level_runs_once_for_all_who_deploy_it_and_for_the_first_isolate(
    programs: Programs, tmp_path: Path
) -> None:
    first = programs.get(folder(tmp_path, WORKER), LIMITS)
    second = programs.get(Folder(tmp_path / "w.py", tmp_path), LIMITS)
    assert (first.built, second.built, first.name) == (True, False, second.name)
    assert (first.handlers, first.logs) == ({"": ("fetch",)}, (("info", "stdout", "here"),))
    first.start(LIMITS).end()
    assert (tmp_path / ".ran").read_text() == "!"
    second.start(LIMITS).end()
    programs.release(first)
    programs.release(second)
    assert programs.get(Folder(tmp_path / "w.py", tmp_path), LIMITS).built


def test_another_file_is_another_program(programs: Programs, tmp_path: Path) -> None:
    first = programs.get(folder(tmp_path, WORKER), LIMITS)
    second = programs.get(folder(tmp_path, f"{WORKER}\n# changed"), LIMITS)
    assert second.built
    assert first.name != second.name


@pytest.mark.parametrize(
    ("source", "message", "line"),
    [
        ("\n1/0", "ZeroDivisionError: division by zero", 2),
        ("x = (", "SyntaxError: '(' was never closed", 1),
        ("import sys\nsys.exit(3)", "SystemExit: 3", 2),
        ("x = 1", "TypeError: w exports no entrypoint", None),
    ],
)
def test_a_top_level_that_fails(
    programs: Programs, tmp_path: Path, source: str, message: str, line: int | None
) -> None:
    with pytest.raises(TopLevelRaised) as caught:
        programs.get(folder(tmp_path, source), LIMITS)
    assert str(caught.value).startswith(message)
    assert caught.value.line == line


def test_a_package_that_supports_no_subinterpreters_is_told_with_what_to_do(
    programs: Programs, tmp_path: Path
) -> None:
    source = 'raise ImportError("module cold does not support loading in subinterpreters")'
    with pytest.raises(TopLevelRaised, match="take a version of that package that supports them"):
        programs.get(folder(tmp_path, source), LIMITS)


def test_a_top_level_that_does_not_end_is_given_up(programs: Programs, tmp_path: Path) -> None:
    with pytest.raises(TopLevelTooSlow, match=r"more than 300 ms of CPU time \(limits\.startup_ms\)"):
        programs.get(folder(tmp_path, "while True: pass"), Limits(startup_ms=300))


def test_durable_objects_are_refused(programs: Programs, tmp_path: Path) -> None:
    source = "from workers import DurableObject\nclass Room(DurableObject): ..."
    with pytest.raises(ImageError, match=r"Room: a worker with isolation = .* has no Durable Objects"):
        programs.get(folder(tmp_path, source), LIMITS)


def test_only_python_runs_there(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not a Python file"):
        Programs().get(folder(tmp_path, "", "w.js"), LIMITS)
