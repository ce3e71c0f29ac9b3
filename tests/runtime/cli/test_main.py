"""The command line as a whole."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pyworkerd.cli import main as module

from tests.runtime.cli.command import CONFIG, PATIENCE_S, PROGRAM, project, run

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = ("asyncio", "wasmtime", "uvloop", "pyworkerd.runtime", "pyworkerd_config", "json")


def test_version() -> None:
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("pyworkerd 0.")
    assert f"Python {sys.version.split()[0]}" in done.stdout


def test_help_names_every_command() -> None:
    done = run("--help")
    assert done.returncode == 0
    for name, row in module.COMMANDS.items():
        assert re.search(rf"^    {name}[\s(]", done.stdout, re.MULTILINE)
        assert row.help.split(",")[0] in " ".join(done.stdout.split())


@pytest.mark.parametrize("name", module.COMMANDS)
def test_every_command_has_its_module_and_its_help(name: str) -> None:
    imported = importlib.import_module(module.COMMANDS[name].module)
    assert imported.__doc__.startswith(f"`pyworkerd {name}")
    assert callable(imported.configure)
    assert callable(imported.run)
    command = [PROGRAM, name, "--help"]  # begun anew, so that nothing is imported which it does not import
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: pyworkerd {name} ")


@pytest.mark.parametrize("alias", module.ALIASES)
def test_commands_have_the_names_that_wrangler_has_for_them(alias: str, tmp_path: Path) -> None:
    done = run(alias, "list", project(tmp_path, CONFIG + '[[queues]]\nname = "q"\nproducers = ["w"]\n'))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("q: 0 messages")


def test_as_a_module() -> None:
    command = [sys.executable, "-m", "pyworkerd", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert done.stdout == run("--version").stdout


def test_the_parser_alone_imports_nothing_heavy() -> None:
    code = f"import sys, pyworkerd.cli.main; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [PROGRAM, "explain", project(tmp_path)]
    with subprocess.Popen(command, stdout=writing, stderr=subprocess.PIPE, text=True) as process:
        os.close(writing)
        assert process.communicate(timeout=PATIENCE_S)[1] == ""
    assert process.returncode == module.BROKEN_PIPE


@pytest.mark.parametrize(
    ("raised", "status"), [(KeyboardInterrupt(), 130), (ZeroDivisionError(), None)], ids=["^C", "a bug"]
)
def test_other_ends(monkeypatch: pytest.MonkeyPatch, raised: BaseException, status: int | None) -> None:
    class Command:
        def configure(self, parser: object) -> None:
            pass

        def run(self, options: object) -> int:
            raise raised

    monkeypatch.setattr(module, "_load", lambda _: Command())
    if status is None:
        with pytest.raises(type(raised)):
            module.main(["explain"])
    else:
        assert module.main(["explain"]) == status
