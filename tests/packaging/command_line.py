"""The commands as the parsers have them, and as docs/command-line.md shows them.

`python -m tests.packaging.command_line` writes the page's tables anew.
"""

from __future__ import annotations

import argparse
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from pyworkerd.cli.completion import is_commands, parsers
from pyworkerd.cli.main import ALIASES, COMMANDS, parser_of

from tests.packaging.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "command-line.md"
BEGIN = "## Commands\n"


class Leaf(NamedTuple):
    """A command, or a verb of one: what can be run."""

    name: str
    help: str
    parser: argparse.ArgumentParser


def leaves(parser: argparse.ArgumentParser | None = None, name: str = "", about: str = "") -> Iterator[Leaf]:
    """Everything that can be run, in the order of the help."""
    parser = parser or parser_of(COMMANDS)
    for action in parser._actions:
        if is_commands(action):
            helps = {each.dest: each.help or "" for each in action._get_subactions()}
            for verb, sub in parsers(action).items():
                if not (name == "" and verb in ALIASES):
                    key = next((key for key in helps if key.split(" ")[0] == verb), verb)
                    yield from leaves(sub, f"{name} {verb}".strip(), helps.get(key, ""))
            return
    yield Leaf(name, about, parser)


def examples(command: str) -> list[list[str]]:
    """The command lines in the help of a command, as words, without the program's name."""
    parser = next(parsers(action)[command] for action in parser_of([command])._actions if is_commands(action))
    text = re.sub(r"^examples?:\s*", "", parser.epilog or "")
    lines = [line for line in re.split(r";\s+|\n", text) if line.strip().startswith("pyworkerd ")]
    return [shlex.split(line)[1:] for line in lines]


def arguments(leaf: Leaf) -> Iterator[tuple[str, str]]:
    """How each argument is written, and its help."""
    formatter = leaf.parser._get_formatter()
    for action in leaf.parser._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        metavar = action.metavar if isinstance(action.metavar, str) else None
        value = metavar or (
            "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
        )
        if not action.option_strings:
            many = {"?": "[{}]", "*": "[{}...]", "+": "{}..."}.get(str(action.nargs), "{}")
            written = many.format(value)
        else:
            written = ", ".join(action.option_strings) + ("" if action.nargs == 0 else f" {value}")
        yield written, formatter._expand_help(action) if action.help else ""


def tables() -> str:
    """The part of the page that is made."""
    parts = [BEGIN]
    heading = ""
    for leaf in leaves():
        command, _, verb = leaf.name.partition(" ")
        if command != heading:
            heading = command
            also = "".join(f" (or `{alias}`)" for alias, meant in ALIASES.items() if meant == command)
            help_ = COMMANDS[command].help
            parts.append(f"### {command}\n\n{help_[0].upper()}{help_[1:]}{also}.\n")
            shown = "\n".join(f"pyworkerd {shlex.join(words)}" for words in examples(command))
            parts.append(f"```sh\n{shown}\n```\n")
        if verb:
            parts.append(f"`{leaf.name}`: {leaf.help}.\n")
        rows = [f"| `{_cell(written)}` | {_cell(about)} |" for written, about in arguments(leaf)]
        if rows:
            parts.append("\n".join(["| argument | |", "|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    written = PAGE.read_text(encoding="utf-8").partition(BEGIN)[0]
    PAGE.write_text(written + tables(), encoding="utf-8")
