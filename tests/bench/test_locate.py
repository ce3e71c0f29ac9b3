from __future__ import annotations

from pathlib import Path

import pytest
from pyworkerd_bench.locate import PROGRAMS, Program, find, make_executable, missing

PROGRAM = Program("some-program", "SOME_PROGRAM", "install it", ("node_modules/@x/*/bin/some-program",))


def write(path: Path, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def test_what_is_named_wins_then_what_was_built_then_path(tmp_path: Path) -> None:
    build = tmp_path / "build"
    on_path = write(tmp_path / "bin/some-program")
    environment = {"PATH": str(on_path.parent)}
    assert find(PROGRAM, environment={"PATH": ""}, build=build) is None
    assert find(PROGRAM, environment=environment, build=build) == on_path
    built = write(build / "node_modules/@x/linux/bin/some-program")
    assert find(PROGRAM, environment=environment, build=build) == built
    named = write(tmp_path / "named")
    assert find(PROGRAM, environment={**environment, "SOME_PROGRAM": str(named)}, build=build) == named


def test_a_name_that_leads_nowhere_is_not_replaced_by_another_program(tmp_path: Path) -> None:
    write(tmp_path / "node_modules/@x/linux/bin/some-program")
    assert find(PROGRAM, environment={"SOME_PROGRAM": str(tmp_path / "no")}, build=tmp_path) is None


def test_a_program_that_lost_its_mode_gets_it_back(tmp_path: Path) -> None:
    assert make_executable(write(tmp_path / "program", 0o644))
    assert (tmp_path / "program").stat().st_mode & 0o111 == 0o111
    assert not make_executable(tmp_path / "absent")


def test_a_program_in_an_installed_package_is_found(tmp_path: Path) -> None:
    program = Program("x", "X", "", package=("pytest", "__init__.py"))
    assert find(program, environment={"PATH": ""}, build=tmp_path) == Path(pytest.__file__)
    absent = Program("x", "X", "", package=("no_such_package_at_all", "x"))
    assert find(absent, environment={"PATH": ""}, build=tmp_path) is None


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_what_is_missing_is_said_with_its_remedy(program: Program) -> None:
    sentence = missing(program)
    assert program.name in sentence
    assert program.remedy in sentence
    assert program.variable in sentence
