"""What holds for all commands: help with examples that work, help for each argument, JSON, and a page that is true."""

from __future__ import annotations

import re

import pytest
from pyworkerd.cli.main import COMMANDS, parser_of

from tests.packaging.command_line import BEGIN, PAGE, Leaf, arguments, examples, leaves, tables

NO_JSON = {
    "bench": "each benchmark has its own arguments, --json among them",
    "completion": "a script for a shell",
    "dev": "for people; `serve --watch --json` is the same for programs",
}
"""Commands whose output no program reads, or is of another kind, and why."""
LEAVES = list(leaves())


def test_the_page_has_every_command_with_its_arguments() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page[page.index(BEGIN) :] == tables(), "make docs writes it anew"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_examples_that_can_be_written(command: str) -> None:
    shown = examples(command)
    assert shown, 'give the parser an epilog "example: pyworkerd ..."'
    for words in shown:
        options = parser_of(words).parse_args(words)
        assert words[0] == command == options.command


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.name)
def test_every_argument_says_what_it_is_for(leaf: Leaf) -> None:
    assert [written for written, about in arguments(leaf) if not about] == []


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.name)
def test_what_a_program_may_want_to_read_is_there_as_json(leaf: Leaf) -> None:
    has = any("--json" in action.option_strings for action in leaf.parser._actions)
    assert has != (leaf.name in NO_JSON), "add --json, or say in NO_JSON why not"


def test_exit_statuses_are_told() -> None:
    page = PAGE.read_text(encoding="utf-8").partition(BEGIN)[0]
    assert re.findall(r"^\| (\d+) \|", page, re.MULTILINE) == ["0", "1", "2", "3", "130", "141"]


def test_help_has_no_colour_where_it_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)  # argparse of Python 3.14 obeys it
    for name in ("", *COMMANDS):
        with pytest.raises(SystemExit) as ended:
            parser_of([name]).parse_args([*name.split(), "--help"])
        assert ended.value.code == 0
    assert "\x1b" not in capsys.readouterr().out


def test_a_mistake_in_the_command_line_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    for leaf in LEAVES:
        with pytest.raises(SystemExit) as ended:
            leaf.parser.parse_args(["--no-such-option"])
        assert ended.value.code == 2
        assert leaf.name in capsys.readouterr().err
