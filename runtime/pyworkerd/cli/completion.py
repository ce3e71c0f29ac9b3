"""`pyworkerd completion SHELL`: a script that lets a shell complete commands, options and file names."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from .main import COMMANDS, parser_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SHELLS: Final = ("bash", "zsh", "fish")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = (
        "examples: pyworkerd completion bash;  pyworkerd completion zsh;  pyworkerd completion fish;  in a "
        'shell\'s start file: eval "$(pyworkerd completion bash)", or pyworkerd completion fish | source'
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"one of {', '.join(SHELLS)}")


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    import shtab  # noqa: PLC0415 (for this command alone)

    parser = parser_of(COMMANDS)
    for action in actions(parser):
        if isinstance(action.choices, dict) and not is_commands(action):
            action.choices = tuple(action.choices)  # shtab takes every dictionary for one of commands
        if action.type is Path and action.choices is None:
            action.complete = shtab.FILE  # type: ignore[attr-defined] # where shtab looks for it
    sys.stdout.write(shtab.complete(parser, options.shell))
    return 0


def actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument of a parser, and of those of its commands."""
    for action in parser._actions:  # noqa: SLF001 (argparse has no other way)
        yield action
        if is_commands(action):
            for sub in parsers(action).values():
                yield from actions(sub)


def is_commands(action: argparse.Action) -> bool:
    """Whether it chooses among commands, or verbs of one."""
    return isinstance(action, argparse._SubParsersAction)  # noqa: SLF001


def parsers(action: argparse.Action) -> dict[str, argparse.ArgumentParser]:
    """The parsers of the commands that it chooses among, by their names."""
    return cast("dict[str, argparse.ArgumentParser]", action.choices)
