"""`pyworkerd explain`."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

from pyworkerd.cli.explain import _escaped
from pyworkerd_config import load

from tests.runtime.cli.command import CONFIG, project, run

if TYPE_CHECKING:
    from pathlib import Path

BINDINGS = '[services.worker.bindings]\nTOKEN = { secret = "TOKEN" }\nNAME = { text = "a\\u009b\\u202eb" }\n'


def test_it_prints_a_configuration_that_means_the_same(tmp_path: Path) -> None:
    path = project(tmp_path, CONFIG + BINDINGS)
    before = load(path)
    done = run("explain", path)
    assert done.returncode == 0
    path.write_text(done.stdout)
    assert load(path) == before


def test_defaults(tmp_path: Path) -> None:
    path = project(tmp_path)
    assert "cpu_ms" not in run("explain", path).stdout
    assert (
        tomllib.loads(run("explain", path, "--defaults").stdout)["services"][0]["worker"]["limits"]["cpu_ms"]
        == 50
    )


def test_json(tmp_path: Path) -> None:
    found = json.loads(run("explain", project(tmp_path), "--json").stdout)
    assert found["services"][0]["name"] == "w"
    assert found["services"][0]["worker"]["limits"]["memory_mb"] == 128


def test_secrets_are_not_printed(tmp_path: Path) -> None:
    path = project(tmp_path, CONFIG + BINDINGS)
    (tmp_path / ".dev.vars").write_text("TOKEN=swordfish\n")
    for arguments in ((), ("--json",), ("--defaults",)):
        done = run("explain", path, *arguments, TOKEN="swordfish")
        assert done.returncode == 0
        assert "TOKEN" in done.stdout
        assert "swordfish" not in done.stdout + done.stderr


def test_nothing_that_a_terminal_would_obey_is_printed(tmp_path: Path) -> None:
    for arguments in ((), ("--json",)):
        done = run("explain", project(tmp_path, CONFIG + BINDINGS), *arguments)
        assert "\\u009b\\u202eb" in done.stdout
        assert all(char.isprintable() or char == "\n" for char in done.stdout)
    assert tomllib.loads(_escaped('a = "\U000e0001"\n')) == {"a": "\U000e0001"}


def test_a_mistake(tmp_path: Path) -> None:
    done = run("explain", project(tmp_path, CONFIG + "x = 1\n"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
