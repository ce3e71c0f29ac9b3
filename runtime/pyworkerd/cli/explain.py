"""`pyworkerd explain config.toml`: the configuration as it was understood, in any dialect.

Secrets are never printed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyworkerd_config import ConfigError, Place, Problem, to_json
from pyworkerd_config.dialects import DIALECTS, Printed, print_as

from pyworkerd.listing import modules_of
from pyworkerd.observe.text import printable

from .configuration import add_configuration, read_configuration, tell_warnings
from .terminal import has_colours

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

INCOMPLETE: Final = 3
"""Exit status: something of the configuration cannot be said in the dialect, and is told on standard error."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = "examples: pyworkerd explain;  pyworkerd explain config.toml --as wrangler.toml"
    add_configuration(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--as",
        dest="dialect",
        choices=DIALECTS,
        default="config.toml",
        help="write it as this file (default: %(default)s). What the dialect cannot say is told on standard error, "
        f"and the exit status is {INCOMPLETE}",
    )
    form.add_argument("--json", action="store_true", help="print the model as JSON, defaults included")
    form.add_argument(
        "--defaults", action="store_true", help="print config.toml, with what was left out and its default"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="write new files there instead of printing them; Wrangler's are one for each worker",
    )


def run(options: argparse.Namespace) -> int:
    """Print the model. Raises `ConfigError`."""
    config = read_configuration(options)
    tell_warnings(config)
    if options.json:
        sys.stdout.write(json.dumps(to_json(config), indent=2) + "\n")
        return 0
    beside = config.place.file.parent if config.place.file else Path()
    printed = print_as(
        options.dialect,
        config,
        options.output or beside,
        defaults=options.defaults,
        modules=modules_of(config),
    )
    if options.output is None:
        _print(printed, DIALECTS[options.dialect].comment)
    else:
        _write(printed, options.output)
    return _tell_lost(options.dialect, printed.lost)


def _print(printed: Printed, comment: str) -> None:
    """One after the other, each under its name where there are several."""
    for file in printed.files:
        heading = f"{comment} {file.name}\n" if len(printed.files) > 1 else ""
        sys.stdout.write(heading + file.text)


def _write(printed: Printed, folder: Path) -> None:
    """Write them, and print their paths. Nothing that is there already is changed: raises `ConfigError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in printed.files:
            with (folder / file.name).open("x", encoding="utf-8") as opened:
                opened.write(file.text)
            sys.stdout.write(f"{printable(str(folder / file.name))}\n")
    except FileExistsError as error:
        there = Problem(Place(Path(error.filename)), "it is there already", "name a folder without it")
        raise ConfigError([there]) from None
    except OSError as error:
        wrong = Problem(Place(folder), f"cannot be written ({error.strerror})")
        raise ConfigError([wrong]) from None


def _tell_lost(dialect: str, lost: Sequence[str]) -> int:
    red, plain = ("\x1b[31m", "\x1b[0m") if has_colours(sys.stderr) else ("", "")
    for phrase in lost:
        sys.stderr.write(f"{red}lost:{plain} {dialect} cannot say it: {printable(phrase)}\n")
    return INCOMPLETE if lost else 0
