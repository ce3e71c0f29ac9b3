"""Which configuration a command is about: the file, and the environment of it where it is Wrangler's."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyworkerd_config import ConfigError, Place, Problem, load

from pyworkerd.observe.text import printable

from .terminal import has_colours

if TYPE_CHECKING:
    import argparse

    from pyworkerd_config import Config

NAMES: Final = ("config.toml", "wrangler.json", "wrangler.jsonc", "wrangler.toml")
"""What is looked for in the working directory if none is named; Wrangler's in the order in which it looks."""


def add_configuration(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    found = f"default: the first of {', '.join(NAMES)} that is here"
    parser.add_argument(
        "config", type=Path, nargs="?", metavar="CONFIG", help=f"config.toml, or Wrangler's file ({found})"
    )
    parser.add_argument("-c", "--config", dest="named", type=Path, metavar="CONFIG", help="the same")
    parser.add_argument(
        "-e", "--env", metavar="NAME", help="the environment of a Wrangler file that is meant"
    )


def read_configuration(options: argparse.Namespace) -> Config:
    """Read it. Raises `ConfigError`."""
    return load(_path(options), environment=options.env)


def tell_warnings(config: Config) -> None:
    """Tell the operator what the file says and means nothing here."""
    yellow, plain = ("\x1b[33m", "\x1b[0m") if has_colours(sys.stderr) else ("", "")
    for warning in config.warnings:
        sys.stderr.write(f"{yellow}warning:{plain} {printable(str(warning))}\n")


def _path(options: argparse.Namespace) -> Path:
    named: list[Path] = [path for path in (options.config, options.named) if path is not None]
    if len(named) > 1:
        raise ConfigError([Problem(Place(named[1]), "two configurations are named", "leave one of them out")])
    path = next((path for path in (*named, *map(Path, NAMES)) if named or path.is_file()), None)
    if path is None:
        message = f"no configuration is named, and there is none of {', '.join(NAMES)} here"
        raise ConfigError([Problem(Place(Path()), message, "write for example pyworkerd serve config.toml")])
    return path
