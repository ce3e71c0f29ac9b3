"""`pyworkerd explain`."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

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
    for arguments in ((), ("--json",), ("--defaults",), ("--as", "wrangler.json")):
        done = run("explain", path, *arguments, TOKEN="swordfish")
        assert done.returncode == 0
        assert "TOKEN" in done.stdout
        assert "swordfish" not in done.stdout + done.stderr


def test_nothing_that_a_terminal_would_obey_is_printed(tmp_path: Path) -> None:
    for arguments in ((), ("--json",)):
        done = run("explain", project(tmp_path, CONFIG + BINDINGS), *arguments)
        assert "\\u009b\\u202eb" in done.stdout
        assert all(char.isprintable() or char == "\n" for char in done.stdout)


def test_it_converts_and_tells_what_is_lost(tmp_path: Path) -> None:
    path = project(tmp_path, CONFIG + "limits = { cpu_ms = 20, memory_mb = 64 }\n" + BINDINGS)
    done = run("explain", path, "--as", "wrangler.toml")
    assert done.returncode == 3
    assert done.stderr == (
        "lost: wrangler.toml cannot say it: services.w.worker.limits.memory_mb is 64, and would be left out\n"
    )
    (tmp_path / "wrangler.toml").write_text(done.stdout)
    back = run("explain", tmp_path / "wrangler.toml", TOKEN="x")
    assert (back.returncode, back.stderr) == (0, "")
    assert "limits = { cpu_ms = 20 }" in back.stdout


def test_several_workers_are_several_files(tmp_path: Path) -> None:
    path = project(tmp_path, CONFIG + '[[services]]\nname = "v"\n[services.worker]\nmain = "w.py"\n')
    printed = run("explain", path, "--as", "wrangler.jsonc").stdout
    assert [line for line in printed.splitlines() if line.startswith("//")] == [
        "// wrangler.w.jsonc", "// wrangler.v.jsonc",
    ]  # fmt: skip
    done = run("explain", path, "--as", "wrangler.jsonc", "--output", tmp_path / "out")
    files = [tmp_path / "out" / f"wrangler.{name}.jsonc" for name in "wv"]
    assert done.stdout.splitlines() == [str(file) for file in files]
    joined = load(*files)
    assert [service.name for service in joined.services] == ["w", "v", "internet"]
    again = run("explain", path, "--as", "wrangler.jsonc", "--output", tmp_path / "out")
    assert again.returncode == 2, "nothing is overwritten"
    assert f"{files[0]}: it is there already" in again.stderr


def test_a_mistake(tmp_path: Path) -> None:
    done = run("explain", project(tmp_path, CONFIG + "x = 1\n"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")


def test_workerds_dialect_lists_the_files_of_a_program(tmp_path: Path) -> None:
    path = project(tmp_path, other="")
    done = run("explain", path, "--as", "config.capnp", "--output", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    text = (tmp_path / "config.capnp").read_text()
    assert text.index('pythonModule = embed "w.py"') < text.index('pythonModule = embed "other.py"')
    back = run("explain", tmp_path / "config.capnp", "--json")
    assert [each["name"] for each in json.loads(back.stdout)["services"]] == ["w", "internet"]
