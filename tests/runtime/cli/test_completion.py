"""Completion in real shells, as far as they are installed."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from pyworkerd.cli import main
from pyworkerd.cli.completion import SHELLS, actions

from tests.runtime.cli.command import run

if TYPE_CHECKING:
    from pathlib import Path

BASH = """
source "$1"
function=$(complete -p pyworkerd | sed 's/.*-F \\([^ ]*\\).*/\\1/')
while read -r line; do
    read -ra COMP_WORDS <<< "$line"
    [[ "$line" == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    "$function"
    echo "${COMPREPLY[*]}"
done
"""
SYNTAX = {"zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}
"""How a shell reads a script without running it."""


def script(folder: Path, shell: str, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main.main(["completion", shell]) == 0
    path = folder / f"pyworkerd.{shell}"
    path.write_text(capsys.readouterr().out)
    return path


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_commands_verbs_options_and_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.toml").write_text("")
    asked = {
        "pyworkerd serv": ["serve"],
        "pyworkerd d1 mi": ["migrate", "migrations"],
        "pyworkerd d1 migrations ": ["list", "apply", "create"],
        "pyworkerd queues pe": ["peek"],
        "pyworkerd serve --wat": ["--watch"],
        "pyworkerd completion fi": ["fish"],
        "pyworkerd validate conf": ["config.toml"],
    }
    (tmp_path / "ask.sh").write_text(BASH.replace("read -r line", "IFS= read -r line"))
    done = subprocess.run(
        ["bash", "ask.sh", script(tmp_path, "bash", capsys)],
        cwd=tmp_path,
        input="".join(f"{line}\n" for line in asked),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    answers = [line.split() for line in done.stdout.split("\n")[:-1]]
    assert dict(zip(asked, answers, strict=True)) == asked


@pytest.mark.parametrize("shell", SYNTAX)
def test_other_shells_can_read_theirs(tmp_path: Path, shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = script(tmp_path, shell, capsys)
    assert all(name in path.read_text() for name in main.COMMANDS)
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([*SYNTAX[shell], path], check=True)


def test_another_shell_is_a_mistake() -> None:
    done = run("completion", "cmd")
    assert (done.returncode, done.stdout) == (2, "")
    assert all(shell in done.stderr for shell in SHELLS)


def test_all_arguments_of_all_commands_are_found() -> None:
    found = {option for action in actions(main.parser_of(main.COMMANDS)) for option in action.option_strings}
    assert {"--version", "--watch", "--persist-to", "--delay"} <= found
