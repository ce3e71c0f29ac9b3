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
    from collections.abc import Sequence

    from pyworkerd_config import Config

NAMES: Final = ("config.toml", "wrangler.json", "wrangler.jsonc", "wrangler.toml")
"""What is looked for in the working directory if none is named; Wrangler's in the order in which it looks."""

COMPILED: Final = ".pyworkerd"
"""Suffix of compiled files."""


def add_configuration(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    found = f"default: the first of {', '.join(NAMES)} that is here"
    parser.add_argument(
        "config", type=Path, nargs="?", metavar="CONFIG", help=f"config.toml, or Wrangler's file ({found})"
    )
    add_named(parser)


def add_named(parser: argparse.ArgumentParser) -> None:
    """Add those that are options: `-c` and `-e`."""
    several = "the same; several of Wrangler's files make one server, which listens for the first"
    parser.add_argument(
        "-c", "--config", dest="named", action="append", default=[], type=Path, metavar="CONFIG", help=several
    )
    parser.add_argument(
        "-e", "--env", metavar="NAME", help='the environment of a Wrangler file that is meant; "": none'
    )


def read_configuration(options: argparse.Namespace, names: Sequence[str] = NAMES) -> Config:
    """Read it; without a name the first of `names` that is here. Raises `ConfigError`."""
    paths = paths_of(options, names)
    if any(path.suffix == COMPILED for path in paths):
        return _compiled(paths, options.env)
    return load(*paths, environment=options.env or None)


def _compiled(paths: Sequence[Path], environment: str | None) -> Config:
    from pyworkerd.compiled import open_compiled  # noqa: PLC0415 (start-up time)

    if len(paths) > 1 or environment:
        raise ConfigError(
            [Problem(Place(paths[0]), "a compiled file is all of a configuration", "name it alone")]
        )
    return open_compiled(paths[0])


def tell_warnings(config: Config) -> None:
    """Tell the operator what the file says and means nothing here."""
    yellow, plain = ("\x1b[33m", "\x1b[0m") if has_colours(sys.stderr) else ("", "")
    for warning in config.warnings:
        sys.stderr.write(f"{yellow}warning:{plain} {printable(str(warning))}\n")


def paths_of(options: argparse.Namespace, names: Sequence[str] = NAMES) -> list[Path]:
    """The files that are meant. Raises `ConfigError` if none is named and there is none."""
    named: list[Path] = [*([options.config] if options.config is not None else []), *options.named]
    if named:
        return named
    path = next((path for path in map(Path, names) if path.is_file()), None)
    if path is None:
        message = f"no configuration is named, and there is none of {', '.join(names)} here"
        raise ConfigError(
            [Problem(Place(Path()), message, f"write for example pyworkerd {options.command} config.toml")]
        )
    return [path]
